/**
 * From the lines of a run's log to the points of its curves: averaged over the ranks and over bins,
 * so that a run of millions of steps draws a few hundred points.
 *
 * @module
 */

import { groupBy } from "./_rows.ts";
import type { RunLog } from "./run_log.ts";
import { secondsSpent } from "./seconds.ts";

/** What a curve can be drawn over. */
export type AxisKey = "epoch" | "seconds" | "iteration" | "round" | "bytes";

/** Where the points of a curve lie on every axis; `bytes` is what the busiest rank sent. */
export type Track = Readonly<Record<AxisKey, number[]>>;

/** A curve: `y`, and the smallest and largest value in each bin where it has any width. */
export interface Curve {
  readonly track: Track;
  readonly y: number[];
  readonly low?: number[];
  readonly high?: number[];
}

/** Curves of the steps. */
export interface StepCurves {
  /** Epochs in a bin: a power of two, or NaN where the log has no epochs. */
  readonly width: number;
  readonly loss: Curve;
  readonly gradNorm: Curve;
  /** Share of the steps that clipped, 0 to 1. */
  readonly clipRate: Curve;
}

type Common = "rank" | "epoch" | "seconds" | "iteration" | "round" | "bytesSent";

/** A table of any kind of lines, of which only the fields common to all are asked. */
interface CommonTable {
  column(field: Common): readonly number[];
}

/**
 * The curves of a run's steps.
 *
 * @param bins at most about this many points
 * @param narrowest least epochs in a bin
 */
export function stepCurves(log: RunLog, bins: number, narrowest = 0): StepCurves {
  const table = log.steps;
  const rows = table.rows();
  const width = binWidth(table, rows, bins, narrowest);
  const groups = withoutScrap(groupBy(rows, (row) => binOf(table.column("epoch")[row], width)));
  const track = trackOf(table, groups);
  const curve = (field: "loss" | "gradNorm" | "clipped") =>
    spread(table.column(field), groups, track);
  const { y } = curve("clipped");
  return { width, loss: curve("loss"), gradNorm: curve("gradNorm"), clipRate: { track, y } };
}

/**
 * Bins as wide as one epoch once there are eight of them, as the paper counts clipping; narrower
 * before.
 */
export function clipRateCurve(log: RunLog, bins: number): { curve: Curve; width: number } {
  const epochs = log.steps.column("epoch").reduce((most, epoch) => Math.max(most, epoch), 0);
  const { clipRate, width } = epochs >= 8 ? stepCurves(log, bins, 1) : stepCurves(log, 16);
  return { curve: clipRate, width };
}

/** Curves of the rounds. */
export interface RoundCurves {
  /** Largest distance of a rank from the average, ‖x̄ − x_i‖. */
  readonly drift: Curve;
  /**
   * What Lemma 1 allows in the same round, 2γI; nothing finite where it does not speak of the
   * algorithm.
   */
  readonly bound: Curve;
  /** Share of the training time spent communicating, 0 to 1. */
  readonly share: Curve;
  /** Bytes sent by the busiest rank so far. */
  readonly bytes: Curve;
  /** The largest drift as a share of its bound; NaN where there is no bound. */
  readonly tightest: number;
}

/** The curves of a run's rounds, in at most `bins` points; each holds the same number of rounds. */
export function roundCurves(log: RunLog, bins: number): RoundCurves {
  const table = log.rounds;
  const rows = table.rows();
  const rounds = groupBy(rows, (row) => table.column("iteration")[row]);
  const each = Math.max(1, Math.ceil(rounds.length / bins));
  const groups = groupBy([...rounds.keys()], (index) => Math.floor(index / each))
    .map((indices) => indices.flatMap((index) => rounds[index]));
  const track = trackOf(table, groups);
  const drift = table.column("drift"), bound = table.column("driftBound");
  const worst = groups.map((group) => largest(group, (row) => drift[row]));
  const ratios = rows.map((row) => drift[row] / bound[row]).filter(Number.isFinite);
  return {
    drift: { ...spread(drift, groups, track), y: worst.map((row) => drift[row]) },
    bound: { track, y: worst.map((row) => bound[row]) },
    share: { track, y: shareOf(log, groups) },
    bytes: { track, y: track.bytes },
    tightest: ratios.reduce((most, ratio) => most > ratio ? most : ratio, NaN),
  };
}

