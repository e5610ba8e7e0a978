import assert from "node:assert/strict";
import type { StepRecord } from "../../../tasks/run/metrics.ts";
import { endsEpoch, initialWeights, type SerialOptions, simulate } from "../_serial.ts";
import { trainMlp } from "../_train_mlp.ts";

/** Largest difference of two lists of numbers. */
const difference = (a: number[], b: number[]) => {
  assert.equal(a.length, b.length);
  return Math.max(...a.map((x, i) => Math.abs(x - b[i])));
};

const COMMON = { ranks: 4, batchSize: 4, steps: 13, lr: 0.8, clip: 0.3, seed: 5 };

/** 4 ranks and the simulation must agree in the weights and in what every rank saw at every step. */
async function agrees(options: SerialOptions) {
  const expected = simulate(options);
  const { steps, ...rest } = options;
  const { weights, summary, records } = await trainMlp({ ...rest, maxSteps: steps });
  assert.ok(difference(weights, expected.weights) < 1e-6, "the averaged weights differ");
  assert.ok(difference(weights, initialWeights(options.seed)) > 0.1, "nothing was learnt");
  for (let rank = 0; rank < options.ranks; rank++) {
    const own = records.filter((record): record is StepRecord =>
      record.type === "step" && record.rank === rank
    );
    assert.deepEqual(own.map(({ step }) => step), Array.from({ length: steps }, (_, t) => t + 1));
    assert.ok(difference(own.map(({ loss }) => loss), expected.losses[rank]) < 1e-6);
    assert.ok(difference(own.map(({ gradNorm }) => gradNorm), expected.gradNorms[rank]) < 1e-6);
    assert.deepEqual(own.map(({ clipped }) => clipped), expected.clipped[rank]);
  }
  const rounds = records.flatMap((record) => record.type === "round" ? record : []);
  assert.ok(difference(rounds.map(({ drift }) => drift), expected.drifts) < 1e-6);
  const clipped = expected.clipped.flat();
  assert.ok(clipped.includes(true) && clipped.includes(false), "both kinds of step are covered");
  assert.equal(summary.identicalWeights, true);
  return { summary, rounds };
}

for (const interval of [1, 2, 5]) {
  Deno.test(`CELGC on 4 ranks is the serial Algorithm 1 with I = ${interval}`, async () => {
    const { rounds } = await agrees({ ...COMMON, interval });
    for (const { drift, driftBound } of rounds) {
      assert.equal(driftBound, 2 * COMMON.clip * interval);
      assert.ok(drift <= driftBound!);
    }
    assert.deepEqual(
      rounds.map(({ step }) => step),
      Array.from({ length: Math.ceil(13 / interval) }, (_, i) => Math.min((i + 1) * interval, 13)),
    );
  });
}

const VARIANTS: Partial<SerialOptions>[] = [
  { clipBy: "global-average" },
  { clipBy: "max", average: "before" },
  { momentum: 0.7, weightDecay: 0.01 },
];

for (const variant of VARIANTS) {
  Deno.test(`CELGC with ${JSON.stringify(variant)} is its serial counterpart`, async () => {
    await agrees({ ...COMMON, interval: 3, lr: 0.4, ...variant });
  });
}

Deno.test("ranks meet at the end of each epoch as well, where that is asked for", async () => {
  const options = { ...COMMON, batchSize: 32, steps: 18, interval: 5, syncEpochs: true };
  const { rounds } = await agrees(options);
  const steps = Array.from({ length: 18 }, (_, i) => i + 1);
  assert.deepEqual(
    rounds.map(({ step }) => step),
    steps.filter((t) => t % 5 === 0 || endsEpoch(t, options) || t === 18),
  );
  assert.deepEqual(steps.filter((t) => endsEpoch(t, options)), [8, 16]);
});

Deno.test("naive-parallel on 4 ranks is one rank with the fourfold batch", async () => {
  const { steps, ...common } = COMMON;
  const many = await trainMlp({ ...common, maxSteps: steps, algorithm: "naive-parallel" });
  const one = await trainMlp({
    ...common,
    ranks: 1,
    batchSize: 16,
    maxSteps: steps,
    algorithm: "single",
  });
  assert.ok(difference(many.weights, one.weights) < 1e-6);
  const serial = simulate({ ...COMMON, ranks: 1, batchSize: 16, interval: 1 });
  assert.ok(difference(many.weights, serial.weights) < 1e-6);
  const clipped = many.records.flatMap((record) => record.type === "step" ? record.clipped : []);
  assert.ok(clipped.includes(true) && clipped.includes(false), "both kinds of step are covered");
  assert.equal(many.summary.rounds, steps);
});
