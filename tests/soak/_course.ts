/**
 * What the ranks of the soak compute: plain arithmetic that a replay in one process can repeat.
 *
 * @module
 */

/** Weights of the program. */
export const LENGTH = 10_000;

/** Who averaged in a row of rounds. */
export interface Stretch {
  /** The first of these rounds, counted from 1. */
  readonly from: number;
  /** The ranks' numbers in the job, in the order in which they were summed. */
  readonly members: readonly number[];
}

/** Moves a rank's weights as its step before a round does: another number for each rank, round and weight. */
export function step(weights: Float32Array, rank: number, round: number): void {
  let state = Math.imul(rank + 1, 0x9e3779b1) ^ Math.imul(round, 0x85ebca77);
  for (let i = 0; i < weights.length; i++) {
    state = Math.imul(state ^ state >>> 15, 0x2c1b3c6d) + 0x297a2d39 | 0;
    weights[i] -= state * 2 ** -40 + weights[i] * 2 ** -10;
  }
}

/** What the weights are after so many rounds, if these ranks have averaged. */
export function replay(stretches: readonly Stretch[], rounds: number): Float32Array {
  const weights = new Float32Array(LENGTH), sums = new Float64Array(LENGTH);
  const own = new Float32Array(LENGTH);
  for (const [i, { from, members }] of stretches.entries()) {
    const until = stretches[i + 1]?.from ?? rounds + 1;
    for (let round = from; round < until; round++) {
      sums.fill(0);
      for (const rank of members) {
        own.set(weights);
        step(own, rank, round);
        for (let k = 0; k < LENGTH; k++) sums[k] += own[k];
      }
      for (let k = 0; k < LENGTH; k++) weights[k] = Math.fround(sums[k]) / members.length;
    }
  }
  return weights;
}

/** SHA-256 of the weights, in hexadecimal digits. */
export async function hashOf(weights: Float32Array): Promise<string> {
  const bytes = new Uint8Array(weights.buffer as ArrayBuffer);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
