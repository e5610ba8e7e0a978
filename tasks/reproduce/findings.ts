/**
 * What runs came to, in sentences and a table, and whether it agrees with a claim: rules that anybody can apply to the
 * numbers.
 *
 * @module
 */

import type { ValueFormat } from "../report/page/data.ts";
import { writeValue } from "../report/page/style.ts";
import {
  type FigureAxis,
  mean,
  type MeasureName,
  MEASURES,
  type SeedPoint,
  type SeedValue,
  type TotalName,
} from "./measures.ts";
import type { RunLine } from "./lines.ts";

/** A line of a figure with what was measured of it. */
export interface SeenLine {
  readonly line: RunLine;
  readonly points: (measure: MeasureName) => readonly SeedPoint[];
  readonly total: (name: TotalName) => SeedValue | null;
}

/** What was seen, and whether the claim stands. */
export interface Finding {
  /** In sentences. */
  readonly seen: readonly string[];
  /** The numbers behind them: the headings, then a row for each line; empty if there are none. */
  readonly table: readonly (readonly string[])[];
  /** When the claim counts as agreed with, as a sentence. */
  readonly rule: string;
  /** Null where the runs that are finished do not tell, or some lines have none yet. */
  readonly agrees: "agrees" | "agrees in part" | "does not agree" | null;
}

/** Shares of a score within which one run of a setting may differ from another: one seed has no spread of its own. */
const TOLERANCE = 0.03;

/** How many times the iterations of a linear speed-up still count as one. */
const SLACK = 1.5;

const isBaseline = ({ line }: SeenLine) => line.at.algorithm === "naive-parallel";
const isCelgc = ({ line }: SeenLine) => line.at.algorithm === "celgc";
const intervalOf = ({ line }: SeenLine) => Number(line.at.interval);
const finished = (lines: readonly SeenLine[]) => lines.filter(({ line }) => line.runs.length > 0);
const labels = (found: readonly { readonly seen: SeenLine }[]) =>
  found.map(({ seen }) => seen.line.label).join(", ");

const notYet = (rule: string): Finding => ({
  seen: ["The runs that would tell are not finished."],
  table: [],
  rule,
  agrees: null,
});

/** For example `0.98 (0.95 to 1.01)`. */
function write({ mean, low, high }: SeedValue, format: ValueFormat): string {
  const value = writeValue(mean, format);
  const [least, most] = [low, high].map((end) => writeValue(end, format));
  return least === most ? value : `${value} (${least} to ${most})`;
}

/** Whether a score is better the larger it is. */
const risesWhenBetter = (measure: MeasureName) => measure === "testAccuracy";

/** CELGC's last score beside the baseline's. */
export function keepsUp(lines: readonly SeenLine[], measure: MeasureName): Finding {
  const { title, format } = MEASURES[measure];
  const rule =
    `It agrees if at no I CELGC's ${title} ends worse than the baseline's by more than the range of either's seeds, or by ` +
    `more than ${100 * TOLERANCE} % of it where that is wider; in part if at some I.`;
  const ends = finished(lines).flatMap((seen) => {
    const last = seen.points(measure).at(-1);
    return last ? [{ seen, last }] : [];
  });
  const base = ends.find(({ seen }) => isBaseline(seen));
  const others = ends.filter(({ seen }) => isCelgc(seen));
  if (!base || others.length === 0) return notYet(rule);
  const rises = risesWhenBetter(measure);
  const kept = others.filter(({ last }) => {
    const spread = Math.max(last.high - last.low, base.last.high - base.last.low);
    const behind = rises ? base.last.mean - last.mean : last.mean - base.last.mean;
    return behind <= Math.max(spread, TOLERANCE * base.last.mean);
  });
  const behind = others.filter((end) => !kept.includes(end));
  const longest = Math.max(...kept.map(({ seen }) => intervalOf(seen)));
  const best = kept.find(({ seen }) => intervalOf(seen) === longest);
  const goal = ends.map(({ last }) => last.mean).reduce((a, b) => (rises ? a < b : a > b) ? a : b);
  const seconds = (one: SeenLine) => placeOf(one.points(measure), goal, rises, "linkSeconds");
  return {
    seen: [
      `At the end the baseline's ${title} was ${write(base.last, format)}.`,
      ...kept.length > 0 ? [`As good: ${labels(kept)}.`] : [],
      ...behind.length > 0 ? [`Behind it: ${labels(behind)}.`] : [],
      ...best ? [costOf(base, best)] : [],
      soonest(base.seen, others.map(({ seen }) => seen), writeValue(goal, format), seconds),
    ],
    table: [
      [
        ...["run", `${title} at the end`, "rounds", "sent by each rank", "behind the link"],
        `behind the link to ${writeValue(goal, format)}`,
      ],
      ...ends.map(({ seen, last }) => [
        seen.line.label,
        write(last, format),
        writeValue(last.at.round, "number"),
        writeValue(last.at.bytes, "bytes"),
        writeValue(last.at.linkSeconds, "seconds"),
        writeValue(seconds(seen), "seconds"),
      ]),
    ],
    rule,
    agrees: verdict(kept.length, others.length),
  };
}

