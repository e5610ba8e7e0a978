/** SparseLoCo on real ranks against its paper's Algorithm 1, written out. */

import assert from "node:assert/strict";
import { sparseLoco } from "../../../optimizers/mod.ts";
import { resolveOptions } from "../../../tasks/options/resolve.ts";
import { samplesOf } from "../_mlp.ts";
import { initialWeights, lossAndGradient } from "../_serial.ts";
import { trainMlp } from "../_train_mlp.ts";

const RANKS = 3, BATCH = 4, STEPS = 12, INTERVAL = 3, SEED = 5, LR = 0.8, CLIP = 0.3;

type Vector = number[];

const f32 = (v: Vector): Vector => v.map(Math.fround);
const norm = (v: Vector) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));

/** The largest numbers of a vector, which is shorter than a block; zeros elsewhere. */
function largest(e: Vector, share: number): Vector {
  const picks = Math.ceil(share * e.length);
  const order = e.map((_, i) => i).sort((a, b) => Math.abs(e[b]) - Math.abs(e[a]));
  const kept = new Set(order.slice(0, picks));
  return e.map((v, i) => kept.has(i) ? v : 0);
}

function byHand({ share, beta, alpha }: { share: number; beta: number; alpha: number }): Vector {
  let x = initialWeights(SEED), owed = Array.from({ length: RANKS }, () => x.map(() => 0));
  for (let first = 1; first <= STEPS; first += INTERVAL) {
    const sent: Vector[] = [];
    owed = owed.map((e, rank) => {
      let y = x;
      for (let t = first; t < first + INTERVAL; t++) {
        const { gradient: g } = lossAndGradient(y, samplesOf(t, rank, RANKS, BATCH));
        const scale = Math.min(LR, CLIP / norm(g));
        y = f32(y.map((v, i) => v - scale * g[i]));
      }
      const grown = f32(e.map((v, i) => beta * v + x[i] - y[i])), out = largest(grown, share);
      sent.push(out);
      return grown.map((v, i) => v - out[i]);
    });
    x = f32(x.map((v, i) => v - alpha * sent.reduce((sum, each) => sum + each[i], 0) / RANKS));
  }
  return x;
}

const common = {
  algorithm: "sparseloco",
  ranks: RANKS,
  batchSize: BATCH,
  maxSteps: STEPS,
  interval: INTERVAL,
  seed: SEED,
  lr: LR,
  clip: CLIP,
} as const;

for (
  const { share, beta, alpha } of [
    { share: 0.2, beta: 0.8, alpha: 1 },
    { share: 0.05, beta: 1, alpha: 0.7 },
    { share: 1, beta: 0.95, alpha: 1 },
  ]
) {
  Deno.test(`SparseLoCo that sends ${share} with β = ${beta}, α = ${alpha} is its serial program`, async () => {
    const { weights, summary, records } = await trainMlp({
      ...common,
      compress: `topk:${share}`,
      residualDecay: beta,
      outerLr: alpha,
    });
    const expected = byHand({ share, beta, alpha });
    const distance = Math.max(...weights.map((w, i) => Math.abs(w - expected[i])));
    assert.ok(distance < 2e-6, `${distance} from the serial program`);
    assert.ok(norm(weights.map((w, i) => w - initialWeights(SEED)[i])) > 0.1, "nothing was learnt");
    assert.equal(summary.identicalWeights, true);
    assert.equal(summary.rounds, STEPS / INTERVAL);
    assert.equal(summary.driftBound, null);
    assert.equal(summary.compression?.codec, `topk:${share}`);
    const owes = summary.compression!.residualNorm > 0;
    assert.equal(owes, share < 1, "what is not sent is owed");
    assert.ok(records.some((record) => record.type === "round" && record.drift > 0));
  });
}

Deno.test("what SparseLoCo sends by itself, and what it cannot do", () => {
  const { sends } = sparseLoco({ interval: 4 });
  assert.deepEqual(sends, { compress: "topk:0.02:int8", decay: 0.95 });
  assert.throws(
    () => sparseLoco({ interval: 4, residualDecay: 1.5 }),
    /β of SparseLoCo is from 0 to 1/,
  );
  const algorithm = "sparseloco";
  for (
    const [given, message] of [
      [{ algorithm, participants: 2 }, /needs all 8 ranks in every round, not --participants 2/],
      [{ algorithm, overlap: true }, /sparseloco cannot be overlapped/],
      [{ algorithm, clipBy: "max" }, /sparseloco cannot clip by max/],
      [{ algorithm, residualDecay: 2 }, /--residual-decay must be a number from 0 to 1, not 2/],
      [{ residualDecay: 0.5 }, /--residual-decay 0.5 has no effect with --algorithm celgc/],
    ] as const
  ) assert.throws(() => resolveOptions(given), message);
});
