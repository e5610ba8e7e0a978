/** SlowMo, DiLoCo and EPISODE on real ranks against their papers' algorithms, written out in float64. */

import assert from "node:assert/strict";
import { OptionError } from "../../../tasks/options/kinds.ts";
import type { Options } from "../../../tasks/options/table.ts";
import { resolveOptions } from "../../../tasks/options/resolve.ts";
import { samplesOf } from "../_mlp.ts";
import { initialWeights, lossAndGradient } from "../_serial.ts";
import { trainMlp } from "../_train_mlp.ts";

const RANKS = 4, BATCH = 4, STEPS = 13, INTERVAL = 3, SEED = 5;

const plus = (a: number[], b: number[], factor = 1) => a.map((x, i) => x + factor * b[i]);
const norm = (v: number[]) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
const mean = (vectors: number[][]) =>
  vectors.reduce((sum, v) => plus(sum, v)).map((x) => x / vectors.length);
const gradientAt = (x: number[], t: number, rank: number) =>
  lossAndGradient(x, samplesOf(t, rank, RANKS, BATCH)).gradient;

/** A round's local clipped steps from a common point; the ranks' weights after step `until`. */
function localSteps(x: number[], from: number, until: number, lr: number, clip: number) {
  return Array.from({ length: RANKS }, (_, rank) => {
    let own = x;
    for (let t = from; t <= until; t++) {
      const g = gradientAt(own, t, rank);
      own = plus(own, g, -Math.min(lr, clip / norm(g)));
    }
    return own;
  });
}

/** Rounds as `[first step, last step, learning rate]`; the last is not whole. */
function rounds(lr: (t: number) => number): [number, number, number][] {
  const list: [number, number, number][] = [];
  for (let t = 1; t <= STEPS; t += INTERVAL) {
    list.push([t, Math.min(t + INTERVAL - 1, STEPS), lr(t)]);
  }
  return list;
}

const whole = (from: number, until: number) => until - from + 1 === INTERVAL;

function slowMoByHand(alpha: number, beta: number, lr: (t: number) => number, clip: number) {
  let x = initialWeights(SEED), u = x.map(() => 0);
  for (const [from, until, rate] of rounds(lr)) {
    const average = mean(localSteps(x, from, until, rate, clip));
    if (!whole(from, until)) return average;
    u = u.map((v, i) => beta * v + (x[i] - average[i]) / rate);
    x = plus(x, u, -alpha * rate);
  }
  return x;
}

function dilocoByHand(rate: number, mu: number, lr: number, clip: number) {
  let x = initialWeights(SEED), b: number[] | null = null;
  for (const [from, until] of rounds(() => lr)) {
    const average = mean(localSteps(x, from, until, lr, clip));
    if (!whole(from, until)) return average;
    // As PyTorch's SGD does it with nesterov=True, the displacement being the gradient.
    const gradient = plus(x, average, -1);
    b = b === null ? gradient : plus(gradient, b, mu);
    x = plus(x, plus(gradient, b, mu), -rate);
  }
  return x;
}

function episodeByHand(lr: number, clip: number) {
  let x = initialWeights(SEED);
  const clipped: boolean[] = [];
  for (const [round, [from, until]] of rounds(() => lr).entries()) {
    const aside = Array.from({ length: RANKS }, (_, rank) => gradientAt(x, 2 ** 24 + round, rank));
    const common = mean(aside);
    const clips = norm(common) > clip / lr;
    x = mean(aside.map((ownAside, rank) => {
      let own = x;
      for (let t = from; t <= until; t++) {
        const g = plus(plus(gradientAt(own, t, rank), ownAside, -1), common);
        own = plus(own, g, clips ? -clip / norm(g) : -lr);
        if (rank === 0) clipped.push(clips);
      }
      return own;
    }));
  }
  return { weights: x, clipped };
}

