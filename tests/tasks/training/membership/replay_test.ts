/** Ranks leave and come at rounds drawn at random, and what they learn is held against copies of the network by hand. */

import assert from "node:assert/strict";
import { Random } from "../../../../runtime/base/random.ts";
import type { Worlds } from "../../../../tasks/data/sampling/worlds.ts";
import type { Options } from "../../../../tasks/options/table.ts";
import { byHand, INTERVAL, replayed, STEPS } from "./_by_hand.ts";

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
