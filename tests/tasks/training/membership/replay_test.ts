/**
 * Ranks leave and come at rounds drawn at random, and what they learn is held against copies of the network in one
 * process that do so by hand: each is stepped in turn, draws its samples from a deck into which those of one that is
 * lost are put back, and the copies there are meet. Nothing of it is the trainer's but weights and samples.
 */

import assert from "node:assert/strict";
import { Random } from "../../../../runtime/base/random.ts";
import { BY_BATCHES, Deal } from "../../../../tasks/data/sampling/deal.ts";
import { membersOf, type Worlds } from "../../../../tasks/data/sampling/worlds.ts";
import { resolveOptions } from "../../../../tasks/options/resolve.ts";
import type { Options } from "../../../../tasks/options/table.ts";
import { LeftError } from "../../../../tasks/training/membership/members.ts";
import { train, type Trained } from "../../../../tasks/training/train.ts";
import { world } from "../../../_helpers/world.ts";
import { mlp, mlpTask } from "../../_mlp.ts";
import { initialWeights, lossAndGradient } from "../../_serial.ts";

const BATCH = 3, INTERVAL = 2, STEPS = 12, LR = 0.8, CLIP = 0.3, MOMENTUM = 0.6, SEED = 5;

/** Runs again what a record says, on a rank for each number in it. */
async function replayed(script: Worlds, size: number, given: Partial<Options> = {}) {
  const options = resolveOptions({
    ...{ device: "cpu", ranks: size, batchSize: BATCH, maxSteps: STEPS, interval: INTERVAL },
    ...{ lr: LR, clip: CLIP, momentum: MOMENTUM, seed: SEED, epochs: 1000, evalEvery: 1000 },
    ...given,
  });
  await using mesh = await world(size, {});
  const results = await Promise.allSettled(mesh.ranks.map((comm) =>
    train(comm, options, {
      model: mlp,
      task(place, worlds) {
        const { ranks } = worlds.at(-1)!, deal = Deal.of(worlds, BATCH, BY_BATCHES, ranks);
        const samples = (t: number) =>
          Array.from({ length: BATCH }, (_, i) => deal.place(t - 1, i, place));
        return mlpTask(place, ranks, BATCH, samples);
      },
      replay: script,
    })
  ));
  const ended: Trained[] = [];
  for (const [rank, result] of results.entries()) {
    const stays = membersOf(script.at(-1)!).includes(rank);
    if (result.status === "fulfilled") ended.push(result.value);
    else if (!(result.reason instanceof LeftError)) throw result.reason;
    assert.equal(result.status === "fulfilled", stays, `rank ${rank}`);
  }
  return ended[0];
}

/** A record in which ranks are lost and come at rounds. */
function record(random: Random, size: number): Worlds {
  const worlds: { -readonly [Key in keyof Worlds[number]]: Worlds[number][Key] }[] = [
    { step: 0, ranks: size },
  ];
  let members = Array.from({ length: size }, (_, rank) => rank);
  const met = new Map(members.map((rank) => [rank, 0]));
  for (let step = INTERVAL; step < STEPS; step += INTERVAL) {
    const lost = members.slice(1).filter(() => random.uniform() < 0.25);
    if (random.uniform() < 0.15 && members.length > 1 && !lost.includes(members[0])) {
      lost.unshift(members[0]);
      if (lost.length === members.length) lost.pop();
    }
    if (lost.length > 0) {
      members = members.filter((rank) => !lost.includes(rank));
      const gone = lost.map((rank) => ({ rank, since: met.get(rank)! }));
      worlds.push({ step, ranks: members.length, members, lost: gone });
    }
    for (const rank of members) met.set(rank, step);
    const absent = Array.from({ length: size }, (_, rank) => rank)
      .filter((rank) => !members.includes(rank));
    const joins = absent.filter(() => random.uniform() < 0.4);
    if (joins.length > 0) {
      for (const rank of joins) met.set(rank, step);
      members = [...members, ...joins];
      worlds.push({ step, ranks: members.length, members });
    }
  }
  return worlds;
}

interface Copy {
  x: number[];
  momentum: number[] | null;
  hand: number[];
}

