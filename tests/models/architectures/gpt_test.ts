import assert from "node:assert/strict";
import { type Gpt, gpt } from "../../../models/architectures/gpt.ts";
import { adamW } from "../../../optimizers/mod.ts";
import { sizeOf } from "../../../models/tensor.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import {
  BATCH,
  firstWeights,
  LENGTH,
  masksOf,
  SMALL,
  STEP_SIZE,
  stepGraph,
  tokensOf,
  train,
} from "./_gpt_run.ts";
import { type Feeds, load, relativeError } from "../_evaluate.ts";
import { hasTorch, parseOutput, runPython, torchNote } from "../../_helpers/peers/python.ts";

/** A flat array as nested lists. */
function nested(data: ArrayLike<number>, dims: readonly number[]): unknown {
  if (dims.length <= 1) return Array.from(data);
  const [count, ...rest] = dims, size = sizeOf(rest), all = Array.from(data);
  return Array.from(
    { length: count },
    (_, i) => nested(all.slice(i * size, (i + 1) * size), rest),
  );
}

Deno.test("GPT-2 small has its 124 million weights, named and shaped as in Hugging Face's", () => {
  const small = { vocabulary: 50_257, layers: 12, heads: 12, width: 768, context: 1024 };
  const { variables } = gpt(small).build({ batchSize: 1, length: 1, mode: "eval" });
  const dims = new Map(variables.map(({ name, dims }) => [name, String(dims)]));
  assert.equal(variables.reduce((sum, { dims }) => sum + sizeOf(dims), 0), 124_439_808);
  assert.equal(variables.length, 2 + 12 * 12 + 2);
  assert.equal(dims.get("transformer.wte.weight"), "50257,768");
  assert.equal(dims.get("transformer.wpe.weight"), "1024,768");
  assert.equal(dims.get("transformer.h.11.attn.c_attn.weight"), "768,2304");
  assert.equal(dims.get("transformer.h.11.mlp.c_fc.weight"), "768,3072");
  assert.equal(dims.get("transformer.h.11.mlp.c_proj.weight"), "3072,768");
  assert.equal(dims.get("transformer.ln_f.bias"), "768");
});

Deno.test("first weights are GPT-2's: normal, less in what a block adds, biases zero", () => {
  const { variables } = gpt({ vocabulary: 90, width: 96, layers: 8 })
    .build({ batchSize: 1, length: 1, mode: "eval" });
  for (const { name, dims, initial } of variables) {
    const data = initial(3),
      deviation = Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length);
    const expected = dims.length === 1
      ? name.includes("ln_") && name.endsWith("weight") ? 1 : 0
      : name.includes("c_proj")
      ? 0.02 / 4
      : 0.02;
    assert(Math.abs(deviation - expected) <= 0.05 * expected, `${name}: ${deviation}`);
    assert.deepEqual(data, initial(3));
  }
});

Deno.test("options and windows out of range are refused", () => {
  assert.throws(() => gpt({ vocabulary: 0 }), /vocabulary.*from 1, not 0/);
  assert.throws(() => gpt({ vocabulary: 9, width: 10, heads: 4 }), /10 is no multiple of 4/);
  assert.throws(
    () => gpt({ vocabulary: 9, width: 9, heads: 3, positions: "rotary" }),
    /a head of 3 has an odd number/,
  );
  assert.throws(() => gpt({ vocabulary: 9, dropout: 1 }), /dropout of a GPT.*not 1/);
  const model = gpt({ vocabulary: 9, context: 4 });
  assert.throws(() => model.build({ batchSize: 1, length: 5, mode: "eval" }), /1 to 4.*not 5/);
});

Deno.test("files of weights are read with or without their prefix, and without their buffers", () => {
  const { weightName } = gpt(SMALL);
  assert.equal(weightName("h.0.ln_1.weight"), "transformer.h.0.ln_1.weight");
  assert.equal(weightName("transformer.wte.weight"), "transformer.wte.weight");
  assert.equal(weightName("lm_head.weight"), "lm_head.weight");
  assert.equal(weightName("h.1.attn.bias"), null);
  assert.equal(weightName("transformer.h.1.attn.masked_bias"), null);
});

for (const positions of ["learned", "rotary"] as const) {
  for (const dropout of [0, 0.2]) {
    Deno.test({
      name: `a GPT with ${positions} positions and dropout ${dropout} follows PyTorch through ` +
        `twenty clipped steps${torchNote}`,
      ignore: !hasTorch,
      fn: () => followsTorch(gpt({ ...SMALL, positions, dropout })),
    });
  }
}

/** A larger ε than usual: where a gradient is nothing in truth, such as that of the keys' bias, Adam follows rounding. */
const ADAMW = { weightDecay: 0.2, beta2: 0.95, eps: 1e-4 };

Deno.test({
  name: `a GPT follows PyTorch's AdamW through twenty clipped steps${torchNote}`,
  ignore: !hasTorch,
  fn: () => followsTorch(gpt({ ...SMALL, dropout: 0.2 }), ADAMW),
});

