/** CELGC that is clipped by parts, and smoothly, on real ranks against the algorithm by hand. */

import assert from "node:assert/strict";
import type { ClipBy } from "../../../optimizers/mod.ts";
import { resolveOptions } from "../../../tasks/options/resolve.ts";
import { CLASSES, FEATURES, HIDDEN, samplesOf } from "../_mlp.ts";
import { initialWeights, lossAndGradient } from "../_serial.ts";
import { trainMlp } from "../_train_mlp.ts";

const RANKS = 2, BATCH = 4, STEPS = 8, INTERVAL = 2, SEED = 5, LR = 0.8;

const norm = (v: readonly number[]) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));

const mean = (all: readonly number[][]) =>
  all[0].map((_, i) => all.reduce((sum, v) => sum + v[i], 0) / all.length);

/** The parameters' lengths, in the order of the flat weights. */
const LENGTHS = [HIDDEN * FEATURES, HIDDEN, CLASSES * HIDDEN, CLASSES];
const FLOATS = LENGTHS.reduce((a, b) => a + b);

/** What a gradient becomes, and the share of its parts that were clipped. */
type Clip = (g: readonly number[], most: number) => { g: number[]; share: number };

const CLIPS: Partial<Record<ClipBy, Clip>> = {
  layer(g, most) {
    let at = 0, clipped = 0;
    const cut = LENGTHS.flatMap((length) => {
      const own = g.slice(at, at += length), ownNorm = norm(own), clips = ownNorm > most;
      if (clips) clipped++;
      return clips ? own.map((v) => v * most / ownNorm) : own;
    });
    return { g: cut, share: clipped / LENGTHS.length };
  },
  value: (g, most) => ({
    g: g.map((v) => Math.max(-most, Math.min(most, v))),
    share: g.filter((v) => Math.abs(v) > most).length / g.length,
  }),
  smooth(g, most) {
    const whole = norm(g);
    return { g: g.map((v) => v * most / (most + whole)), share: whole > most ? 1 : 0 };
  },
};

/** γ of each, and how many times 2γI the drift may be. */
const SETTINGS: [clipBy: ClipBy, clip: number, factor: number][] = [
  ["layer", 0.15, Math.sqrt(LENGTHS.length)],
  ["value", 0.03, Math.sqrt(FLOATS)],
  ["smooth", 0.6, 1],
];

for (const [clipBy, clip, factor] of SETTINGS) {
  Deno.test(`celgc clipped by ${clipBy} is its serial program`, async () => {
    let x = Array.from({ length: RANKS }, () => initialWeights(SEED));
    const shares: number[] = [];
    for (let t = 1; t <= STEPS; t++) {
      x = x.map((own, rank) => {
        const { gradient } = lossAndGradient(own, samplesOf(t, rank, RANKS, BATCH));
        const { g, share } = CLIPS[clipBy]!(gradient, clip / LR);
        shares.push(share);
        return own.map((v, i) => v - LR * g[i]);
      });
      if (t % INTERVAL === 0) x = x.map(() => mean(x));
    }
    const common = { ranks: RANKS, batchSize: BATCH, maxSteps: STEPS, interval: INTERVAL };
    const { weights, records, summary } = await trainMlp({
      ...common,
      seed: SEED,
      lr: LR,
      clip,
      clipBy,
    });
    const expected = x[0];
    assert.ok(Math.max(...weights.map((w, i) => Math.abs(w - expected[i]))) < 1e-6);
    assert.ok(Math.abs(summary.driftBound! - 2 * clip * INTERVAL * factor) < 1e-12);
    assert.ok(summary.maxDrift! > 0 && summary.maxDrift! <= summary.driftBound!);
    const all = shares.reduce((a, b) => a + b, 0) / shares.length;
    assert.ok(Math.abs(summary.clipRate! - all) < 1e-6, `${summary.clipRate} and ${all}`);
    assert.ok(all > 0 && all < 1, `${all}`);
    const steps = records.flatMap((record) => record.type === "step" ? [record] : []);
    const noted = steps.sort((a, b) => a.step - b.step || a.rank - b.rank);
    noted.forEach(({ clipped, clippedShare }, i) => {
      assert.equal(clipped, shares[i] > 0);
      if (clipBy === "smooth") assert.equal(clippedShare, undefined);
      else assert.ok(Math.abs(clippedShare! - shares[i]) < 1e-6);
    });
  });
}

Deno.test("the averaged gradient's norm is asked for where ranks average gradients, or is refused", () => {
  const clipBy = "max" as const;
  assert.equal(resolveOptions({ clipBy }).clipBy, "max");
  for (const algorithm of ["naive-parallel", "single", "minibatch-clip"] as const) {
    assert.equal(resolveOptions({ algorithm, clipBy }).clipBy, "local", "it is the gradient's own");
    assert.equal(resolveOptions({ algorithm, clipBy: "layer" }).clipBy, "layer");
  }
  for (const algorithm of ["fedprox", "scaffold-clip"] as const) {
    assert.throws(
      () => resolveOptions({ algorithm, clipBy }),
      /^OptionError: --clip-by max: .* cannot clip by max/,
    );
    assert.equal(resolveOptions({ algorithm, clipBy: "value" }).clipBy, "value");
  }
});
