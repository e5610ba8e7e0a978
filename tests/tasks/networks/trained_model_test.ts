import assert from "node:assert/strict";
import { loadOnnxRuntimeNode } from "../../../deps.ts";
import { mlp } from "../../../models/mod.ts";
import { sizeOf } from "../../../models/tensor.ts";
import { gptOf } from "../../../tasks/networks/gpt.ts";
import { encodeTrained } from "../../../tasks/networks/trained_model.ts";
import { defaultOptions } from "../../../tasks/options/table.ts";
import type { TrainableModel } from "../../../tasks/task.ts";

/** The shape and the rows of the logits that a trained model's file gives for an input. */
async function logitsOf(
  model: TrainableModel,
  input: Float32Array | Int32Array,
  dims: readonly number[],
): Promise<{ dims: readonly number[]; rows: number[][] }> {
  const { variables } = model.build({ batchSize: 1, length: 1, mode: "eval" });
  const flat = Float32Array.from(variables.flatMap(({ initial }) => [...initial(1)]));
  const { InferenceSession, Tensor } = await loadOnnxRuntimeNode();
  const session = await InferenceSession.create(encodeTrained(model, variables, flat), {
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  const { logits } = await session.run({ input: new Tensor(input, dims) });
  await session.release();
  const all = [...logits.data as Float32Array], size = logits.dims.at(-1)!;
  const rows = Array.from({ length: dims[0] }, (_, i) => all.slice(i * size, (i + 1) * size));
  return { dims: logits.dims, rows };
}

Deno.test("a trained perceptron is written for batches of any size, whatever the shape of a sample", async () => {
  for (const shape of [[4], [2, 2], []]) {
    const model = mlp({ input: shape, outputs: 3, layers: 1, width: 2 });
    const sample = [0.5, -1, 2, 0.25].slice(0, sizeOf(shape));
    const input = Float32Array.of(...sample, ...sample, ...sample);
    const { dims, rows: [first, ...others] } = await logitsOf(model, input, [3, ...shape]);
    assert.deepEqual(dims, [3, 3]);
    for (const other of others) assert.deepEqual(other, first);
  }
});

Deno.test("a trained GPT that sees one token is written for batches of any size", async () => {
  const model = gptOf({ ...defaultOptions(), layers: 1, heads: 2, width: 4, context: 1 }, 3);
  for (const batch of [1, 3]) {
    const input = new Int32Array(batch).fill(2);
    const { dims, rows: [first, ...others] } = await logitsOf(model, input, [batch, 1]);
    assert.deepEqual(dims, [batch, 1, 3]);
    for (const other of others) assert.deepEqual(other, first);
  }
});
