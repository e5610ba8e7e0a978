/**
 * Ranks come and go at random, and the samples are held against a plain deck of cards: each rank draws from the top,
 * a rank that goes without a round puts what it drew since then back, and nothing may be missing or there twice.
 */

import assert from "node:assert/strict";
import { Random } from "../../../../runtime/base/random.ts";
import { BY_BATCHES, BY_TURNS, Deal } from "../../../../tasks/data/sampling/deal.ts";
import { createImageSampler } from "../../../../tasks/data/sampling/sampler.ts";
import { continueWorlds, ranksAt, type Worlds } from "../../../../tasks/data/sampling/worlds.ts";
import { type Event, history, worldsOf } from "../_histories.ts";

/** What each rank draws in each step, from a deck: sample numbers by step and rank. */
function dealt(events: readonly Event[], batch: number, turns: boolean) {
  const deck: number[] = [], open = new Map<number, number[]>(), done: number[] = [];
  let fresh = 0;
  const draw = () => deck.shift() ?? fresh++;
  const hands = events.map(({ members, meets, lost, lostAfter, joins }) => {
    const hand = new Map(members.map((rank): [number, number[]] => [rank, []]));
    if (turns) {
      for (let i = 0; i < batch; i++) for (const rank of members) hand.get(rank)!.push(draw());
    } else {
      for (const rank of members) for (let i = 0; i < batch; i++) hand.get(rank)!.push(draw());
    }
    for (const [rank, cards] of hand) open.set(rank, [...open.get(rank) ?? [], ...cards]);
    for (const rank of meets) {
      done.push(...open.get(rank)!);
      open.set(rank, []);
    }
    for (const rank of [...lost, ...lostAfter]) {
      deck.push(...open.get(rank)!);
      open.set(rank, []);
    }
    deck.sort((a, b) => a - b);
    for (const rank of joins) open.set(rank, []);
    return hand;
  });
  return { hands, deck, done, open, fresh };
}

for (const [name, seat] of [["turns", BY_TURNS], ["batches", BY_BATCHES]] as const) {
  Deno.test(`ranks that come and go take each sample once: by ${name}`, () => {
    for (let seed = 0; seed < 300; seed++) {
      const random = new Random(seed, "histories");
      const ranks = 1 + Math.floor(random.uniform() * 5),
        batch = 1 + Math.floor(random.uniform() * 3);
      const events = history(random, 24, ranks), before = worldsOf(events, ranks);
      const { hands, deck, done, open, fresh } = dealt(events, batch, name === "turns");
      events.forEach(({ members }, step) => {
        const deal = Deal.of(before[step], batch, seat, ranks);
        for (const [place, rank] of members.entries()) {
          const own = Array.from({ length: batch }, (_, i) => deal.place(step, i, place));
          assert.deepEqual(own, hands[step].get(rank), `seed ${seed}, step ${step}, rank ${rank}`);
        }
      });
      const all = [...done, ...deck, ...[...open.values()].flat()].sort((a, b) => a - b);
      assert.deepEqual(all, [...Array(fresh).keys()], `seed ${seed}: each sample once`);
    }
  });
}

Deno.test("an epoch of images has each once, though a rank is lost in it", () => {
  const labels = new Uint8Array(97), batchSize = 2, shared = { labels, classes: 10, batchSize };
  const worlds = [
    { step: 0, ranks: 3 },
    { step: 8, ranks: 2, members: [0, 2], lost: [{ rank: 1, since: 6 }] },
  ];
  const of = (upTo: number, ranks: number) =>
    Array.from(
      { length: ranks },
      (_, rank) =>
        createImageSampler({ ...shared, rank, ranks, seed: 3, worlds: worlds.slice(0, upTo) }),
    );
  const seen: number[] = [];
  for (const [rank, sampler] of of(1, 3).entries()) {
    for (let step = 0; step < (rank === 1 ? 6 : 8); step++) seen.push(...sampler.indices(step));
  }
  const after = of(2, 2), steps = after[0].steps(1);
  assert.equal(after[0].epoch(8), seen.length / 97);
  for (let step = 8; step < steps; step++) {
    for (const sampler of after) seen.push(...sampler.indices(step));
  }
  assert.ok(seen.length >= 97 && seen.length < 97 + 2 * batchSize);
  assert.deepEqual(new Set(seen.slice(0, -(seen.length - 97) || undefined)).size, 97);
  assert.equal(after[0].epoch(steps), seen.length / 97);
});

Deno.test("a run that goes on from a checkpoint keeps the worlds that have written it", () => {
  const worlds: Worlds = [
    { step: 0, ranks: 3 },
    { step: 4, ranks: 2, members: [0, 2], lost: [{ rank: 1, since: 2 }] },
    { step: 6, ranks: 3, members: [0, 1, 2] },
  ];
  assert.equal(ranksAt(worlds, 4), 2, "who was lost in a round is not in its checkpoint");
  assert.equal(ranksAt(worlds, 6), 2, "who comes after a round is not in its checkpoint");
  assert.equal(ranksAt(worlds, 8), 3);
  assert.deepEqual(continueWorlds(worlds, 4, 2), worlds.slice(0, 2));
  assert.deepEqual(continueWorlds(worlds, 6, 3), [...worlds.slice(0, 2), { step: 6, ranks: 3 }]);
  assert.deepEqual(continueWorlds(worlds, 8, 3), worlds);
  assert.deepEqual(continueWorlds(worlds, 2, 3), worlds.slice(0, 1));
  assert.deepEqual(continueWorlds(worlds, null, 3), [{ step: 0, ranks: 3 }]);
});
