/** FedProx on real ranks against the algorithm by hand, in float64. */

import assert from "node:assert/strict";
import { celgc, drawParticipants, fedProx, sgd } from "../../../optimizers/mod.ts";
import { resolveOptions } from "../../../tasks/options/resolve.ts";
import { samplesOf } from "../_mlp.ts";
import { initialWeights, lossAndGradient } from "../_serial.ts";
import { trainMlp } from "../_train_mlp.ts";

const RANKS = 3, BATCH = 4, STEPS = 13, SEED = 5;

const norm = (v: readonly number[]) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));

const mean = (all: readonly number[][]) =>
  all[0].map((_, i) => all.reduce((sum, v) => sum + v[i], 0) / all.length);

/** How the serial program runs. */
interface Setting {
  interval: number;
  lr: number;
  clip: number;
  mu: number;
  participants?: number;
  average?: "after" | "before";
}

/** N ranks stepped in turn. */
function byHand(
  { interval, lr, clip, mu, participants = RANKS, average = "after" }: Setting,
) {
  let x = Array.from({ length: RANKS }, () => initialWeights(SEED)), starts = x, round = 0;
  const clipped: boolean[] = [];
  const meet = () => {
    const drawn = drawParticipants(SEED, ++round, RANKS, participants);
    const common = mean(drawn.map((rank) => x[rank]));
    x = x.map((own, rank) => drawn.includes(rank) ? common : own);
  };
  for (let t = 1; t <= STEPS; t++) {
    const begins = (t - 1) % interval === 0;
    if (begins && average === "before") meet();
    if (begins) starts = x;
    x = x.map((own, rank) => {
      const { gradient } = lossAndGradient(own, samplesOf(t, rank, RANKS, BATCH));
      const g = gradient.map((v, i) => v + mu * (own[i] - starts[rank][i]));
      const length = Math.min(lr, clip / norm(g));
      clipped.push(length < lr);
      return own.map((v, i) => v - length * g[i]);
    });
    if (average === "after" && t % interval === 0) meet();
  }
  return { weights: mean(x), clipped };
}

/** Trains on real ranks. */
async function trained({ mu, ...setting }: Setting) {
  const common = { ranks: RANKS, batchSize: BATCH, maxSteps: STEPS, seed: SEED };
  return await trainMlp({ ...common, ...setting, algorithm: "fedprox", proximalMu: mu });
}

async function same(setting: Setting): Promise<boolean[]> {
  const expected = byHand(setting), { weights } = await trained(setting);
  const difference = Math.max(...weights.map((w, i) => Math.abs(w - expected.weights[i])));
  assert.ok(difference < 1e-6, `${JSON.stringify(setting)}: ${difference}`);
  return expected.clipped;
}

const CLIPPING = { interval: 5, lr: 0.8, clip: 0.3, mu: 0.7 };

Deno.test("FedProx with clipping is its serial program", async () => {
  const clipped = await same(CLIPPING);
  assert.ok(clipped.includes(true) && clipped.includes(false), "both kinds of step are covered");
});

Deno.test("FedProx without clipping is its serial program", async () => {
  assert.ok(!(await same({ ...CLIPPING, clip: 1e9 })).includes(true));
});

Deno.test("FedProx draws ranks, and averages before the step as after it", async () => {
  await same({ ...CLIPPING, interval: 3, participants: 2 });
  await same({ ...CLIPPING, interval: 4, average: "before" });
});

Deno.test("the pull stays finite where it is strong, and keeps ranks together", async () => {
  const drift = async (mu: number) => {
    const { records, summary } = await trained({ ...CLIPPING, mu, lr: 0.1 });
    assert.ok(Number.isFinite(summary.trainLoss));
    return Math.max(...records.flatMap((record) => record.type === "round" ? record.drift : []));
  };
  const [weak, strong] = [await drift(0), await drift(9)];
  assert.ok(strong < weak && strong > 0, `${strong} < ${weak}`);
});

Deno.test("without a pull it is CELGC, bit for bit", async () => {
  const common = { ranks: RANKS, batchSize: BATCH, maxSteps: STEPS, seed: SEED, interval: 3 };
  const sizes = { lr: 0.8, clip: 0.3 };
  const held = await trained({ ...sizes, interval: 3, mu: 0 });
  const plain = await trainMlp({ ...common, ...sizes, algorithm: "celgc" });
  assert.deepEqual(held.weights, plain.weights);
});

Deno.test("the bound on the drift is CELGC's where steps are clipped, and none is claimed elsewhere", () => {
  assert.equal(fedProx({ interval: 8 }).driftBound(0.25), celgc({ interval: 8 }).driftBound(0.25));
  assert.equal(fedProx({ interval: 8, clips: false }).driftBound(0.25), null);
  assert.equal(
    fedProx({ interval: 8, step: { rule: sgd({ momentum: 0.9 }) } }).driftBound(0.25),
    null,
  );
  assert.throws(() => fedProx({ interval: 8, mu: -1 }), /μ of FedProx is 0 or more, not -1/);
});

Deno.test("what FedProx cannot do is refused, and its option is for it alone", () => {
  const algorithm = "fedprox";
  assert.equal(resolveOptions({ algorithm }).proximalMu, 0.01);
  for (
    const [given, message] of [
      [{ algorithm, overlap: true }, /--overlap does not go with --algorithm fedprox/],
      [{ algorithm, syncEvery: 1 }, /--sync-every does not go with --algorithm fedprox/],
      [
        { algorithm, clipBy: "max" },
        /^OptionError: --clip-by max: fedprox cannot clip by max: .*; take local, layer, agc, value, smooth$/,
      ],
      [{ algorithm, proximalMu: -1 }, /--proximal-mu must be a number from 0, not -1/],
      [{ proximalMu: 0.1 }, /--proximal-mu 0\.1 has no effect with --algorithm celgc/],
    ] as const
  ) assert.throws(() => resolveOptions(given), message);
});
