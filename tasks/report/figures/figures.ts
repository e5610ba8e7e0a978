/**
 * The figures of a report, one entry each: what it is called, and the curves it takes from every run.
 *
 * @module
 */

import type { Curve, RoundCurves, Track } from "../../logs/series.ts";
import type { BarFigure, LineFigure, PageSeries } from "../page/data.ts";
import { writeValue } from "../page/style.ts";
import type { ReportedRun, Summarised } from "../summary.ts";

/** A run, and the curves that figures are made of. */
export interface FigureRun extends Summarised {
  readonly rounds: RoundCurves;
  readonly clip: Curve;
  /** Epochs in a bin of {@linkcode FigureRun.clip}. */
  readonly clipWidth: number;
  /** Loss of the averaged weights on training data; null where it was not measured. */
  readonly averagedLoss: Curve | null;
}

/** A curve of a figure. */
interface FigureCurve {
  /** Index of its run. */
  readonly run: number;
  readonly curve: Curve;
  readonly style?: PageSeries["style"];
  readonly name?: string;
}

/** A figure before its runs are known: it is left out where no run has a curve for it. */
interface FigureSpec
  extends Omit<LineFigure, "kind" | "description" | "series" | "fromZero" | "note" | "source"> {
  readonly source?: string | ((runs: readonly FigureRun[]) => string);
  readonly fromZero?: boolean;
  readonly note: string | ((runs: readonly FigureRun[]) => string);
  readonly curves: (runs: readonly FigureRun[]) => readonly FigureCurve[];
}

/** The figures in which the paper compares how runs learn, over epochs and over time. */
const LEARNING = "Paper’s figures 1–4, 6, 7, 9–12";

/** One curve a run; none where it is null. */
const each =
  (pick: (run: FigureRun) => Curve | null, style: PageSeries["style"] = "line") =>
  (runs: readonly FigureRun[]): FigureCurve[] =>
    runs.flatMap((run, index) => {
      const curve = pick(run);
      return curve ? [{ run: index, curve, style }] : [];
    });

/** Whether the loss of the averaged weights was measured: then it is what the paper draws. */
const hasAveragedLoss = (runs: readonly FigureRun[]) => runs.some((run) => run.averagedLoss);

/** How runs learn on what they train on. */
const TRAINING: readonly FigureSpec[] = [
  {
    id: "averaged-training-loss",
    title: "Training loss of the averaged weights",
    source: LEARNING,
    yName: "loss",
    format: "number",
    log: false,
    note: "Of the averaged weights, on a fixed part of the training data.",
    curves: each((run) => run.averagedLoss, "points"),
  },
  {
    id: "training-loss",
    title: "Training loss",
    source: (runs) => hasAveragedLoss(runs) ? "" : LEARNING,
    yName: "loss",
    format: "number",
    log: false,
    note: (runs) =>
      (hasAveragedLoss(runs) ? "Of each rank's own weights on its mini-batches. " : "") +
      `Mean over the ranks and over ${binWords(runs.map((run) => run.steps.width))}.`,
    curves: each((run) => run.steps.loss),
  },
];

/** What steps and rounds do. */
const MECHANICS: readonly FigureSpec[] = [
  {
    id: "clip-rate",
    title: "Steps that clip",
    source: "Paper’s figure 5",
    yName: "share of steps",
    format: "percent",
    log: false,
    fromZero: true,
    note: (runs) =>
      `Share of all ranks' steps with ‖g‖ > γ/η, in ${binWords(runs.map((run) => run.clipWidth))}.`,
    curves: each((run) => run.clip, "points"),
  },
  {
    id: "gradient-norm",
    title: "Gradient norm",
    source: "Paper’s figure 8",
    yName: "‖g‖₂",
    format: "number",
    log: true,
    note: "Of a rank's mini-batch gradient, over all parameters together; mean over the ranks.",
    curves: each((run) => run.steps.gradNorm),
  },
  {
    id: "drift",
    title: "Drift and its bound",
    source: "Paper’s lemma 1",
    yName: "‖x̄ − xᵢ‖₂",
    format: "number",
    log: true,
    note:
      "Largest distance of a rank from the average it joins. Dashed: what is proven of it, 2γI for plain clipped steps.",
    curves: driftCurves,
  },
  {
    id: "bytes-sent",
    title: "Bytes sent",
    yName: "bytes",
    format: "bytes",
    log: false,
    fromZero: true,
    note: "By the busiest rank, up to each round.",
    curves: each((run) => run.rounds.bytes),
  },
  {
    id: "communication-share",
    title: "Time spent communicating",
    yName: "share of training time",
    format: "percent",
    log: false,
    fromZero: true,
    note:
      "Gradients and weights; waiting for other ranks included, evaluations left out. Round by round.",
    curves: each((run) => run.rounds.share),
  },
];

/** Every figure of curves that some run has a curve for. */
export function curveFigures(runs: readonly FigureRun[], tracks: TrackList): LineFigure[] {
  return [...TRAINING, ...scoreFigures(runs), ...MECHANICS]
    .flatMap((spec) => lineFigure(spec, runs, tracks) ?? []);
}

