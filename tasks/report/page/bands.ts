/**
 * Runs that differ in their seeds alone as one: the mean of their curves, with the least and the greatest.
 *
 * @module
 */

import type {
  BarFigure,
  LineFigure,
  PageData,
  PageFigure,
  PageRun,
  PageSeries,
  TimelineFigure,
} from "./data.ts";
import type { AxisKey, Track } from "../../logs/series.ts";

/** Points of a merged curve, at most. */
const POINTS = 400;

/** Whether some runs differ in their seeds alone. */
export function hasSeeds({ runs }: PageData): boolean {
  return new Set(runs.map(({ group }) => group)).size < runs.length;
}

/**
 * The data with one run for each group, whose curves are merged over one axis.
 *
 * @param found by run: whether it counts; of a group in which none does all do. @default {all}
 */
export function mergeSeeds(
  data: PageData,
  axis: AxisKey,
  found: readonly boolean[] = data.runs.map(() => true),
): PageData {
  const names = [...new Set(data.runs.map(({ group }) => group))];
  const all = names.map((name) =>
    data.runs.flatMap(({ group }, run) => group === name ? [run] : [])
  );
  const members = all.map((runs) => {
    const counted = runs.filter((run) => found[run]);
    return counted.length > 0 ? counted : runs;
  });
  const tracks: Track[] = [];
  const figures = data.figures.map((figure): PageFigure => {
    if (figure.kind === "lines") return mergeLines(data, figure, { members, axis, tracks });
    return figure.kind === "bars" ? mergeBars(figure, members) : mergeTimelines(figure, members);
  });
  const runs = names.map((name, group): PageRun => {
    const first = data.runs[members[group][0]], count = members[group].length;
    const of = all[group].length === count ? "" : ` of ${all[group].length}`;
    const state = members[group].map((run) => data.runs[run].state)
      .find((state) => state !== "finished") ?? "finished";
    return {
      ...first,
      state,
      label: all[group].length > 1 ? `${name} (${count}${of} seeds)` : first.label,
    };
  });
  return { runs, axes: data.axes, tracks, figures };
}

interface Merging {
  /** The runs of each group. */
  readonly members: readonly (readonly number[])[];
  readonly axis: AxisKey;
  /** Where the merged curves lie; they are added to. */
  readonly tracks: Track[];
}

function mergeLines(
  data: PageData,
  figure: LineFigure,
  { members, axis, tracks }: Merging,
): LineFigure {
  const series = members.flatMap((runs, group) => {
    const own = figure.series.filter((one) => runs.includes(one.run));
    const names = [...new Set(own.map(({ name }) => name))];
    return names.map((name): PageSeries => {
      const alike = own.filter((one) => one.name === name);
      if (alike.length === 1 && runs.length === 1) {
        tracks.push(data.tracks[alike[0].track]);
        return { ...alike[0], run: group, track: tracks.length - 1 };
      }
      const merged = mergeCurves(
        alike.map((one) => ({ x: data.tracks[one.track][axis], y: one.y })),
      );
      tracks.push({
        epoch: [],
        seconds: [],
        iteration: [],
        round: [],
        bytes: [],
        [axis]: merged.x,
      });
      const { y, low, high } = merged, { style } = alike[0];
      return { run: group, name, style, track: tracks.length - 1, y, low, high };
    });
  });
  return { ...figure, series };
}

/** A curve over one axis. */
export interface PlainCurve {
  readonly x: readonly (number | null)[];
  readonly y: readonly (number | null)[];
}

/** A curve that stands for several. */
export interface MergedCurve {
  readonly x: number[];
  readonly y: number[];
  readonly low: number[];
  readonly high: number[];
}

/**
 * The mean of some curves, the least and the greatest, wherever one of them has a point and all of them have begun and
 * not ended; between points a curve is a straight line.
 */
export function mergeCurves(curves: readonly PlainCurve[]): MergedCurve {
  const points = curves.map(({ x, y }) =>
    x.flatMap((value, i) => value === null || y[i] === null ? [] : [[value, y[i]!] as const])
  ).filter((curve) => curve.length > 0);
  const from = Math.max(...points.map((curve) => curve[0][0]));
  const to = Math.min(...points.map((curve) => curve.at(-1)![0]));
  const all = [...new Set(points.flatMap((curve) => curve.map(([x]) => x)))]
    .filter((x) => x >= from && x <= to).sort((a, b) => a - b);
  const every = Math.ceil(all.length / POINTS);
  const x = all.filter((_, i) => (all.length - 1 - i) % every === 0);
  const merged: MergedCurve = { x, y: [], low: [], high: [] };
  const places = points.map(() => 0);
  for (const at of x) {
    const values = points.map((curve, i) => {
      while (places[i] + 1 < curve.length && curve[places[i] + 1][0] <= at) places[i]++;
      const [x0, y0] = curve[places[i]], next = curve[places[i] + 1];
      return next === undefined || x0 >= at ? y0 : y0 + (next[1] - y0) * (at - x0) / (next[0] - x0);
    });
    merged.y.push(values.reduce((sum, value) => sum + value, 0) / values.length);
    merged.low.push(Math.min(...values));
    merged.high.push(Math.max(...values));
  }
  return merged;
}

function mergeBars(figure: BarFigure, members: Merging["members"]): BarFigure {
  const mean = (values: readonly (number | null)[]) => {
    const known = values.filter((value) => value !== null);
    return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
  };
  const stacks = figure.stacks.map(({ name, values }) => ({
    name,
    values: members.map((runs) => mean(runs.map((run) => values[run]))),
  }));
  return { ...figure, stacks };
}

/** Of a group the first run that has a timeline: ranks of several runs are no mean. */
function mergeTimelines(figure: TimelineFigure, members: Merging["members"]): TimelineFigure {
  const runs = members.map((group) =>
    figure.runs[group.find((run) => figure.runs[run] !== null) ?? group[0]]
  );
  return { ...figure, runs };
}