async function trained(options: Partial<Options>) {
  const { weights, records, summary } = await trainMlp({
    ranks: RANKS,
    batchSize: BATCH,
    maxSteps: STEPS,
    interval: INTERVAL,
    seed: SEED,
    ...options,
  });
  assert.equal(summary.identicalWeights, true);
  const steps = records.flatMap((r) => r.type === "step" && r.rank === 0 ? [r] : []);
  return { weights, summary, steps, clipped: steps.map(({ clipped }) => clipped) };
}

function same(a: number[], b: number[]) {
  assert.equal(a.length, b.length);
  a.forEach((x, i) => assert.ok(Math.abs(x - b[i]) < 2e-6, `weight ${i}: ${x} and ${b[i]}`));
}

const bothKinds = (clipped: boolean[]) =>
  assert.ok(clipped.includes(true) && clipped.includes(false), "both kinds of step are covered");

Deno.test("SlowMo takes its slow momentum step after each round", async () => {
  const lr = 0.8, clip = 0.3;
  const run = await trained({ algorithm: "slowmo", lr, clip, outerLr: 0.9, outerMomentum: 0.6 });
  same(run.weights, slowMoByHand(0.9, 0.6, () => lr, clip));
  bothKinds(run.clipped);
  assert.equal(run.summary.driftBound, 2 * clip * INTERVAL);
});

Deno.test("SlowMo's step follows the learning rate as that decays", async () => {
  // 16 samples of 1000 a step: the decay falls on the third round.
  const decayed = (t: number) => t >= 7 ? 0.4 : 0.8;
  const run = await trained({
    algorithm: "slowmo",
    lr: 0.8,
    clip: 0.3,
    decayAt: [6 * RANKS * BATCH / 1000],
    decayFactor: 0.5,
  });
  assert.deepEqual(run.steps.map(({ lr }) => lr), run.steps.map(({ step }) => decayed(step)));
  same(run.weights, slowMoByHand(1, 0.7, decayed, 0.3));
});

Deno.test("SlowMo without slow momentum is CELGC", async () => {
  const common = { lr: 0.8, clip: 0.3 };
  const slow = await trained({ ...common, algorithm: "slowmo", outerMomentum: 0 });
  const plain = await trained({ ...common, algorithm: "celgc" });
  same(slow.weights, plain.weights);
});

Deno.test("DiLoCo takes Nesterov's step along the averaged displacement", async () => {
  const lr = 0.6, clip = 0.3;
  const run = await trained({ algorithm: "diloco", lr, clip });
  same(run.weights, dilocoByHand(0.7, 0.9, lr, clip));
  bothKinds(run.clipped);
  const other = await trained({ algorithm: "diloco", lr, clip, outerLr: 1, outerMomentum: 0.5 });
  same(other.weights, dilocoByHand(1, 0.5, lr, clip));
});

Deno.test("EPISODE corrects gradients and clips whole rounds by the resampled average", async () => {
  const lr = 0.8, clip = 0.32;
  const run = await trained({ algorithm: "episode", lr, clip });
  const expected = episodeByHand(lr, clip);
  same(run.weights, expected.weights);
  assert.deepEqual(run.clipped, expected.clipped);
  bothKinds(run.clipped);
  // One average of gradients and one of weights a round; the last is not whole, and ends the run.
  assert.equal(run.summary.rounds, Math.ceil(STEPS / INTERVAL));
});

Deno.test("what these algorithms cannot do is refused", () => {
  for (const algorithm of ["slowmo", "diloco", "episode"] as const) {
    if (algorithm !== "episode") {
      assert.throws(
        () => resolveOptions({ algorithm, ranks: 8, participants: 6 }),
        /needs all 8 ranks in every round, not --participants 6/,
      );
    }
    assert.throws(() => resolveOptions({ algorithm, average: "before" }), OptionError);
  }
  assert.throws(() => resolveOptions({ algorithm: "diloco", outerMomentum: 1 }), OptionError);
});
