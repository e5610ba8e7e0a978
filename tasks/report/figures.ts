/**
 * The figures of a report, from the logs of its runs.
 *
 * @module
 */

import { findBaseline } from "../logs/baseline.ts";
import { writeValue } from "./page/style.ts";
import type { RunLog } from "../logs/run_log.ts";
import { labelRuns, optionsIn, type Place, placesOf } from "./labels.ts";
import type { BarFigure, LineFigure, PageData, PageFigure, PageSeries } from "./page/data.ts";
import {
  clipRateCurve,
  type Curve,
  evalCurves,
  type RoundCurves,
  roundCurves,
  stepCurves,
  type Track,
} from "../logs/series.ts";
import { type ReportedRun, summarise, type Summarised } from "./summary.ts";

/** Points of one curve, at most: enough for a screen, few enough for a page of many runs. */
const POINTS = 320;
const POINTS_OF_ALL = 12_000;

/** A report's data: what the page draws, and the table. */
export interface ReportData {
  /** The runs in the order of the page, the baseline first. */
  readonly logs: readonly RunLog[];
  readonly page: PageData;
  readonly summaries: readonly ReportedRun[];
}

interface Run extends Summarised {
  readonly rounds: RoundCurves;
  readonly clip: Curve;
  readonly clipWidth: number;
}

/** Works out every figure and the summary. Each run is given once. */
export function reportData(logs: readonly RunLog[]): ReportData {
  const { ordered, places, baselines } = compareRuns(logs);
  const labels = labelRuns(places, ordered.map((log) => log.directory));
  const bins = Math.max(60, Math.min(POINTS, Math.floor(POINTS_OF_ALL / logs.length)));
  const runs = ordered.map((log, index): Run => {
    const rounds = roundCurves(log, bins);
    const clip = clipRateCurve(log, bins);
    const { ranks } = optionsIn(log.config);
    return {
      log,
      label: labels[index],
      ranks: typeof ranks === "number" ? ranks : null,
      baseline: baselines[index],
      steps: stepCurves(log, bins),
      accuracy: evalCurves(log, "accuracy", bins),
      perplexity: evalCurves(log, "perplexity", bins),
      rounds,
      driftOfBound: rounds.tightest,
      clip: clip.curve,
      clipWidth: clip.width,
    };
  });
  const summaries = summarise(runs);
  const tracks = new TrackList();
  const figures = [...curveFigures(runs, tracks), ...timeFigure(summaries)];
  return {
    logs: ordered,
    summaries,
    page: {
      runs: runs.map((run, index) => ({
        label: run.label,
        baseline: runs.some((other) => other !== run && other.baseline === index),
        going: run.log.summary === null,
      })),
      axes: [
        { key: "epoch", name: "Epochs", title: "epochs" },
        { key: "seconds", name: "Wall clock", title: "wall clock since the first step" },
        { key: "iteration", name: "Iterations", title: "iterations of each rank" },
        { key: "round", name: "Rounds", title: "communication rounds" },
        { key: "bytes", name: "Bytes", title: "bytes sent by each rank" },
      ],
      tracks: tracks.encoded,
      figures,
    },
  };
}

/** The runs, baselines first, with the index of what each is compared with (-1: nothing). */
function compareRuns(
  logs: readonly RunLog[],
): { ordered: RunLog[]; places: Place[]; baselines: number[] } {
  const places = placesOf(logs.map((log) => log.config));
  const keyed = new Map(places.map((place, index) => [logs[index], place]));
  const found = new Map(logs.map((log) => [log, findBaseline(keyed.get(log)!, keyed)]));
  const isBaseline = (log: RunLog) =>
    logs.some((other) => other !== log && found.get(other) === log);
  const ordered = logs.toSorted((a, b) => Number(isBaseline(b)) - Number(isBaseline(a)));
  return {
    ordered,
    places: ordered.map((log) => keyed.get(log)!),
    baselines: ordered.map((log) => ordered.findIndex((other) => other === found.get(log))),
  };
}

