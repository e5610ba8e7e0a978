/**
 * Partial participation: at each round some of the ranks, drawn at random, average; the others are left
 * untouched (Liu et al., NeurIPS 2022, appendix on partial participation).
 *
 * @module
 */

import { Random } from "../runtime/base/random.ts";

/**
 * The ranks that take part in a round, in increasing order: a uniform draw without replacement, and a
 * pure function of its arguments, so that every rank draws the same and a rerun replays it.
 *
 * @param seed the run's seed
 * @param round counted from 1
 * @param ranks number of ranks, N
 * @param count how many take part, from 1 to N
 */
export function drawParticipants(
  seed: number,
  round: number,
  ranks: number,
  count: number,
): number[] {
  if (!Number.isInteger(count) || count < 1 || count > ranks) {
    throw new RangeError(`of ${ranks} ranks, 1 to ${ranks} can take part in a round, not ${count}`);
  }
  if (count === ranks) return Array.from({ length: ranks }, (_, rank) => rank);
  const order = new Random(seed, "participants", round).permutation(ranks);
  return [...order.subarray(0, count)].sort((a, b) => a - b);
}
