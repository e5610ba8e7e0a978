import { groupBy, sum } from "./_rows.ts";
import type { RunLog } from "./run_log.ts";

/** Seconds that a run has spent when a given number of iterations is done: the mean over the ranks. */
export type SecondsAt = (iteration: number) => number;

/** How a run's time was spent. */
export interface SecondsSpent {
  /** On its steps, exchanges included and evaluations left out. */
  readonly train: SecondsAt;
  /** Of those, the ones spent exchanging gradients and weights, waiting included. */
  readonly sync: SecondsAt;
}

/**
 * Reads off a log how the run's time was spent. Where the steps do not say how long they exchanged, the
 * rounds do, without the exchange of gradients.
 */
export function secondsSpent(log: RunLog): SecondsSpent {
  const { steps, rounds } = log;
  const rows = steps.rows(), rank = steps.column("rank");
  const ranks = new Set(rows.map((row) => rank[row])).size;
  const synced = steps.column("syncMs");
  return {
    train: secondsAt(rows, steps.column("iteration"), steps.column("stepMs"), ranks),
    sync: rows.some((row) => Number.isFinite(synced[row]))
      ? secondsAt(rows, steps.column("iteration"), synced, ranks)
      : secondsAt(rounds.rows(), rounds.column("iteration"), rounds.column("syncMs"), 1),
  };
}

/** Sums of milliseconds over `parts` up to an iteration, in seconds. */
function secondsAt(
  rows: readonly number[],
  iterations: readonly number[],
  milliseconds: readonly number[],
  parts: number,
): SecondsAt {
  const groups = groupBy(rows, (row) => iterations[row]);
  const ends = groups.map(([row]) => iterations[row]);
  const passed: number[] = [];
  let seconds = 0;
  for (const group of groups) {
    seconds += sum(group.map((row) => milliseconds[row]).filter(Number.isFinite)) / parts / 1000;
    passed.push(seconds);
  }
  return (iteration) => {
    // The last group that is done by then.
    let low = 0, high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ends[middle] <= iteration) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : passed[low - 1];
  };
}