/** The same by hand. */
function byHand(script: Worlds, size: number): { weights: number[]; seen: number[] } {
  const initial = initialWeights(SEED), seen: number[] = [], deck: number[] = [];
  const fresh = (): Copy => ({ x: [...initial], momentum: null, hand: [] });
  let copies = new Map(Array.from({ length: size }, (_, rank) => [rank, fresh()]));
  let next = 0;
  for (let t = 1; t <= STEPS; t++) {
    for (const copy of copies.values()) {
      const samples = Array.from({ length: BATCH }, () => deck.shift() ?? next++);
      copy.hand.push(...samples);
      const { gradient } = lossAndGradient(copy.x, samples);
      const scale = Math.min(LR, CLIP / Math.hypot(...gradient)), before = copy.momentum;
      copy.momentum = gradient.map((g, k) => before ? MOMENTUM * before[k] + g : g);
      copy.x = copy.x.map((v, k) => v - scale * copy.momentum![k]);
    }
    if (t % INTERVAL !== 0) continue;
    const changes = script.filter(({ step }) => step === t && step > 0);
    for (const { lost } of changes) {
      for (const { rank } of lost ?? []) {
        deck.push(...copies.get(rank)!.hand);
        copies.delete(rank);
      }
    }
    deck.sort((a, b) => a - b);
    const all = [...copies.values()];
    const mean = initial.map((_, k) => all.reduce((sum, { x }) => sum + x[k], 0) / all.length);
    for (const copy of all) {
      copy.x = [...mean];
      seen.push(...copy.hand.splice(0));
    }
    const joined = changes.find(({ lost }) => !lost);
    if (!joined) continue;
    const [first] = all;
    copies = new Map(
      membersOf(joined).map((rank) => [
        rank,
        copies.get(rank) ?? { x: [...mean], momentum: [...first.momentum!], hand: [] },
      ]),
    );
  }
  const all = [...copies.values()];
  for (const { hand } of all) seen.push(...hand);
  const weights = initial.map((_, k) => all.reduce((sum, { x }) => sum + x[k], 0) / all.length);
  return { weights, seen: [...seen, ...deck].sort((a, b) => a - b) };
}

const unsanitized = { sanitizeOps: false, sanitizeResources: false }; // the engine keeps its threads

Deno.test({
  ...unsanitized,
  name: "ranks that leave and come are copies that leave and come by hand, each sample once",
  async fn() {
    for (let seed = 0; seed < 12; seed++) {
      const size = 2 + seed % 3, script = record(new Random(seed, "records"), size);
      const { summary, weights } = await replayed(script, size);
      const expected = byHand(script, size);
      assert.deepEqual(expected.seen, [...expected.seen.keys()], "each sample once");
      const apart = Math.max(...weights.map((x, i) => Math.abs(x - expected.weights[i])));
      assert.ok(apart < 1e-5, `${apart} apart, seed ${seed}: ${JSON.stringify(script)}`);
      assert.equal(summary.ranks, script.at(-1)!.ranks);
      assert.equal(summary.identicalWeights, true);
      assert.deepEqual(summary.membership, script.length > 1 ? script : undefined);
    }
  },
});

const SCRIPT: Worlds = [
  { step: 0, ranks: 3 },
  { step: 4, ranks: 2, members: [0, 2], lost: [{ rank: 1, since: 2 }] },
  { step: 6, ranks: 3, members: [0, 2, 1] },
  { step: 8, ranks: 2, members: [2, 1], lost: [{ rank: 0, since: 6 }] },
];

for (
  const given of [
    { compress: "int8", momentum: 0.6 },
    { algorithm: "slowmo", momentum: 0 },
    { algorithm: "scaffold-clip", momentum: 0 },
    { algorithm: "diloco", optimizer: "adamw", momentum: 0, lr: 0.01 },
    { algorithm: "sparseloco" },
    { participants: 2 },
    { fragments: 2, accumulate: 2 },
    { ema: 0.9, evalEvery: 0.02 },
    { averageStates: true },
    { checkpointEvery: null, interval: "1..4:1,2" },
  ] as Partial<Options>[]
) {
  Deno.test({
    ...unsanitized,
    name: `a replay gives the same bits again: ${JSON.stringify(given)}`,
    async fn() {
      const one = await replayed(SCRIPT, 3, given), two = await replayed(SCRIPT, 3, given);
      assert.equal(one.summary.weightsHash, two.summary.weightsHash);
      assert.equal(one.summary.identicalWeights, true);
      assert.equal(one.summary.rounds, two.summary.rounds);
      const whole = await replayed(SCRIPT.slice(0, 1), 3, given);
      assert.notEqual(whole.summary.weightsHash, one.summary.weightsHash);
    },
  });
}
