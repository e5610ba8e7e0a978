/**
 * What a run's records come to so far: the one source of such figures wherever runs are compared. Of a
 * finished run they are those of its summary.
 *
 * @module
 */

import { sum } from "./_rows.ts";
import type { RunLog } from "./run_log.ts";
import { secondsSpent } from "./seconds.ts";

/** Sums over a run, as far as it is logged. Numbers that the log cannot tell are NaN. */
export interface LogTotals {
  /** Steps of each rank; their mean where the ranks take unequal numbers. */
  readonly steps: number;
  /** Rounds of averaging. */
  readonly rounds: number;
  /** Passes of all ranks together over the training data. */
  readonly epochs: number;
  /** Wall clock since the first step. */
  readonly seconds: number;
  /** Seconds of the steps, exchanges included and evaluations left out: the mean over the ranks. */
  readonly trainSeconds: number;
  /** Of those, the ones spent exchanging gradients and weights, waiting included. */
  readonly syncSeconds: number;
  /** Mean training loss of all ranks over the last tenth of their steps. */
  readonly trainLoss: number;
  /** Share of all steps that clipped, 0 to 1. */
  readonly clipRate: number;
  /** Sent by each rank, by rank. */
  readonly bytesSent: ReadonlyMap<number, number>;
}

/** Sums a run up. */
export function totalsOf(log: RunLog): LogTotals {
  const { steps } = log, rows = steps.rows();
  const rank = steps.column("rank"), iteration = steps.column("iteration");
  const last = new Map<number, number>(), bytesSent = new Map<number, number>();
  for (const row of rows) last.set(rank[row], iteration[row]);
  let rounds = 0, epochs = 0, seconds = 0;
  for (const table of [log.steps, log.rounds, log.evals]) {
    for (const row of table.rows()) {
      const of = table.column("rank")[row];
      const most = (so: number, field: "round" | "epoch" | "seconds" | "bytesSent") => {
        const value = table.column(field)[row];
        return value > so ? value : so;
      };
      bytesSent.set(of, most(bytesSent.get(of) ?? 0, "bytesSent"));
      rounds = most(rounds, "round");
      epochs = most(epochs, "epoch");
      seconds = most(seconds, "seconds");
    }
  }
  // A rank that steps fast is ahead of the mean of all, in which the end is told.
  if (log.summary !== null) epochs = Number(log.summary.epochs ?? epochs);
  // Rank 0's, or, where that was lost, another's; what it has sent behind its last step is nowhere else.
  const writer = Number(log.summary?.rank ?? 0), atTheEnd = Number(log.summary?.bytesSent ?? 0);
  bytesSent.set(writer, Math.max(bytesSent.get(writer) ?? 0, atTheEnd));
  const tail = rows.filter((row) => {
    const steps = last.get(rank[row])!;
    return iteration[row] > steps - Math.max(1, steps / 10);
  });
  // A step that was skipped has no loss.
  const mean = (field: "loss" | "clipped", of: readonly number[]) => {
    const values = of.map((row) => steps.column(field)[row]).filter(Number.isFinite);
    return values.length === 0 ? NaN : sum(values) / values.length;
  };
  const { train, sync } = secondsSpent(log);
  return {
    steps: last.size === 0 ? 0 : sum([...last.values()]) / last.size,
    rounds,
    epochs,
    seconds,
    trainSeconds: train(Infinity),
    syncSeconds: sync(Infinity),
    trainLoss: mean("loss", tail),
    clipRate: mean("clipped", rows),
    bytesSent,
  };
}