/**
 * The curves of a run's evaluations, one for each split that was evaluated, averaged over the
 * ranks.
 */
export function evalCurves(
  log: RunLog,
  field: "loss" | "accuracy" | "perplexity" | "rmse",
  bins: number,
): Map<string, Curve> {
  const table = log.evals;
  const values = table.column(field);
  const curves = new Map<string, Curve>();
  const rows = table.rows((row) => `${table.column("rank")[row]}/${log.splits[row]}`);
  for (const split of new Set(log.splits)) {
    const chosen = rows.filter((row) => log.splits[row] === split && !Number.isNaN(values[row]));
    if (chosen.length === 0) continue;
    const groups = groupBy(chosen, (row) => table.column("iteration")[row]);
    const each = Math.max(1, Math.ceil(groups.length / bins));
    // Of several evaluations in one bin the last is shown: a mean of them is no model's score.
    const kept = groups.filter((_, index) => (groups.length - 1 - index) % each === 0);
    curves.set(split, spread(values, kept, trackOf(table, kept)));
  }
  return curves;
}

/** Time in exchanges over time in steps (which holds them), in each group of rounds. */
function shareOf(log: RunLog, groups: readonly number[][]): number[] {
  const iterations = log.rounds.column("iteration");
  const { train, sync } = secondsSpent(log);
  let trained = 0, synced = 0;
  return groups.map((group) => {
    const iteration = iterations[group.at(-1)!];
    const share = (sync(iteration) - synced) / (train(iteration) - trained);
    trained = train(iteration);
    synced = sync(iteration);
    return Math.min(1, share);
  });
}

/**
 * Epochs in a bin: the least power of two that makes at most `bins` of them, and at least one step
 * of a rank in each.
 */
function binWidth(
  table: CommonTable,
  rows: readonly number[],
  bins: number,
  narrowest: number,
): number {
  const iterations = new Set(rows.map((row) => table.column("iteration")[row])).size;
  const epochs = rows.reduce((most, row) => Math.max(most, table.column("epoch")[row]), 0);
  if (!(epochs > 0)) return NaN;
  const least = Math.max(epochs / Math.max(1, Math.min(bins, iterations)), narrowest);
  return 2 ** Math.ceil(Math.log2(least) - 1e-9);
}

/** Joins a last bin that has hardly begun to the one before: a share of two steps is no share. */
function withoutScrap(groups: number[][]): number[][] {
  const [before, last] = groups.slice(-2);
  if (!last || last.length > before.length / 4) return groups;
  return [...groups.slice(0, -2), [...before, ...last]];
}

/** A step that ends exactly with an epoch belongs to that epoch. */
function binOf(epoch: number, width: number): number {
  return Number.isNaN(width) ? 0 : Math.max(0, Math.ceil(epoch / width - 1e-6) - 1);
}

/** Where each group ends, on every axis. */
function trackOf(table: CommonTable, groups: readonly number[][]): Track {
  const end = (field: Common) => {
    const values = table.column(field);
    return groups.map((group) => values[largest(group, (row) => values[row])]);
  };
  return {
    epoch: end("epoch"),
    seconds: end("seconds"),
    iteration: end("iteration"),
    round: end("round"),
    bytes: end("bytesSent"),
  };
}

/** Mean, least and greatest of a field in each group, leaving out what was not finite. */
function spread(values: readonly number[], groups: readonly number[][], track: Track): Curve {
  const y: number[] = [], low: number[] = [], high: number[] = [];
  for (const group of groups) {
    let sum = 0, count = 0, least = Infinity, most = -Infinity;
    for (const row of group) {
      const value = values[row];
      if (!Number.isFinite(value)) continue;
      sum += value;
      count++;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    y.push(count > 0 ? sum / count : NaN);
    low.push(count > 0 ? least : NaN);
    high.push(count > 0 ? most : NaN);
  }
  return { track, y, low, high };
}

/** The row with the largest value. A group is never empty. */
function largest(group: readonly number[], value: (row: number) => number): number {
  return group.reduce((best, row) =>
    value(row) > value(best) || Number.isNaN(value(best)) ? row : best
  );
}