/** How well the claim stands that holds for some of all. */
function verdict(some: number, all: number): NonNullable<Finding["agrees"]> {
  return some === all ? "agrees" : some > 0 ? "agrees in part" : "does not agree";
}

/** What the longest interval that keeps up saves. */
function costOf(
  base: { readonly seen: SeenLine; readonly last: SeedPoint },
  best: { readonly seen: SeenLine; readonly last: SeedPoint },
): string {
  const of = (axis: FigureAxis) => base.last.at[axis] / best.last.at[axis];
  const part = (axis: FigureAxis) => {
    const share = writeValue(of(axis), "number");
    return share === "1" ? "all" : `1/${share}`;
  };
  return `${best.seen.line.label} came there in ${
    part("round")
  } of ${base.seen.line.label}'s rounds, with ` +
    `${part("bytes")} of its bytes and, behind the link, in ` +
    `${writeValue(1 / of("linkSeconds"), "percent")} of its time.`;
}

/** Which interval comes first to a score that all reach, on the clock behind the link. */
function soonest(
  base: SeenLine,
  others: readonly SeenLine[],
  goal: string,
  seconds: (line: SeenLine) => number,
): string {
  const first = others.reduce((a, b) => seconds(b) < seconds(a) ? b : a);
  const [slow, fast] = [base, first].map((one) => writeValue(seconds(one), "seconds"));
  return `To ${goal}, which all reached, ${base.line.label} needed ${slow} behind the link, and ${first.line.label}, ` +
    `the first CELGC there, ${fast}.`;
}

/** Shares of clipped steps over whole runs. */
export function clipsMoreOften(lines: readonly SeenLine[]): Finding {
  const rule =
    "It agrees if CELGC clips more often than the baseline at every I, in part if in the mean over them.";
  const rates = finished(lines).flatMap((seen) => {
    const rate = seen.total("clipRate");
    return rate ? [{ seen, rate }] : [];
  });
  const base = rates.find(({ seen }) => isBaseline(seen));
  const others = rates.filter(({ seen }) => isCelgc(seen));
  if (!base || others.length === 0) return notYet(rule);
  const more = others.filter(({ rate }) => rate.mean > base.rate.mean);
  const rest = others.filter((one) => !more.includes(one));
  return {
    seen: [
      `Of the baseline's steps ${write(base.rate, "percent")} clipped.`,
      ...more.length > 0 ? [`More often: ${labels(more)}.`] : [],
      ...rest.length > 0 ? [`No more often: ${labels(rest)}.`] : [],
    ],
    table: [
      ["run", "steps that clip", "mean gradient norm"],
      ...rates.map(({ seen, rate }) => {
        const norm = seen.total("gradNorm");
        return [seen.line.label, write(rate, "percent"), norm ? write(norm, "number") : "–"];
      }),
    ],
    rule,
    agrees: more.length === others.length
      ? "agrees"
      : mean(others.map(({ rate }) => rate.mean)) > base.rate.mean
      ? "agrees in part"
      : "does not agree",
  };
}

