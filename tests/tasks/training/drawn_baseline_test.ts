/** The baseline with drawn ranks on real ranks against a plain serial program, in float64. */

import assert from "node:assert/strict";
import { drawParticipants } from "../../../optimizers/mod.ts";
import type { StepRecord } from "../../../tasks/run/metrics.ts";
import { samplesOf } from "../_mlp.ts";
import { initialWeights, lossAndGradient } from "../_serial.ts";
import { trainMlp } from "../_train_mlp.ts";

const RANKS = 4, BATCH = 4, STEPS = 13, SEED = 5, LR = 0.8, CLIP = 0.3;

const norm = (v: readonly number[]) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));

const mean = (all: readonly number[][]) =>
  all[0].map((_, i) => all.reduce((sum, v) => sum + v[i], 0) / all.length);

interface Setting {
  participants: number;
  momentum?: number;
  weightDecay?: number;
}

/** N ranks stepped in turn, of which each step has some. */
function byHand({ participants, momentum = 0, weightDecay = 0 }: Setting) {
  let x = Array.from({ length: RANKS }, () => initialWeights(SEED));
  const buffers: (number[] | null)[] = x.map(() => null);
  const losses: number[][] = x.map(() => []), clipped: boolean[][] = x.map(() => []);
  for (let t = 1; t <= STEPS; t++) {
    const drawn = drawParticipants(SEED, t, RANKS, participants);
    const found = x.map((own, rank) => lossAndGradient(own, samplesOf(t, rank, RANKS, BATCH)));
    const g = mean(drawn.map((rank) => found[rank].gradient));
    const scale = Math.min(LR, CLIP / norm(g));
    const stepped = x.map((own, rank) => {
      losses[rank].push(found[rank].loss);
      clipped[rank].push(drawn.includes(rank) && scale < LR);
      if (!drawn.includes(rank)) return own;
      const before = buffers[rank];
      const d = g.map((v, i) => v + weightDecay * own[i] + (before ? momentum * before[i] : 0));
      buffers[rank] = d;
      return own.map((v, i) => v - scale * d[i]);
    });
    const common = mean(drawn.map((rank) => stepped[rank]));
    x = stepped.map((own, rank) => drawn.includes(rank) ? common : own);
  }
  return { weights: mean(x), losses, clipped };
}

const difference = (a: readonly number[], b: readonly number[]) =>
  Math.max(...a.map((x, i) => Math.abs(x - b[i])));

for (
  const setting of [{ participants: 3 }, { participants: 2, momentum: 0.7, weightDecay: 0.01 }]
) {
  Deno.test(`naive-parallel with ${JSON.stringify(setting)} is its serial program`, async () => {
    const expected = byHand(setting);
    const { weights, records, summary } = await trainMlp({
      ...setting,
      algorithm: "naive-parallel",
      ranks: RANKS,
      batchSize: BATCH,
      maxSteps: STEPS,
      lr: LR,
      clip: CLIP,
      seed: SEED,
    });
    assert.ok(difference(weights, expected.weights) < 1e-6);
    assert.ok(difference(weights, initialWeights(SEED)) > 0.1, "nothing was learnt");
    for (let rank = 0; rank < RANKS; rank++) {
      const own = records.filter((record): record is StepRecord =>
        record.type === "step" && record.rank === rank
      );
      assert.ok(difference(own.map(({ loss }) => loss), expected.losses[rank]) < 1e-6);
      assert.deepEqual(own.map(({ clipped }) => clipped), expected.clipped[rank]);
    }
    const all = expected.clipped.flat();
    assert.ok(all.includes(true) && all.includes(false), "both kinds of step are covered");
    const rounds = records.flatMap((record) => record.type === "round" ? record : []);
    assert.deepEqual(
      rounds.filter(({ final }) => !final).map(({ participants }) => participants),
      Array.from(
        { length: STEPS },
        (_, t) => drawParticipants(SEED, t + 1, RANKS, setting.participants),
      ),
    );
    assert.ok(rounds.every(({ driftBound }) => driftBound === null));
    assert.equal(summary.rounds, STEPS + 1);
  });
}
