/**
 * How fast a run learnt, and speedups between runs.
 *
 * @module
 */

import type { RunLog } from "./run_log.ts";
import { type SecondsAt, secondsSpent } from "./seconds.ts";

/** A run step by step: entry i is the state after its step i + 1. */
export interface Pace extends LossCurve {
  /**
   * The loss of the averaged weights on training data at each evaluation, where that was measured: entry
   * i is the state at evaluation i.
   */
  readonly averaged?: LossCurve;
}

/** How a training loss went down. */
export interface LossCurve {
  /** Passes over the training data. */
  readonly epoch: readonly number[];
  /** The loss: of steps, the mini-batch's before the step, the mean over the ranks; NaN where all have skipped it. */
  readonly loss: readonly number[];
  /** Time spent on steps and exchanges so far, evaluations left out: the mean over the ranks. */
  readonly seconds: readonly number[];
}

/** Reads the pace off a run's log. */
export function paceOf(log: RunLog): Pace {
  const { steps } = log;
  const iterations = steps.column("iteration"), epochs = steps.column("epoch");
  const losses = steps.column("loss");
  const sums = new Map<number, { epoch: number; loss: number; ranks: number }>();
  for (const row of steps.rows()) {
    const sum = sums.get(iterations[row]) ?? { epoch: epochs[row], loss: 0, ranks: 0 };
    // A step that was skipped has no loss.
    if (Number.isFinite(losses[row])) {
      sum.loss += losses[row];
      sum.ranks++;
    }
    sums.set(iterations[row], sum);
  }
  const ordered = [...sums].sort(([a], [b]) => a - b);
  const { train } = secondsSpent(log);
  const averaged = averagedLoss(log, train);
  return {
    epoch: ordered.map(([, { epoch }]) => epoch),
    loss: ordered.map(([, { loss, ranks }]) => loss / ranks),
    seconds: ordered.map(([iteration]) => train(iteration)),
    ...averaged.loss.length > 0 ? { averaged } : {},
  };
}

/** The evaluations of the averaged weights on training data, those before the first step left out. */
function averagedLoss({ evals, splits }: RunLog, secondsAt: SecondsAt): LossCurve {
  const iteration = evals.column("iteration"), loss = evals.column("loss");
  const rows = evals.rows((row) => splits[row])
    .filter((row) => splits[row] === "train" && iteration[row] > 0 && Number.isFinite(loss[row]));
  return {
    epoch: rows.map((row) => evals.column("epoch")[row]),
    loss: rows.map((row) => loss[row]),
    seconds: rows.map((row) => secondsAt(iteration[row])),
  };
}

/** How many times faster `run` passed over the same data as `baseline`; null without a step. */
export function speedup(baseline: Pace, run: Pace): number | null {
  return finite(secondsPerEpoch(baseline) / secondsPerEpoch(run));
}

/**
 * How many times sooner `run` reached the training loss that `baseline` ended with.
 *
 * Where both have measured it, that is the loss of the averaged weights, whose last value is held against
 * each evaluation. Else it is the mini-batches' on the ranks' own weights, which between two rounds lie
 * above those of the average: the mean over the last tenth of the baseline's epochs, compared with means
 * over as many epochs.
 *
 * @returns null if it never did
 */
export function speedupToLoss(baseline: Pace, run: Pace): number | null {
  const measured = baseline.averaged && run.averaged;
  const [from, to] = measured ? [baseline.averaged, run.averaged!] : [baseline, run];
  const window = measured ? 0 : (from.epoch.at(-1) ?? 0) / 10;
  const target = trailingMean(from, from.epoch.length - 1, window);
  if (target === null) return null;
  const before = secondsToLoss(from, target, window), after = secondsToLoss(to, target, window);
  return before === null || after === null ? null : finite(before / after);
}

/** Seconds until the loss, averaged over the last `window` epochs, was at most `target`. */
export function secondsToLoss(pace: LossCurve, target: number, window: number): number | null {
  for (let i = 0; i < pace.loss.length; i++) {
    const mean = trailingMean(pace, i, window);
    if (mean !== null && mean <= target) return pace.seconds[i];
  }
  return null;
}

/** Mean loss over the `window` epochs up to step i; null while there are not as many. */
function trailingMean({ epoch, loss }: LossCurve, i: number, window: number): number | null {
  // An epoch is a quotient: whole windows must not fail by a rounding.
  const tiny = 1e-9;
  if (i < 0 || epoch[i] < window - tiny) return null;
  let sum = 0, count = 0;
  for (let j = i; j >= 0 && (count === 0 || epoch[j] > epoch[i] - window + tiny); j--) {
    if (!Number.isFinite(loss[j])) continue;
    sum += loss[j];
    count++;
  }
  return count === 0 ? null : sum / count;
}

function secondsPerEpoch({ epoch, seconds }: Pace): number {
  return (seconds.at(-1) ?? NaN) / (epoch.at(-1) ?? NaN);
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
