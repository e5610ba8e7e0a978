/** AdamW on real ranks, its states averaged or left to each, against a plain serial program in float64. */

import assert from "node:assert/strict";
import { drawParticipants } from "../../../optimizers/mod.ts";
import type { StepRecord } from "../../../tasks/run/metrics.ts";
import { FEATURES, HIDDEN, samplesOf } from "../_mlp.ts";
import { initialWeights, lossAndGradient } from "../_serial.ts";
import { trainMlp } from "../_train_mlp.ts";

const RANKS = 3, BATCH = 4, STEPS = 14, INTERVAL = 3, SEED = 5, LR = 0.05, CLIP = 0.03;
const DECAY = 0.2, BETA1 = 0.8, BETA2 = 0.95, EPS = 1e-6, WARMUP = 4, LEAST = 0.01;

const norm = (v: readonly number[]) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));

const mean = (all: readonly number[][]) =>
  all[0].map((_, i) => all.reduce((sum, v) => sum + v[i], 0) / all.length);

/** Whether weight number `i` is of a matrix: fc1.weight, fc1.bias, fc2.weight, fc2.bias in turn. */
const isMatrix = (i: number, count: number) => {
  const [fc1, classes] = [HIDDEN * FEATURES, 3];
  return i < fc1 || i >= fc1 + HIDDEN && i < count - classes;
};

/** η of step `t`: a warm-up, then a cosine. */
function rate(t: number): number {
  if (t <= WARMUP) return LR * t / WARMUP;
  const over = (t - 1 - WARMUP) / (STEPS - WARMUP);
  return LEAST + (LR - LEAST) * (1 + Math.cos(Math.PI * over)) / 2;
}

function byHand(averageStates: boolean, drawn: number) {
  const x = Array.from({ length: RANKS }, () => initialWeights(SEED)), count = x[0].length;
  const m = x.map(() => new Array<number>(count).fill(0)), v = structuredClone(m);
  const clipped: boolean[][] = x.map(() => []);
  for (let t = 1, round = 1; t <= STEPS; t++) {
    const eta = rate(t), gamma = CLIP * eta / LR;
    for (let rank = 0; rank < RANKS; rank++) {
      const { gradient } = lossAndGradient(x[rank], samplesOf(t, rank, RANKS, BATCH));
      const share = Math.min(1, gamma / (eta * norm(gradient)));
      clipped[rank].push(share < 1);
      for (let i = 0; i < count; i++) {
        const g = share * gradient[i];
        m[rank][i] = BETA1 * m[rank][i] + (1 - BETA1) * g;
        v[rank][i] = BETA2 * v[rank][i] + (1 - BETA2) * g * g;
        const first = m[rank][i] / (1 - BETA1 ** t), second = v[rank][i] / (1 - BETA2 ** t);
        const decay = isMatrix(i, count) ? DECAY : 0;
        x[rank][i] -= eta * (first / (Math.sqrt(second) + EPS) + decay * x[rank][i]);
      }
    }
    if (t % INTERVAL !== 0) continue;
    const ranks = drawParticipants(SEED, round++, RANKS, drawn);
    for (const values of averageStates ? [x, m, v] : [x]) {
      const common = mean(ranks.map((rank) => values[rank]));
      for (const rank of ranks) values[rank] = [...common];
    }
  }
  return { weights: mean(x), clipped };
}

for (const averageStates of [false, true]) {
  for (const participants of [RANKS, 2]) {
    const states = averageStates ? "averaged" : "each rank's own";
    Deno.test(`AdamW's states are ${states}, ${participants} of ${RANKS} ranks a round`, async () => {
      const expected = byHand(averageStates, participants);
      const { weights, records } = await trainMlp({
        ranks: RANKS,
        participants,
        batchSize: BATCH,
        interval: INTERVAL,
        maxSteps: STEPS,
        seed: SEED,
        optimizer: "adamw",
        averageStates,
        lr: LR,
        clip: CLIP,
        weightDecay: DECAY,
        beta1: BETA1,
        beta2: BETA2,
        eps: EPS,
        schedule: "cosine",
        warmup: WARMUP,
        lrMin: LEAST,
      });
      const error = Math.max(...weights.map((x, i) => Math.abs(x - expected.weights[i])));
      assert.ok(error < 2e-5, `${error}`);
      const moved = initialWeights(SEED).map((x, i) => Math.abs(x - weights[i]));
      assert.ok(Math.max(...moved) > 0.1, "nothing was learnt");
      for (let rank = 0; rank < RANKS; rank++) {
        const own = records.filter((record): record is StepRecord =>
          record.type === "step" && record.rank === rank
        );
        assert.deepEqual(own.map(({ clipped }) => clipped), expected.clipped[rank]);
        own.forEach(({ lr }, i) => assert.ok(Math.abs(lr - rate(i + 1)) < 1e-12));
      }
      const all = expected.clipped.flat();
      assert.ok(all.includes(true) && all.includes(false), "both kinds of step are covered");
      const rounds = records.flatMap((record) => record.type === "round" ? record : []);
      assert.ok(rounds.every(({ driftBound }) => driftBound === null));
    });
  }
}

Deno.test("averaging the states makes a difference", () => {
  const [own, common] = [false, true].map((states) => byHand(states, RANKS).weights);
  assert.ok(Math.max(...own.map((x, i) => Math.abs(x - common[i]))) > 1e-3);
});