function curveFigures(runs: readonly Run[], tracks: TrackList): PageFigure[] {
  const figures: LineFigure[] = [];
  const add = (
    figure: Omit<LineFigure, "kind" | "description" | "series" | "fromZero"> & {
      fromZero?: boolean;
    },
    curves: readonly { run: number; curve: Curve; style?: PageSeries["style"]; name?: string }[],
  ) => {
    const series = curves
      .filter(({ curve }) => curve.y.some(Number.isFinite))
      .map(({ run, curve, style, name }): PageSeries => ({
        run,
        name: name ?? "",
        style: style ?? "line",
        track: tracks.add(curve.track),
        y: encode(curve.y),
        ...widthOf(curve),
      }));
    if (series.length === 0) return;
    const ends = series.filter((s) => s.style !== "bound").map((s) => {
      const last = s.y.findLast((value) => value !== null) ?? null;
      return `${runs[s.run].label} ends at ${writeValue(last, figure.format)}`;
    });
    figures.push({
      kind: "lines",
      fromZero: false,
      ...figure,
      series,
      description: `${figure.title}. ${ends.join("; ")}.`,
    });
  };
  const of = (pick: (run: Run) => Curve) =>
    runs.map((run, index) => ({ run: index, curve: pick(run) }));

  add({
    id: "training-loss",
    title: "Training loss",
    source: "Paper’s figures 1–4, 6, 7, 9–12",
    yName: "loss",
    format: "number",
    log: false,
    note: `Mean over the ranks and over ${bins(runs.map((run) => run.steps.width))}.`,
  }, of((run) => run.steps.loss));
  for (const kind of ["accuracy", "perplexity"] as const) {
    const splits = [...new Set(runs.flatMap((run) => [...run[kind].keys()]))];
    // A split evaluated at the end alone has its score in the table and makes no curve.
    const curves = splits.filter((split) =>
      runs.some((run) => (run[kind].get(split)?.y.length ?? 0) > 1)
    );
    for (const split of curves.length > 0 ? curves : splits) {
      const name = { test: "Test", valid: "Validation", train: "Training", "": "Test" }[split] ??
        split;
      add(
        {
          id: [split || "test", kind].join("-"),
          title: `${name} ${kind}`,
          source: "Paper’s figures 1–4, 6, 7, 9–12",
          yName: kind,
          format: kind === "accuracy" ? "percent" : "number",
          log: kind === "perplexity",
          note: "Of the averaged weights.",
        },
        runs.flatMap((run, index) => {
          const curve = run[kind].get(split);
          return curve ? [{ run: index, curve, style: "points" }] : [];
        }),
      );
    }
  }
  add({
    id: "clip-rate",
    title: "Steps that clip",
    source: "Paper’s figure 5",
    yName: "share of steps",
    format: "percent",
    log: false,
    fromZero: true,
    note: `Share of all ranks' steps with ‖g‖ > γ/η, in ${bins(runs.map((run) => run.clipWidth))}.`,
  }, runs.map((run, index) => ({ run: index, curve: run.clip, style: "points" })));
  add({
    id: "gradient-norm",
    title: "Gradient norm",
    source: "Paper’s figure 8",
    yName: "‖g‖₂",
    format: "number",
    log: true,
    note: "Of a rank's mini-batch gradient, over all parameters together; mean over the ranks.",
  }, of((run) => run.steps.gradNorm));
  // A single rank has no drift: nothing to hold against a bound.
  const drifting = runs.flatMap((run, index) =>
    run.rounds.drift.y.some((value) => value > 0) ? [{ run: index, rounds: run.rounds }] : []
  );
  add({
    id: "drift",
    title: "Drift and its bound",
    source: "Paper’s lemma 1",
    yName: "‖x̄ − xᵢ‖₂",
    format: "number",
    log: true,
    note:
      "Largest distance of a rank from the average it joins. Dashed: the bound 2γI of plain clipped steps.",
  }, [
    ...drifting.map(({ run, rounds }) => ({ run, curve: rounds.drift })),
    ...drifting.map(({ run, rounds }) => (
      { run, curve: rounds.bound, style: "bound" as const, name: "bound 2γI" }
    )),
  ]);
  add({
    id: "bytes-sent",
    title: "Bytes sent",
    source: "",
    yName: "bytes",
    format: "bytes",
    log: false,
    fromZero: true,
    note: "By the busiest rank, up to each round.",
  }, of((run) => run.rounds.bytes));
  add({
    id: "communication-share",
    title: "Time spent communicating",
    source: "",
    yName: "share of training time",
    format: "percent",
    log: false,
    fromZero: true,
    note: "Waiting for other ranks included, evaluations left out.",
  }, of((run) => run.rounds.share));
  return figures;
}

/** Where an epoch's time goes, run by run. */
function timeFigure(summaries: readonly ReportedRun[]): BarFigure[] {
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
class TrackList {
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
function bins(widths: readonly number[]): string {
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
