/**
 * A report's data, from the logs of its runs: what the page draws, and the table.
 *
 * @module
 */

import { type Coordinates, findBaseline } from "../logs/baseline.ts";
import { optionsOf } from "../logs/config.ts";
import type { RunLog } from "../logs/run_log.ts";
import { clipRateCurve, evalCurves, roundCurves, stepCurves } from "../logs/series.ts";
import { curveFigures, type FigureRun, timeFigure, TrackList } from "./figures/figures.ts";
import { timelineFigure } from "./figures/timeline.ts";
import { coordinatesOf, labelRuns, optionLabels } from "./labels.ts";
import type { PageAxis, PageData } from "./page/data.ts";
import { type ReportedRun, summarise } from "./summary.ts";

/** Points of one curve, at most: enough for a screen. */
const POINTS = 320;

/** Points of one figure's curves together, about: few enough for a page of many runs. */
const POINTS_OF_ALL = 12_000;

/** What every curve can be drawn over. */
const AXES: readonly PageAxis[] = [
  { key: "epoch", name: "Epochs", title: "epochs" },
  { key: "seconds", name: "Wall clock", title: "wall clock since the first step" },
  { key: "iteration", name: "Iterations", title: "iterations of each rank" },
  { key: "round", name: "Rounds", title: "communication rounds" },
  { key: "bytes", name: "Bytes", title: "bytes sent by each rank" },
];

/** A report's data: what the page draws, and the table. */
export interface ReportData {
  /** The runs in the order of the page, the baseline first. */
  readonly logs: readonly RunLog[];
  readonly page: PageData;
  readonly summaries: readonly ReportedRun[];
}

/**
 * Works out every figure and the summary. Each run is given once.
 *
 * @param now tells runs that go on from those that ended early
 */
export function reportData(logs: readonly RunLog[], now: Date = new Date()): ReportData {
  const { ordered, coordinates, baselines } = compareRuns(logs);
  const folders = ordered.map((log) => log.directory);
  const labels = labelRuns(coordinates, folders);
  const groups = groupsOf(coordinates, labels);
  const bins = Math.max(60, Math.min(POINTS, Math.floor(POINTS_OF_ALL / logs.length)));
  const runs = ordered.map((log, index): FigureRun => {
    const rounds = roundCurves(log, bins);
    const clip = clipRateCurve(log, bins);
    const { ranks } = optionsOf(log.config);
    return {
      log,
      label: labels[index],
      state: log.stateAt(now),
      ranks: typeof ranks === "number" ? ranks : null,
      baseline: baselines[index],
      steps: stepCurves(log, bins),
      accuracy: evalCurves(log, "accuracy", bins),
      perplexity: evalCurves(log, "perplexity", bins),
      RMSE: evalCurves(log, "rmse", bins),
      averagedLoss: evalCurves(log, "loss", bins).get("train") ?? null,
      rounds,
      driftOfBound: rounds.tightest,
      clip: clip.curve,
      clipWidth: clip.width,
    };
  });
  const summaries = summarise(runs);
  const tracks = new TrackList();
  const figures = [
    ...curveFigures(runs, tracks),
    ...timeFigure(summaries),
    ...timelineFigure(runs),
  ];
  return {
    logs: ordered,
    summaries,
    page: {
      runs: runs.map((run, index) => ({
        label: run.label,
        baseline: runs.some((other) => other !== run && other.baseline === index),
        state: run.state,
        group: groups[index],
        options: Object.fromEntries(
          Object.entries(coordinates[index]).filter(([, value]) => value !== null)
            .map(([name, value]) => [
              name,
              typeof value === "string" ? value : JSON.stringify(value),
            ]),
        ),
      })),
      axes: AXES,
      tracks: tracks.encoded,
      figures,
    },
  };
}

/** The labels without seeds: runs that differ in nothing else have one between them. */
function groupsOf(coordinates: readonly Coordinates[], labels: readonly string[]): string[] {
  if (!coordinates.some((at) => "seed" in at)) return [...labels];
  const names = optionLabels(coordinates.map(({ seed: _, ...rest }) => rest));
  return names.map((name) => name === "" ? "all seeds" : name);
}

/** The runs, baselines first, with the index of what each is compared with (-1: nothing). */
function compareRuns(
  logs: readonly RunLog[],
): { ordered: RunLog[]; coordinates: Coordinates[]; baselines: number[] } {
  const coordinates = coordinatesOf(logs.map((log) => log.config));
  const keyed = new Map(coordinates.map((at, index) => [logs[index], at]));
  const found = new Map(logs.map((log) => [log, findBaseline(keyed.get(log)!, keyed)]));
  const isBaseline = (log: RunLog) =>
    logs.some((other) => other !== log && found.get(other) === log);
  const ordered = logs.toSorted((a, b) => Number(isBaseline(b)) - Number(isBaseline(a)));
  return {
    ordered,
    coordinates: ordered.map((log) => keyed.get(log)!),
    baselines: ordered.map((log) => ordered.findIndex((other) => other === found.get(log))),
  };
}
