/**
 * What a figure can draw of its runs, and over what: mean, least and greatest over the seeds.
 *
 * @module
 */

import {
  clipRateCurve,
  type Curve,
  evalCurves,
  roundCurves,
  stepCurves,
  type Track,
} from "../logs/series.ts";
import type { RunLog } from "../logs/run_log.ts";
import { totalsOf } from "../logs/totals.ts";
import { mergeCurves } from "../report/page/bands.ts";
import type { ValueFormat } from "../report/page/data.ts";
import { secondsBehind } from "./link_seconds.ts";
import type { RunLine, SeedRun } from "./lines.ts";

/** Points of a curve of steps or rounds, at most: few, so that its file can be read. */
const POINTS = 40;

/** Something that is measured of a run. */
interface Measure {
  /** Along the axis. */
  readonly title: string;
  readonly format: ValueFormat;
  readonly curve: (log: RunLog) => Curve | null;
}

const evaluated = (
  field: "loss" | "accuracy" | "perplexity",
  splits: readonly string[],
): Measure["curve"] =>
(log) => {
  const curves = evalCurves(log, field, POINTS);
  return splits.map((split) => curves.get(split)).find((curve) => curve !== undefined) ?? null;
};

/** Everything that can be drawn, by its name in the files of numbers. */
export const MEASURES = {
  averagedTrainLoss: {
    title: "training loss of the averaged weights",
    format: "number",
    curve: evaluated("loss", ["train"]),
  },
  trainLoss: {
    title: "training loss of the mini-batches",
    format: "number",
    curve: (log) => stepCurves(log, POINTS).loss,
  },
  testAccuracy: {
    title: "test accuracy",
    format: "percent",
    curve: evaluated("accuracy", ["test", ""]),
  },
  validPerplexity: {
    title: "validation perplexity",
    format: "number",
    curve: evaluated("perplexity", ["valid"]),
  },
  clipRate: {
    title: "share of steps that clip",
    format: "percent",
    curve: (log) => clipRateCurve(log, POINTS).curve,
  },
  gradNorm: {
    title: "gradient norm ‖g‖₂",
    format: "number",
    curve: (log) => stepCurves(log, POINTS).gradNorm,
  },
  drift: {
    title: "drift ‖x̄ − xᵢ‖₂",
    format: "number",
    curve: (log) => roundCurves(log, POINTS).drift,
  },
  driftBound: {
    title: "2γI",
    format: "number",
    curve: (log) => roundCurves(log, POINTS).bound,
  },
} as const satisfies Readonly<Record<string, Measure>>;

/** The name of a measure. */
export type MeasureName = keyof typeof MEASURES;

/** What is known of a whole run, exactly: curves are binned. */
const TOTALS = {
  /** Share of the steps of all ranks that clip. */
  clipRate: (log: RunLog) => totalsOf(log).clipRate,
  /** Mean over the steps of all ranks. */
  gradNorm: ({ steps }: RunLog) => {
    const norms = steps.column("gradNorm");
    return mean(steps.rows().map((row) => norms[row]).filter(Number.isFinite));
  },
  /** The largest drift of a round, as a share of its bound. */
  driftOfBound: (log: RunLog) => roundCurves(log, 1).tightest,
} as const satisfies Readonly<Record<string, (log: RunLog) => number>>;

/** The name of something that is known of a whole run. */
export type TotalName = keyof typeof TOTALS;

/** A value over seeds. */
export interface SeedValue {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** A total of a line's runs; null where none of them has it. */
export function totalOf({ runs }: RunLine, name: TotalName): SeedValue | null {
  const values = runs.map(({ log }) => TOTALS[name](log)).filter(Number.isFinite);
  return values.length === 0
    ? null
    : { mean: mean(values), low: Math.min(...values), high: Math.max(...values) };
}

/** What a figure draws over. */
export type FigureAxis = Exclude<keyof Track, "seconds"> | "linkSeconds";

/** Where a point lies on each axis. */
export type Place = Readonly<Record<FigureAxis, number>>;

/** A point of a line, over its seeds. */
export interface SeedPoint extends SeedValue {
  readonly at: Place;
}

/**
 * A line's points of one measure, in the order of epochs: wherever one finished seed has a point after its start and all
 * others have begun and not ended. Seeds need not take the same number of iterations for an epoch (the windows of a
 * text are drawn); between its points a seed's curve is a straight line.
 *
 * @param stepSeconds what a step of its runs takes without its exchanges, for the axis of seconds behind a link
 */
export function pointsOf({ runs }: RunLine, name: MeasureName, stepSeconds: number): SeedPoint[] {
  const seeds = runs.map((run) => trainedPoints(run, name, stepSeconds));
  if (seeds.length === 0 || seeds.some((points) => points.length === 0)) return [];
  const merged = (of: (point: RunPoint) => number) =>
    mergeCurves(seeds.map((points) => ({
      x: points.map(({ at }) => at.epoch),
      y: points.map(of),
    })));
  const { x, y, low, high } = merged(({ value }) => value);
  const along = (axis: FigureAxis) => merged(({ at }) => at[axis]).y;
  const iteration = along("iteration"), round = along("round");
  const bytes = along("bytes"), linkSeconds = along("linkSeconds");
  return x.map((epoch, i) => ({
    at: {
      epoch,
      iteration: iteration[i],
      round: round[i],
      bytes: bytes[i],
      linkSeconds: linkSeconds[i],
    },
    mean: y[i],
    low: low[i],
    high: high[i],
  }));
}

/** A point of one seed's run. */
interface RunPoint {
  readonly at: Place;
  readonly value: number;
}

function trainedPoints(run: SeedRun, name: MeasureName, stepSeconds: number): RunPoint[] {
  const curve = MEASURES[name].curve(run.log);
  if (curve === null) return [];
  const seconds = secondsBehind(run, stepSeconds), { track } = curve;
  return curve.y.flatMap((value, i) => {
    const iteration = track.iteration[i];
    // The untrained network's loss would leave no room for all others.
    if (!Number.isFinite(value) || iteration === 0) return [];
    const at = {
      epoch: track.epoch[i],
      iteration,
      round: track.round[i],
      bytes: track.bytes[i],
      linkSeconds: seconds(iteration),
    };
    return [{ at, value }];
  });
}

/** The mean of some numbers; NaN of none. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
