import type { RunOptions } from "./options_of.ts";
import type { RunLog } from "./run_log.ts";
import { type Curve, type StepCurves, trainingSeconds } from "./series.ts";

/** What a run came to, as far as it is logged. Numbers that the log cannot tell are NaN. */
export interface RunSummary {
  readonly label: string;
  readonly directory: string;
  readonly going: boolean;
  readonly options: RunOptions;
  readonly epochs: number;
  /** Steps of one rank. */
  readonly iterations: number;
  readonly rounds: number;
  /** Wall clock since the first step. */
  readonly seconds: number;
  /**
   * Seconds spent on steps, exchanges included and evaluations left out: the mean over the ranks.
   */
  readonly trainSeconds: number;
  /** Of {@linkcode RunSummary.trainSeconds}, those spent exchanging, waiting included. */
  readonly syncSeconds: number;
  /** Steps of one rank in a second. */
  readonly stepsPerSecond: number;
  /** Mean of the ranks over the last bin of the loss curve. */
  readonly trainLoss: number;
  /**
   * The last and the best accuracy (a fraction) or perplexity; null where nothing was evaluated.
   */
  readonly score: Score | null;
  /** Sent by the busiest rank. */
  readonly bytesSent: number;
  /** Share of all steps that clipped, 0 to 1. */
  readonly clipRate: number;
  /** Largest drift as a share of its bound 2γI; -Infinity where there is no bound. */
  readonly driftOfBound: number;
  /**
   * The baseline's training time over this run's, for the epochs that both have done; NaN without a
   * baseline.
   */
  readonly speedup: number;
  /** The same for the training loss that both have reached; NaN without a baseline. */
  readonly speedupToLoss: number;
}

/** A score on data that the run did not train on. */
export interface Score {
  readonly kind: "accuracy" | "perplexity";
  /** "test", "valid"; "" where the log does not say. */
  readonly split: string;
  readonly last: number;
  readonly best: number;
}

/** What a summary is made of. */
export interface Summarised {
  readonly log: RunLog;
  readonly options: RunOptions;
  readonly label: string;
  readonly steps: StepCurves;
  readonly accuracy: ReadonlyMap<string, Curve>;
  readonly perplexity: ReadonlyMap<string, Curve>;
  readonly driftOfBound: number;
}

/**
 * The summary of every run.
 *
 * @param baseline index of the run that the others are compared with, or -1
 */
export function summarise(runs: readonly Summarised[], baseline: number): RunSummary[] {
  const paces = runs.map(({ log, steps: { loss } }): Pace => {
    const trained = trainingSeconds(log);
    return { ...loss.track, loss: loss.y, trained: loss.track.iteration.map(trained) };
  });
  return runs.map(({ log, options, label, steps, ...run }, index) => {
    const { track } = steps.loss;
    const iterations = track.iteration.at(-1) ?? 0;
    const trainSeconds = paces[index].trained.at(-1) ?? 0;
    const clipped = log.steps.rows().map((row) => log.steps.column("clipped")[row]);
    const syncMs = log.rounds.rows().map((row) => log.rounds.column("syncMs")[row]);
    const compared = baseline >= 0 && baseline !== index;
    return {
      label,
      directory: log.directory,
      going: log.summary === null,
      options,
      epochs: track.epoch.at(-1) ?? 0,
      iterations,
      rounds: track.round.at(-1) ?? 0,
      seconds: track.seconds.at(-1) ?? 0,
      trainSeconds,
      syncSeconds: sum(syncMs.filter(Number.isFinite)) / 1000,
      stepsPerSecond: trainSeconds > 0 ? iterations / trainSeconds : NaN,
      trainLoss: steps.loss.y.findLast((loss) => Number.isFinite(loss)) ?? NaN,
      score: scoreOf(run.accuracy, "accuracy") ?? scoreOf(run.perplexity, "perplexity"),
      bytesSent: track.bytes.at(-1) ?? 0,
      clipRate: clipped.length > 0 ? sum(clipped) / clipped.length : NaN,
      driftOfBound: run.driftOfBound,
      speedup: compared ? speedup(paces[baseline], paces[index]) : NaN,
      speedupToLoss: compared ? speedupToLoss(paces[baseline], paces[index]) : NaN,
    };
  });
}

/** How far a run was, and what it had spent, at the points of its loss curve. */
export interface Pace {
  readonly epoch: readonly number[];
  readonly loss: readonly number[];
  /** Seconds of training. */
  readonly trained: readonly number[];
}

/**
 * The run that others are compared with: the paper's baseline, naive-parallel; else a single rank;
 * else the one with the shortest interval. -1 if there is nothing to compare.
 */
export function findBaseline(runs: readonly RunOptions[]): number {
  if (runs.length < 2) return -1;
  for (const name of ["naive-parallel", "single"]) {
    const index = runs.findIndex((run) => run.algorithm === name);
    if (index >= 0) return index;
  }
  const intervals = runs.map((run) => run.interval ?? Infinity);
  const least = Math.min(...intervals);
  return least < Math.max(...intervals) ? intervals.indexOf(least) : -1;
}

/** How many times faster `run` did the epochs that both have done. */
export function speedup(baseline: Pace, run: Pace): number {
  const epoch = Math.min(baseline.epoch.at(-1) ?? 0, run.epoch.at(-1) ?? 0);
  return epoch > 0 ? trainedFor(baseline, epoch) / trainedFor(run, epoch) : NaN;
}

/** How many times faster `run` reached the lowest training loss that both have reached. */
export function speedupToLoss(baseline: Pace, run: Pace): number {
  const target = Math.max(lowest(baseline), lowest(run));
  const reached = ({ trained, loss }: Pace) => trained[loss.findIndex((value) => value <= target)];
  return reached(baseline) / reached(run);
}

function lowest({ loss }: Pace): number {
  return loss.reduce((least, value) => value < least ? value : least, Infinity);
}

/** Seconds of training when a run had done `epoch` epochs, interpolated. */
function trainedFor({ epoch, trained }: Pace, wanted: number): number {
  const after = epoch.findIndex((e) => e >= wanted - 1e-9);
  const [e0, s0] = after > 0 ? [epoch[after - 1], trained[after - 1]] : [0, 0];
  return s0 + (trained[after] - s0) * (wanted - e0) / (epoch[after] - e0);
}

/** The score on the test set if it was evaluated, else on whatever was. */
function scoreOf(curves: ReadonlyMap<string, Curve>, kind: Score["kind"]): Score | null {
  const split = ["test", "", "valid"].find((name) => curves.has(name)) ?? [...curves.keys()][0];
  const values = curves.get(split)?.y.filter(Number.isFinite) ?? [];
  if (values.length === 0) return null;
  const best = kind === "accuracy" ? Math.max(...values) : Math.min(...values);
  return { kind, split, last: values.at(-1)!, best };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
