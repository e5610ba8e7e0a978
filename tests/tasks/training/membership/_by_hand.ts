/** A run whose ranks leave and come, on ranks of this process, and the same by hand. */

import assert from "node:assert/strict";
import { BY_BATCHES, Deal } from "../../../../tasks/data/sampling/deal.ts";
import { membersOf, type Worlds } from "../../../../tasks/data/sampling/worlds.ts";
import { resolveOptions } from "../../../../tasks/options/resolve.ts";
import type { Options } from "../../../../tasks/options/table.ts";
import type { TaskDealer } from "../../../../tasks/problems/open_problem.ts";
import { LeftError } from "../../../../tasks/training/membership/members.ts";
import { train, type Trained } from "../../../../tasks/training/train.ts";
import { world } from "../../../_helpers/world.ts";
import { mlp, mlpTask } from "../../_mlp.ts";
import { initialWeights, lossAndGradient } from "../../_serial.ts";

export const BATCH = 3, INTERVAL = 2, STEPS = 12;

const LR = 0.8, CLIP = 0.3, MOMENTUM = 0.6, SEED = 5;

/** The options of such a run. */
export function optionsOf(size: number, given: Partial<Options> = {}): Options {
  return resolveOptions({
    ...{ device: "cpu", ranks: size, batchSize: BATCH, maxSteps: STEPS, interval: INTERVAL },
    ...{ lr: LR, clip: CLIP, momentum: MOMENTUM, seed: SEED, epochs: 1000, evalEvery: 1000 },
    ...given,
  });
}

/** Deals samples out to the ranks there are. */
export const task: TaskDealer = (place, worlds) => {
  const { ranks } = worlds.at(-1)!, deal = Deal.of(worlds, BATCH, BY_BATCHES, ranks);
  const samples = (t: number) =>
    Array.from({ length: BATCH }, (_, i) => deal.place(t - 1, i, place));
  return mlpTask(place, ranks, BATCH, samples);
};

/** What a run trains: the network of this file, or that of a task that is named. */
export const partsOf = ({ task: named }: Partial<Options>) => named ? {} : { model: mlp, task };

/** Runs again what a record says, on a rank for each number in it. */
export async function replayed(script: Worlds, size: number, given: Partial<Options> = {}) {
  const options = optionsOf(size, given);
  await using mesh = await world(size, {});
  const results = await Promise.allSettled(
    mesh.ranks.map((comm) => train(comm, options, { ...partsOf(given), replay: script })),
  );
  const ended: Trained[] = [];
  for (const [rank, result] of results.entries()) {
    const stays = membersOf(script.at(-1)!).includes(rank);
    if (result.status === "fulfilled") ended.push(result.value);
    else if (!(result.reason instanceof LeftError)) throw result.reason;
    assert.equal(result.status === "fulfilled", stays, `rank ${rank}`);
  }
  return ended[0];
}

interface Copy {
  x: number[];
  momentum: number[] | null;
  hand: number[];
}

/**
 * The same by hand: copies of the network that are stepped in turn, draw their samples from a deck into which those of
 * one that is lost are put back, and meet. Nothing of it is the trainer's but weights and samples.
 */
export function byHand(script: Worlds, size: number): { weights: number[]; seen: number[] } {
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
    const first = copies.get(membersOf(joined).find((rank) => copies.has(rank))!)!;
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