/** Drift over its bound, of every round. */
export function staysBelowBound(lines: readonly SeenLine[]): Finding {
  const rule = "It agrees if the drift of no round exceeds the round's bound.";
  const ratios = finished(lines).filter(isCelgc).flatMap((seen) => {
    const most = seen.total("driftOfBound");
    return most ? [{ seen, most }] : [];
  });
  if (ratios.length === 0) return notYet(rule);
  const beyond = ratios.filter(({ most }) => most.high > 1);
  const nearest = ratios.reduce((a, b) => b.most.high > a.most.high ? b : a);
  return {
    seen: [
      `The nearest that a drift came to its bound was ${
        writeValue(nearest.most.high, "percent")
      } ` +
      `of it, with ${nearest.seen.line.label}.`,
      ...beyond.length > 0 ? [`Beyond it: ${labels(beyond)}.`] : [],
    ],
    table: [
      ["run", "largest drift, of its bound"],
      ...ratios.map(({ seen, most }) => [seen.line.label, write(most, "percent")]),
    ],
    rule,
    agrees: beyond.length === 0 ? "agrees" : "does not agree",
  };
}

/** Iterations to one loss, the lowest that every line reaches. */
export function fewerIterations(lines: readonly SeenLine[], measure: MeasureName): Finding {
  const rule =
    `It agrees if N ranks need at most ${SLACK}/N of one rank's iterations, in part if more ranks always need fewer.`;
  const curves = finished(lines).map((seen) => ({ seen, points: seen.points(measure) }))
    .filter(({ points }) => points.length > 1)
    .sort((a, b) => a.seen.line.ranks - b.seen.line.ranks);
  const [one] = curves;
  if (curves.length < 2 || one.seen.line.ranks !== 1) return notYet(rule);
  const goal = Math.max(
    ...curves.map(({ points }) => Math.min(...points.map((point) => point.mean))),
  );
  const needed = curves.map(({ seen, points }) => ({
    label: seen.line.label,
    ranks: seen.line.ranks,
    iterations: placeOf(points, goal, false, "iteration"),
  }));
  const speedups = needed.map((line) => ({
    ...line,
    speedup: needed[0].iterations / line.iterations,
  }));
  const rises = speedups.every(({ speedup }, i) => i === 0 || speedup > speedups[i - 1].speedup);
  const most = speedups.at(-1)!;
  return {
    seen: [
      `To a ${MEASURES[measure].title} of ${
        writeValue(goal, "number")
      }, the lowest that all reached, N = ${most.ranks} needed 1/${
        writeValue(most.speedup, "number")
      } of one rank's iterations.`,
    ],
    table: [
      ["run", `iterations to ${writeValue(goal, "number")}`, "speed-up"],
      ...speedups.map(({ label, iterations, speedup }) => [
        label,
        writeValue(iterations, "number"),
        `${speedup.toFixed(2)}×`,
      ]),
    ],
    rule,
    agrees: speedups.every(({ ranks, speedup }) => speedup >= ranks / SLACK)
      ? "agrees"
      : rises
      ? "agrees in part"
      : "does not agree",
  };
}

/**
 * Where a curve first comes to a value that it reaches, on the straight line between two evaluations; the first of
 * them where that is there already.
 */
function placeOf(
  points: readonly SeedPoint[],
  goal: number,
  rises: boolean,
  axis: FigureAxis,
): number {
  const at = points.findIndex(({ mean }) => rises ? mean >= goal : mean <= goal);
  if (at <= 0) return points[0].at[axis];
  const [before, after] = [points[at - 1], points[at]];
  const share = (before.mean - goal) / (before.mean - after.mean);
  return before.at[axis] + share * (after.at[axis] - before.at[axis]);
}
