/** The moving average of the weights on real ranks, against a plain serial program in float64. */

import assert from "node:assert/strict";
import { resolveOptions } from "../../../tasks/options/resolve.ts";
import { samplesOf } from "../_mlp.ts";
import { initialWeights, lossAndGradient } from "../_serial.ts";
import { trainMlp } from "../_train_mlp.ts";

const RANKS = 2, BATCH = 4, STEPS = 11, INTERVAL = 4, SEED = 3, LR = 0.4, DECAY = 0.8;

const norm = (v: readonly number[]) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));

/** Σ D^{T−s} x_s / Σ D^{T−s} of each rank's weights after each step, before any round; the mean over ranks. */
function byHand(): number[] {
  let x = Array.from({ length: RANKS }, () => initialWeights(SEED));
  const sums = x.map((own) => own.map(() => 0));
  let total = 0;
  for (let t = 1; t <= STEPS; t++) {
    x = x.map((own, rank) => {
      const { gradient } = lossAndGradient(own, samplesOf(t, rank, RANKS, BATCH));
      const scale = Math.min(LR, 0.2 / norm(gradient));
      return own.map((value, i) => value - scale * gradient[i]);
    });
    total = DECAY * total + 1;
    x.forEach((own, rank) =>
      own.forEach((value, i) => sums[rank][i] = DECAY * sums[rank][i] + value)
    );
    if (t % INTERVAL === 0) x = x.map(() => x[0].map((_, i) => (x[0][i] + x[1][i]) / 2));
  }
  return sums[0].map((_, i) => (sums[0][i] + sums[1][i]) / 2 / total);
}

for (const accumulate of [1, 2]) {
  Deno.test(`what is evaluated is the moving average of the weights, ${accumulate} a step`, async () => {
    const options = { ranks: RANKS, interval: INTERVAL, maxSteps: STEPS, seed: SEED, lr: LR };
    const run = { ...options, clip: 0.2, batchSize: BATCH, ema: DECAY };
    const { weights, records, summary } = await trainMlp({ ...run, accumulate });
    assert.equal(summary.ema, DECAY);
    assert.equal(summary.averagedSteps, undefined);
    const evaluations = records.flatMap((record) => record.type === "eval" ? record : []);
    assert.deepEqual(evaluations.map(({ ema }) => ema), [undefined, DECAY]);
    const plain = await trainMlp({ ...run, accumulate, ema: null });
    const apart = Math.max(...weights.map((x, i) => Math.abs(x - plain.weights[i])));
    assert.ok(apart > 0.01, "the average is not the weights");
    if (accumulate > 1) return;
    const error = Math.max(...byHand().map((x, i) => Math.abs(x - weights[i])));
    assert.ok(error < 1e-6, `${error}`);
  });
}

Deno.test("one average over the steps is asked for, and wins over a preset's", () => {
  const preset = { preset: "ptb-awd-lstm", data: "d", ema: 0.99 } as const;
  assert.equal(resolveOptions(preset).averagingTrigger, null);
  assert.equal(resolveOptions({ ...resolveOptions(preset) }).averagingTrigger, null);
  assert.throws(
    () => resolveOptions({ ...preset, averagingTrigger: 5 }),
    /^OptionError: --ema and --averaging-trigger both/,
  );
});
