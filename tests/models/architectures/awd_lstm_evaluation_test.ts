import assert from "node:assert/strict";
import { awdLstm } from "../../../models/architectures/awd_lstm.ts";
import { encodeModel } from "../../../models/encode.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import { Random } from "../../../runtime/base/random.ts";
import { evaluationWindows } from "../../../tasks/data/text/text_evaluation.ts";
import { BATCH, initialVariables, SMALL, stretches, train } from "./_awd_lstm_run.ts";

const random = new Random(9, "text");
const text = Int32Array.from({ length: 301 }, () => random.integer(SMALL.vocabulary));

/** Sums of losses and tokens over a text; weights that are not given are zero. */
async function evaluate(
  weights: Map<string, Float32Array>,
  { columns, length, longest = length }: { columns: number; length: number; longest?: number },
): Promise<{ lossSum: number; count: number }> {
  const awd = awdLstm(SMALL);
  const build = (length: number) => awd.build({ batchSize: columns, mode: "eval", length });
  const { graph, variables } = build(longest);
  await using device = await openDevice("cpu");
  const specs = variables.map(({ name, dims }) => ({ name, dims }));
  await using state = await device.allocate(specs);
  await state.edit((flat) => {
    for (const { name, role } of variables) {
      const data = weights.get(name);
      if (data && role === "parameter") flat.set(data, state.range(name).offset);
      // What another text left behind must not count.
      else if (role === "carry") {
        const { offset, length } = state.range(name);
        flat.fill(0.7, offset, offset + length);
      }
    }
  });
  await using session = await device.compile(
    encodeModel(graph, {
      target: "cpu",
      symbolicBatch: longest === length
        ? undefined
        : { name: "length", other: build(longest + 1).graph },
    }),
    {
      state: [state],
      updates: Object.fromEntries(
        variables.filter(({ role }) => role === "carry").map(({ name }) => [`${name}.next`, name]),
      ),
    },
  );
  let lossSum = 0, count = 0, restart = true;
  for (const window of evaluationWindows(text, { columns, length })) {
    const feeds = awd.feeds.evaluation(window, {
      batchSize: columns,
      length,
      restart,
      mask: window.mask,
    });
    const results = await session.run(feeds);
    lossSum += Number(results.loss_sum.data[0]);
    count += Number(results.count.data[0]);
    restart = false;
    const mean = Number(results.loss_sum.data[0]) / Number(results.count.data[0]);
    assert(Math.abs(Number(results.loss.data[0]) - mean) < 1e-5);
  }
  return { lossSum, count };
}

const weights = () =>
  initialVariables(awdLstm(SMALL).build({ batchSize: 1, mode: "eval", length: 2 }));

Deno.test("a model that knows nothing has the perplexity of its vocabulary, over every token but the first", async () => {
  const { lossSum, count } = await evaluate(new Map(), { columns: 10, length: 7 });
  assert.equal(count, text.length - 1);
  assert(Math.abs(Math.exp(lossSum / count) - SMALL.vocabulary) < 1e-3);
});

Deno.test("evaluation carries the state from window to window, so their length does not matter", async () => {
  for (const columns of [1, 2, 10]) {
    const whole = await evaluate(weights(), { columns, length: 300 / columns });
    assert.equal(whole.count, 300);
    for (const length of [7, 50]) {
      const parts = await evaluate(weights(), { columns, length });
      assert.equal(parts.count, 300);
      const error = Math.abs(parts.lossSum / whole.lossSum - 1);
      assert(error < 1e-6, `${columns} columns, windows of ${length}: ${error}`);
    }
    const any = await evaluate(weights(), { columns, length: 7, longest: 20 });
    assert(Math.abs(any.lossSum / whole.lossSum - 1) < 1e-6);
  }
});

Deno.test("evaluation drops nothing: it equals training without dropout and regularisation", async () => {
  await using device = await openDevice("cpu");
  const { input, target } = stretches([9])[0];
  const dropout = { word: 0, input: 0, hidden: 0, output: 0, weight: 0 };
  const options = { dropout, activation: 0, temporal: 0 };
  const { losses, entropies } = await train(device, [{ input, target, restart: true }], options);
  assert.equal(losses[0], entropies[0]);

  const awd = awdLstm(SMALL);
  const model = awd.build({ batchSize: BATCH, mode: "eval", length: 9 });
  const specs = model.variables.map(({ name, dims }) => ({ name, dims }));
  await using state = await device.allocate(specs);
  await state.edit((flat) => {
    for (const [name, data] of initialVariables(model)) flat.set(data, state.range(name).offset);
  });
  const updates = Object.fromEntries(
    specs.filter(({ name }) => model.graph.outputs.has(`${name}.next`))
      .map(({ name }) => [`${name}.next`, name]),
  );
  await using session = await device.compile(encodeModel(model.graph, { target: "cpu" }), {
    state: [state],
    updates,
  });
  const stretch = { batchSize: BATCH, length: 9, restart: true };
  const { loss } = await session.run(awd.feeds.evaluation({ input, target }, stretch));
  assert(Math.abs(Number(loss.data[0]) - losses[0]) < 1e-6, `${loss.data[0]} ${losses[0]}`);
});