/** @param adam options of AdamW; null: plain clipped SGD */
async function followsTorch(model: Gpt, adam: typeof ADAMW | null = null): Promise<void> {
  const steps = 20, first = firstWeights(model), { variables } = stepGraph(model);
  const step = (at: number) => ({
    input: nested(tokensOf(at, "input").data, [BATCH, LENGTH]),
    target: nested(tokensOf(at, "target").data, [BATCH, LENGTH]),
    masks: Object.fromEntries(
      Object.entries(masksOf(model, at)).map((
        [name, { data, dims }],
      ) => [name, nested(data, dims)]),
    ),
  });
  const job = {
    heads: model.config.heads,
    adam,
    ...STEP_SIZE,
    variables: Object.fromEntries(
      variables.map(({ name, dims }) => [name, nested(first.get(name)!, dims)]),
    ),
    steps: Array.from({ length: steps }, (_, at) => step(at)),
  };
  const script = new URL("./gpt_reference.py", import.meta.url);
  const reference = runPython(script, [new TextEncoder().encode(JSON.stringify(job))]);
  await using device = await openDevice("cpu");
  const ours = await train(device, model, steps, adam ? adamW(adam) : undefined);
  const { header, numbers } = parseOutput(await reference);
  const { losses, norms } = header as { losses: number[]; norms: number[] };
  assert(relativeError(ours.losses, losses) < 1e-5, `${ours.losses}\n${losses}`);
  assert(relativeError(ours.norms, norms) < 1e-4, `${ours.norms}\n${norms}`);
  const { lr, clip } = STEP_SIZE;
  assert.equal(new Set(norms.map((norm) => lr < clip / norm)).size, 2, `both sides: ${norms}`);
  let at = 0;
  const next = (size: number) => numbers.subarray(at, at += size);
  const logits = next(BATCH * LENGTH * SMALL.vocabulary);
  for (const { name } of variables) {
    const mine = ours.gradients.get(name)!, error = relativeError(mine, next(mine.length));
    assert(error < 2e-5, `gradient of ${name}: ${error}`);
  }
  for (const { name } of variables) {
    const mine = ours.weights.get(name)!, error = relativeError(mine, next(mine.length));
    assert(error < 1e-4, `${name} after ${steps} steps: ${error}`);
  }
  assert.equal(at, numbers.length);

  const { graph } = model.build({ batchSize: BATCH, length: LENGTH, mode: "eval" });
  const feeds: Feeds = Object.fromEntries(first);
  const evaluated = {
    ...feeds,
    input: tokensOf(0, "input").data,
    target: tokensOf(0, "target").data,
  };
  await using runner = await load(graph);
  const found = (await runner.run(evaluated)).logits.data;
  assert(relativeError(found, logits) < 1e-5, "logits");
}

for (const positions of ["learned", "rotary"] as const) {
  Deno.test(`token by token a GPT with ${positions} positions predicts as in one window`, async () => {
    const model = gpt({ ...SMALL, positions }),
      weights: Feeds = Object.fromEntries(firstWeights(model));
    const { context, vocabulary } = model.config;
    const tokens = Array.from({ length: context }, (_, i) => (5 * i + 2) % vocabulary);
    const { graph } = model.build({ batchSize: 1, length: context, mode: "eval" });
    await using whole = await load(graph);
    const expected = (await whole.run({ ...weights, input: tokens, target: tokens })).logits.data;
    const decoder = model.decoder();
    const carried: Feeds = {};
    for (const { name, role, initial } of decoder.variables) {
      if (role === "carry") carried[name] = initial(1);
    }
    await using one = await load(decoder.graph);
    for (const [position, token] of tokens.entries()) {
      const results = await one.run({
        ...weights,
        ...carried,
        input: [token],
        position: [position],
      });
      for (const name of Object.keys(carried)) carried[name] = results[`${name}.next`].data;
      const row = expected.subarray(position * vocabulary, (position + 1) * vocabulary);
      assert(relativeError(results.logits.data, row) < 1e-5, `position ${position}`);
    }
  });
}

Deno.test("a negative target counts nowhere, and a later token changes no earlier prediction", async () => {
  const model = gpt({ ...SMALL, dropout: 0 }),
    weights: Feeds = Object.fromEntries(firstWeights(model));
  const { graph } = model.build({ batchSize: 2, length: 3, mode: "eval" });
  await using runner = await load(graph);
  const run = (input: number[], target: number[]) => runner.run({ ...weights, input, target });
  const all = await run([1, 2, 3, 4, 5, 6], [2, 3, 4, 5, 6, 7]);
  const some = await run([1, 2, 9, 4, 5, 6], [2, 3, -1, 5, 6, 7]);
  assert.equal(all.count.data[0], 6);
  assert.equal(some.count.data[0], 5);
  const { vocabulary } = SMALL, head = 2 * vocabulary;
  assert.deepEqual(some.logits.data.slice(0, head), all.logits.data.slice(0, head));
  assert.notDeepEqual(some.logits.data.slice(0, head + 1), all.logits.data.slice(0, head + 1));
  const row = (i: number) => all.logits.data.slice(i * vocabulary, (i + 1) * vocabulary);
  const loss = (i: number, target: number) =>
    Math.log(row(i).reduce((sum, x) => sum + Math.exp(x), 0)) - row(i)[target];
  const expected = loss(0, 2) + loss(1, 3) + loss(3, 5) + loss(4, 6) + loss(5, 7);
  assert(Math.abs(some.loss_sum.data[0] - expected) < 1e-4);
});
