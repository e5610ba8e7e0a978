import assert from "node:assert/strict";
import { mlp } from "../../../models/mod.ts";
import { sizeOf } from "../../../models/tensor.ts";
import { gptOf } from "../../../tasks/networks/gpt.ts";
import { encodeTrained } from "../../../tasks/networks/trained_model.ts";
import { defaultOptions } from "../../../tasks/options/table.ts";
import { loadModel } from "../../models/_evaluate.ts";

Deno.test("a trained perceptron is written for batches of any size, whatever the shape of a sample", async () => {
  for (const input of [[4], [2, 2], []]) {
    const model = mlp({ input, outputs: 3, layers: 1, width: 2 });
    const { variables } = model.build({ batchSize: 1, mode: "eval" });
    const flat = Float32Array.from(variables.flatMap(({ initial }) => [...initial(1)]));
    const file = encodeTrained(model, variables, flat);
    const dims = [3, ...input], sample = [0.5, -1, 2, 0.25].slice(0, sizeOf(input));
    await using runner = await loadModel(file, new Map([["input", { type: "float32", dims }]]));
    const { logits } = await runner.run({ input: [...sample, ...sample, ...sample] });
    assert.deepEqual(logits.dims, [3, 3]);
    const [first, ...others] = [0, 1, 2].map((i) => [...logits.data.slice(3 * i, 3 * i + 3)]);
    for (const other of others) assert.deepEqual(other, first);
  }
});

Deno.test("a trained GPT that sees one token is written for batches of any size", async () => {
  const sizes = { layers: 1, heads: 2, width: 4, context: 1 };
  const model = gptOf({ ...defaultOptions(), ...sizes }, 3);
  const { variables } = model.build({ batchSize: 1, length: 1, mode: "eval" });
  const flat = Float32Array.from(variables.flatMap(({ initial }) => [...initial(1)]));
  const file = encodeTrained(model, variables, flat);
  for (const batch of [1, 3]) {
    const types = new Map([["input", { type: "int32", dims: [batch, 1] }]]);
    await using runner = await loadModel(file, types);
    const { logits } = await runner.run({ input: new Array(batch).fill(2) });
    assert.deepEqual(logits.dims, [batch, 1, 3]);
    for (const i of logits.data.keys()) assert.equal(logits.data[i], logits.data[i % 3]);
  }
});
