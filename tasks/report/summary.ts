/**
 * What each run of a report came to.
 *
 * @module
 */

import { type KeptWeights, keptWeights } from "../logs/best_weights.ts";
import { paceOf, speedup, speedupToLoss } from "../logs/pace.ts";
import type { RunLog, RunState } from "../logs/run_log.ts";
import type { Curve, StepCurves } from "../logs/series.ts";
import { totalsOf } from "../logs/totals.ts";

/** What a run came to, as far as it is logged. Numbers that the log cannot tell are NaN. */
export interface ReportedRun {
  /** What tells it from the other runs. */
  readonly label: string;
  /** Its folder. */
  readonly directory: string;
  /** Whether it goes on. */
  readonly going: boolean;
  /** Whether it goes on, is finished, or ended early: interrupted or failed. */
  readonly state: RunState;
  /** N; null where its `config.json` does not say. */
  readonly ranks: number | null;
  /** Passes of all ranks together over the training data. */
  readonly epochs: number;
  /** Steps of one rank. */
  readonly iterations: number;
  /** Rounds of averaging. */
  readonly rounds: number;
  /** Wall clock since the first step. */
  readonly seconds: number;
  /**
   * Seconds spent on steps, exchanges included and evaluations left out: the mean over the ranks.
   */
  readonly trainSeconds: number;
  /**
   * Of {@linkcode ReportedRun.trainSeconds}, those spent exchanging gradients and weights, waiting
   * included.
   */
  readonly syncSeconds: number;
  /** Steps of one rank in a second. */
  readonly stepsPerSecond: number;
  /** Of the ranks' own weights on their mini-batches: mean over the ranks and the last tenth of the steps. */
  readonly trainLoss: number;
  /** Of the averaged weights on training data, when last evaluated; NaN where it was not measured. */
  readonly averagedTrainLoss: number;
  /**
   * The last and the best accuracy (a fraction), perplexity or error; null where nothing was evaluated.
   */
  readonly score: ReportedScore | null;
  /** The weights that did best on the validation set, of a finished run with `--patience`; else null. */
  readonly best: KeptWeights | null;
  /** Sent by the busiest rank. */
  readonly bytesSent: number;
  /** Share of all steps that clipped, 0 to 1. */
  readonly clipRate: number;
  /** Largest drift as a share of its bound; NaN where there is no bound. */
  readonly driftOfBound: number;
  /** The baseline's training time per epoch over this run's; NaN without a baseline. */
  readonly speedup: number;
  /**
   * The baseline's time to its last training loss over this run's, of the averaged weights where both
   * measured it; NaN without a baseline, or if it never got there.
   */
  readonly speedupToLoss: number;
}

/** A score on data that the run did not train on. */
export interface ReportedScore {
  /** What it counts. */
  readonly kind: "accuracy" | "perplexity" | "RMSE";
  /** "test", "valid"; "" where the log does not say. */
  readonly split: string;
  /** Of the last evaluation. */
  readonly last: number;
  /** The best of all. */
  readonly best: number;
}

/** What a summary is made of. */
export interface Summarised {
  /** The run. */
  readonly log: RunLog;
  /** What tells it from the other runs. */
  readonly label: string;
  /** How far it has come. */
  readonly state: RunState;
  /** N; null where its `config.json` does not say. */
  readonly ranks: number | null;
  /** Index of the run that it is compared with, or -1. */
  readonly baseline: number;
  /** Curves of its steps. */
  readonly steps: StepCurves;
  /** Its accuracy by split. */
  readonly accuracy: ReadonlyMap<string, Curve>;
  /** Its perplexity by split. */
  readonly perplexity: ReadonlyMap<string, Curve>;
  /** The root of its mean squared error by split. */
  readonly RMSE: ReadonlyMap<string, Curve>;
  /** Largest drift as a share of its bound; NaN where there is no bound. */
  readonly driftOfBound: number;
}

/** The summary of every run. */
export function summarise(runs: readonly Summarised[]): ReportedRun[] {
  const paces = runs.map(({ log }) => paceOf(log));
  return runs.map(({ log, label, state, ranks, driftOfBound, ...run }, index) => {
    const totals = totalsOf(log);
    const compare = (times: typeof speedup) =>
      run.baseline < 0 || run.baseline === index
        ? NaN
        : times(paces[run.baseline], paces[index]) ?? NaN;
    return {
      label,
      directory: log.directory,
      going: state === "going",
      state,
      ranks,
      epochs: totals.epochs,
      iterations: totals.steps,
      rounds: totals.rounds,
      seconds: totals.seconds,
      trainSeconds: totals.trainSeconds,
      syncSeconds: totals.syncSeconds,
      stepsPerSecond: totals.trainSeconds > 0 ? totals.steps / totals.trainSeconds : NaN,
      trainLoss: totals.trainLoss,
      averagedTrainLoss: paces[index].averaged?.loss.at(-1) ?? NaN,
      score: scoreOf(run.accuracy, "accuracy") ?? scoreOf(run.perplexity, "perplexity") ??
        scoreOf(run.RMSE, "RMSE"),
      best: keptWeights(log.summary),
      bytesSent: Math.max(0, ...totals.bytesSent.values()),
      clipRate: totals.clipRate,
      driftOfBound,
      speedup: compare(speedup),
      speedupToLoss: compare(speedupToLoss),
    };
  });
}

/** The score on the test set if it was evaluated, else on whatever was. */
function scoreOf(
  curves: ReadonlyMap<string, Curve>,
  kind: ReportedScore["kind"],
): ReportedScore | null {
  const split = ["test", "", "valid"].find((name) => curves.has(name));
  if (split === undefined) return null;
  const values = curves.get(split)!.y.filter(Number.isFinite);
  if (values.length === 0) return null;
  const best = kind === "accuracy" ? Math.max(...values) : Math.min(...values);
  return { kind, split, last: values.at(-1)!, best };
}
