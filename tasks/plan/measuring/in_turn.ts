/**
 * Times what ranks do at the same time, as they would in a run.
 *
 * @module
 */

import type { Communicator } from "../../../runtime/communicator.ts";
import type { GradientSync, OverRanks } from "../measured.ts";

/** Turns before the first that counts. */
const WARM_UP = 2;
/** Fewest turns that are timed. */
const LEAST_TURNS = 4;
/** After this time in ms no more are taken than those. */
const TURNS_MS = 4000;

/** Something that is timed. */
export interface Timed {
  readonly way: GradientSync | "round";
  /** Most steps that are taken at a time. */
  readonly most: number;
  /**
   * @param t which step is the first
   * @returns how many were taken
   */
  act(t: number): Promise<number>;
}

/**
 * Times things that all ranks do, in turn until time is up, so that what else goes on in the machine meets them all.
 *
 * They begin each together, after a pause, as they do where an average has arrived that they have waited for: caches are
 * another's then, and so are processors. A run waits for the slowest rank each time, whichever that is. What is told are
 * medians over the turns. Collective.
 *
 * @param pauseMs as long as an average is on its way
 */
export async function inTurn(
  comm: Communicator,
  timed: readonly Timed[],
  pauseMs: number,
): Promise<Record<Timed["way"], OverRanks>> {
  /** Of each thing in each turn. */
  const means: number[][] = timed.map(() => []), most: number[][] = timed.map(() => []);
  const own = new Float64Array(timed.length + 1), all = new Float64Array(own.length * comm.size);
  let start = performance.now();
  for (let turn = -WARM_UP, passed = 0; turn < LEAST_TURNS || passed < TURNS_MS; turn++) {
    if (turn === 0) start = performance.now();
    for (const [i, { way, most, act }] of timed.entries()) {
      await comm.barrier();
      if (way !== "round") await new Promise((done) => setTimeout(done, pauseMs));
      const began = performance.now();
      const count = await act(1 + (WARM_UP + turn) * most);
      own[i] = (performance.now() - began) / 1000 / count;
    }
    own[timed.length] = performance.now() - start;
    await comm.allgather(own, all);
    const ofAll = (i: number) =>
      Array.from({ length: comm.size }, (_, rank) => all[rank * own.length + i]);
    passed = ofAll(timed.length)[0];
    if (turn < 0) continue;
    for (let i = 0; i < timed.length; i++) {
      const each = ofAll(i);
      means[i].push(each.reduce((sum, seconds) => sum + seconds, 0) / comm.size);
      most[i].push(Math.max(...each));
    }
  }
  return Object.fromEntries(
    timed.map(({ way }, i) => [way, { mean: median(means[i]), slowest: median(most[i]) }]),
  ) as Record<Timed["way"], OverRanks>;
}

/** The middle one, or the larger of two. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}
