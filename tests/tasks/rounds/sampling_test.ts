/** Rounds of drawn ranks on real ranks against the algorithm by hand, in float64. */

import assert from "node:assert/strict";
import { drawParticipants, parseSampling } from "../../../optimizers/mod.ts";
import { samplesOf } from "../_mlp.ts";
import { initialWeights, lossAndGradient } from "../_serial.ts";
import { trainMlp } from "../_train_mlp.ts";
import { WeightAveraging } from "../../../tasks/rounds/averaging.ts";
import { world } from "../../_helpers/world.ts";

const RANKS = 4, BATCH = 4, STEPS = 12, INTERVAL = 2, SEED = 5, LR = 0.8, CLIP = 0.3;

const norm = (v: readonly number[]) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));

const mean = (all: readonly number[][]) =>
  all[0].map((_, i) => all.reduce((sum, v) => sum + v[i], 0) / all.length);

/** CELGC on ranks that are stepped in turn. @param drawn those of a round, counted from 0 */
function byHand(drawn: (round: number) => number[]) {
  let x = Array.from({ length: RANKS }, () => initialWeights(SEED));
  for (let t = 1; t <= STEPS; t++) {
    x = x.map((own, rank) => {
      const { gradient } = lossAndGradient(own, samplesOf(t, rank, RANKS, BATCH));
      const scale = Math.min(LR, CLIP / norm(gradient));
      return own.map((v, i) => v - scale * gradient[i]);
    });
    if (t % INTERVAL !== 0) continue;
    const members = drawn(t / INTERVAL - 1), common = mean(members.map((rank) => x[rank]));
    x = x.map((own, rank) => members.includes(rank) ? common : own);
  }
  return mean(x);
}

const rules: Record<string, (round: number) => number[]> = {
  // Two ranks are there for two rounds, then the other two.
  "periodic:2,2": (round) => [[0, 1], [0, 1], [2, 3], [2, 3]][round % 4],
  "dirichlet:0.3": (round) =>
    drawParticipants(SEED, round + 1, RANKS, 2, parseSampling("dirichlet:0.3")),
};

for (const [sampling, drawn] of Object.entries(rules)) {
  Deno.test(`celgc with ranks drawn ${sampling} is its serial program`, async () => {
    const { weights, records } = await trainMlp({
      ranks: RANKS,
      ...sampling.startsWith("periodic") ? {} : { participants: 2 },
      sampling,
      interval: INTERVAL,
      batchSize: BATCH,
      maxSteps: STEPS,
      lr: LR,
      clip: CLIP,
      seed: SEED,
    });
    const expected = byHand(drawn);
    assert.ok(Math.max(...weights.map((w, i) => Math.abs(w - expected[i]))) < 1e-6);
    const rounds = records.flatMap((record) =>
      record.type === "round" && !record.final ? [record.participants] : []
    );
    assert.deepEqual(rounds, rounds.map((_, round) => drawn(round)));
    assert.equal(rounds.length, STEPS / INTERVAL);
    assert.ok(new Set(rounds.map(String)).size > 1, "not always the same ranks");
  });
}

/** Every choice of `count` out of `size` ranks, in increasing order. */
function choices(size: number, count: number, from = 0): number[][] {
  if (count === 0) return [[]];
  const all: number[][] = [];
  for (let first = from; first <= size - count; first++) {
    for (const rest of choices(size, count - 1, first + 1)) all.push([first, ...rest]);
  }
  return all;
}

Deno.test("of more sets of ranks than communicators are kept for, each has its own mean, again and again", async () => {
  const sets = choices(8, 4);
  assert.equal(sets.length, 70);
  await using job = await world(8);
  await Promise.all(job.ranks.map(async (comm) => {
    let made = 0;
    const split = comm.split.bind(comm);
    comm.split = (color, key) => (made++, split(color, key));
    const averaging = new WeightAveraging(comm);
    for (const [round, set] of [...sets, ...sets.slice(0, 8), ...sets].entries()) {
      const own = Float32Array.of(comm.rank, round);
      await averaging.average(own, set);
      const mean = set.reduce((sum, rank) => sum + rank, 0) / set.length;
      const expected = set.includes(comm.rank) ? mean : comm.rank;
      assert.deepEqual([...own], [expected, round], `round ${round}, ranks ${set}`);
    }
    // 70, then 8 that others have taken the place of; of the last 70 those 8 are still there.
    assert.equal(made, 70 + 8 + 62);
  }));
});
