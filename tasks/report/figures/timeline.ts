/**
 * What each rank of a run did, and when: for finding the one that all others wait for.
 *
 * @module
 */

import type { RunLog } from "../../logs/run_log.ts";
import type { TimelineFigure, TimelineOfRun } from "../page/data.ts";
import type { FigureRun } from "./figures.ts";

/** Pieces of a run's time: as many as a screen shows apart. */
const BINS = 120;

/** Ranks that are drawn, at most; of more, those that compute longest, and rank 0. */
const MOST_RANKS = 24;

/** What a rank can be busy with, in the order in which it is drawn. */
const KINDS = ["computing", "waiting for others", "exchanging", "evaluation, rest"] as const;

/** The timeline of every run whose steps say how long they took. */
export function timelineFigure(runs: readonly FigureRun[]): TimelineFigure[] {
  const timelines = runs.map(({ log, label }) => timelineOf(log, label));
  if (timelines.every((timeline) => timeline === null)) return [];
  const slowest = timelines.flatMap((timeline, run) =>
    timeline === null || timeline.rows.length < 2
      ? []
      : [`${runs[run].label}: rank ${timeline.slowest} computes longest`]
  );
  return [{
    kind: "timeline",
    id: "ranks",
    title: "What each rank does",
    source: "",
    yName: "rank",
    format: "seconds",
    note:
      "Shares of each piece of the wall clock. Those who come early wait for the one who comes last, " +
      "which waits least.",
    description: `What each rank does over time. ${slowest.join("; ")}.`,
    kinds: KINDS,
    runs: timelines,
  }];
}

/** A step of a rank, in seconds since the run's first. */
interface Busy {
  readonly start: number;
  readonly end: number;
  readonly exchange: number;
  readonly waiting: number;
}

/** A run's timeline; null where its log does not have what it takes. */
function timelineOf(log: RunLog, label: string): TimelineOfRun | null {
  const { steps } = log, rows = steps.rows();
  const column = (name: Parameters<typeof steps.column>[0]) => steps.column(name);
  const rank = column("rank"), iteration = column("iteration"), seconds = column("seconds");
  const whole = column("stepMs"), sync = column("syncMs");
  const timed = rows.filter((row) => Number.isFinite(whole[row]) && Number.isFinite(seconds[row]));
  if (timed.length === 0) return null;
  // All leave a meeting together: what even the last spent in it is the exchange itself.
  const least = new Map<number, number>();
  for (const row of timed) {
    const spent = sync[row], before = least.get(iteration[row]) ?? Infinity;
    if (Number.isFinite(spent)) least.set(iteration[row], Math.min(before, spent));
  }
  const byRank = new Map<number, Busy[]>();
  let end = 0;
  for (const row of timed) {
    const exchange = least.get(iteration[row]) ?? 0;
    const spent = Number.isFinite(sync[row]) ? sync[row] : 0;
    const busy = byRank.get(rank[row]) ?? [];
    byRank.set(rank[row], busy);
    end = Math.max(end, seconds[row]);
    busy.push({
      start: Math.max(0, seconds[row] - whole[row] / 1000),
      end: seconds[row],
      exchange: exchange / 1000,
      waiting: (spent - exchange) / 1000,
    });
  }
  if (!(end > 0)) return null;
  const all = [...byRank].map(([rank, busy]) => ({ rank, busy, computed: computedBy(busy) }))
    .sort((a, b) => b.computed - a.computed);
  const shown = all.filter(({ rank }, i) => i < MOST_RANKS - 1 || rank === 0).slice(0, MOST_RANKS);
  return {
    label,
    seconds: Number(end.toPrecision(7)),
    slowest: all[0].rank,
    rows: shown.sort((a, b) => a.rank - b.rank).map(({ rank, busy }) => ({
      rank,
      shares: sharesOf(busy, end),
    })),
  };
}

const computedBy = (busy: readonly Busy[]) =>
  busy.reduce(
    (sum, { start, end, exchange, waiting }) => sum + end - start - exchange - waiting,
    0,
  );

/** By kind, the share of each bin, in percent; what is left of a bin is evaluation and the like. */
function sharesOf(busy: readonly Busy[], end: number): number[][] {
  const width = end / BINS;
  const kinds = [0, 1, 2].map(() => new Array<number>(BINS).fill(0));
  for (const { start, end: until, exchange, waiting } of busy) {
    const length = until - start;
    if (!(length > 0)) continue;
    const parts = [Math.max(0, length - exchange - waiting), waiting, exchange];
    for (
      let bin = Math.floor(start / width);
      bin <= Math.min(BINS - 1, Math.floor(until / width));
      bin++
    ) {
      const inside = Math.min(until, (bin + 1) * width) - Math.max(start, bin * width);
      if (inside <= 0) continue;
      for (const [kind, part] of parts.entries()) {
        kinds[kind][bin] += part * inside / length / width;
      }
    }
  }
  return kinds.map((bins) => bins.map((share) => Math.round(100 * Math.min(1, share))));
}