/** The scores on each split that was evaluated. */
function scoreFigures(runs: readonly FigureRun[]): FigureSpec[] {
  return (["accuracy", "perplexity", "RMSE"] as const).flatMap((kind) => {
    const splits = [...new Set(runs.flatMap((run) => [...run[kind].keys()]))];
    // A split evaluated at the end alone has its score in the table and makes no curve.
    const curves = splits.filter((split) =>
      runs.some((run) => (run[kind].get(split)?.y.length ?? 0) > 1)
    );
    return (curves.length > 0 ? curves : splits).map((split): FigureSpec => ({
      id: [split || "test", kind.toLowerCase()].join("-"),
      title: `${SPLIT_NAMES[split] ?? split} ${kind}`,
      source: LEARNING,
      yName: kind,
      format: kind === "accuracy" ? "percent" : "number",
      log: kind === "perplexity",
      note: "Of the averaged weights.",
      curves: each((run) => run[kind].get(split) ?? null, "points"),
    }));
  });
}

/** A log of an earlier version does not say which split it evaluated: it was the test set. */
const SPLIT_NAMES: Readonly<Record<string, string>> = {
  test: "Test",
  valid: "Validation",
  train: "Training",
  "": "Test",
};

/** Each run's drift, and the bounds of all behind them. */
function driftCurves(runs: readonly FigureRun[]): FigureCurve[] {
  // A single rank has no drift: nothing to hold against a bound.
  const drifting = runs.flatMap((run, index) =>
    run.rounds.drift.y.some((value) => value > 0) ? [{ run: index, rounds: run.rounds }] : []
  );
  return [
    ...drifting.map(({ run, rounds }) => ({ run, curve: rounds.drift })),
    ...drifting.map(({ run, rounds }) => (
      { run, curve: rounds.bound, style: "bound" as const, name: "bound" }
    )),
  ];
}

/** A figure with its runs' curves; null where none has any. */
function lineFigure(
  { curves, note, source = "", ...figure }: FigureSpec,
  runs: readonly FigureRun[],
  tracks: TrackList,
): LineFigure | null {
  const worded = (text: FigureSpec["note"]) => typeof text === "string" ? text : text(runs);
  const series = curves(runs)
    .filter(({ curve }) => curve.y.some(Number.isFinite))
    .map(({ run, curve, style = "line", name = "" }): PageSeries => ({
      run,
      name,
      style,
      track: tracks.add(curve.track),
      y: encode(curve.y),
      ...widthOf(curve),
    }));
  if (series.length === 0) return null;
  const ends = series.filter((s) => s.style !== "bound").map((s) => {
    const last = s.y.findLast((value) => value !== null) ?? null;
    return `${runs[s.run].label} ends at ${writeValue(last, figure.format)}`;
  });
  return {
    kind: "lines",
    fromZero: false,
    ...figure,
    source: worded(source),
    note: worded(note),
    series,
    description: `${figure.title}. ${ends.join("; ")}.`,
  };
}

/** Where an epoch's time goes, run by run. */
export function timeFigure(summaries: readonly ReportedRun[]): BarFigure[] {
  const parts = summaries.map(({ seconds, trainSeconds, syncSeconds, epochs }) =>
    [trainSeconds - syncSeconds, syncSeconds, seconds - trainSeconds]
      .map((part) => Math.max(0, part) / epochs)
  );
  if (!parts.some(([steps]) => Number.isFinite(steps))) return [];
  const names = ["computing", "communicating", "evaluation, rest"];
  const describe = parts.map(([steps, sync, rest], index) =>
    `${summaries[index].label}: ${writeValue(steps, "seconds")} computing, ` +
    `${writeValue(sync, "seconds")} communicating, ${writeValue(rest, "seconds")} otherwise`
  );
  return [{
    kind: "bars",
    id: "time-per-epoch",
    title: "Where the time goes",
    source: "",
    yName: "wall clock per epoch",
    format: "seconds",
    note: "Mean over the ranks and all epochs so far.",
    description: `Wall clock per epoch. ${describe.join("; ")}.`,
    stacks: names.map((name, part) => ({ name, values: encode(parts.map((p) => p[part])) })),
  }];
}

/** The tracks of a page, each once, rounded. */
export class TrackList {
  readonly #tracks: Track[] = [];

  add(track: Track): number {
    const index = this.#tracks.indexOf(track);
    return index >= 0 ? index : this.#tracks.push(track) - 1;
  }

  get encoded(): Track[] {
    return this.#tracks.map((track) =>
      Object.fromEntries(
        Object.entries(track).map(([key, values]) => [key, values.map((v) => round(v, 7))]),
      ) as unknown as Track
    );
  }
}

/** What each point of a curve stands for, in words; the widest where runs differ. */
function binWords(widths: readonly number[]): string {
  const width = Math.max(...widths.filter(Number.isFinite));
  if (!Number.isFinite(width)) return "all steps";
  if (width === 1) return "each epoch";
  return width > 1 ? `each ${width} epochs` : `each 1/${1 / width} epoch`;
}

function widthOf(curve: Curve): Pick<PageSeries, "low" | "high"> {
  if (!curve.low || !curve.high || curve.low.every((v, i) => !(v < curve.high![i]))) return {};
  return { low: encode(curve.low), high: encode(curve.high) };
}

function encode(values: readonly number[]): (number | null)[] {
  return values.map((value) => Number.isFinite(value) ? round(value, 5) : null);
}

function round(value: number, digits: number): number {
  return Number(value.toPrecision(digits));
}
