/**
 * What runs came to, in sentences, and whether it agrees with a claim: rules that anybody can apply to the numbers.
 *
 * @module
 */

import { writeValue } from "../report/page/style.ts";
import { type FigureAxis, mean, type MeasureName, MEASURES, type SeedPoint } from "./measures.ts";
import type { RunLine } from "./lines.ts";

/** A line of a figure with what was measured of it. */
export interface SeenLine {
  readonly line: RunLine;
  readonly points: (measure: MeasureName) => readonly SeedPoint[];
}

/** What was seen, in sentences, and whether the claim stands. */
export interface Finding {
  readonly seen: readonly string[];
  /** Null where the runs that are finished do not tell, or some lines have none yet. */
  readonly agrees: "agrees" | "agrees in part" | "does not agree" | null;
}

const NOT_YET: Finding = { seen: ["The runs that would tell are not finished."], agrees: null };

/** Shares of a score within which one run of a setting may differ from another: one seed has no spread of its own. */
const TOLERANCE = 0.03;

const isBaseline = ({ line }: SeenLine) => line.at.algorithm === "naive-parallel";
const isCelgc = ({ line }: SeenLine) => line.at.algorithm === "celgc";
const intervalOf = ({ line }: SeenLine) => Number(line.at.interval);
const finished = (lines: readonly SeenLine[]) => lines.filter(({ line }) => line.runs.length > 0);

/** For example `0.98 (0.95 to 1.01)`. */
function write({ mean, low, high }: SeedPoint, measure: MeasureName): string {
  const { format } = MEASURES[measure];
  const value = writeValue(mean, format);
  return low === high
    ? value
    : `${value} (${writeValue(low, format)} to ${writeValue(high, format)})`;
}

/** Whether a score is better the larger it is. */
const risesWhenBetter = (measure: MeasureName) => measure === "testAccuracy";

/**
 * CELGC's last score beside the baseline's: an interval keeps up if its mean is no worse by more than the widest spread
 * over the seeds of the two, or by 3 % of the baseline's where that is more. The claim agrees if all intervals do, in
 * part if some do.
 */
export function keepsUp(lines: readonly SeenLine[], measure: MeasureName): Finding {
  const ends = finished(lines).flatMap((seen) => {
    const last = seen.points(measure).at(-1);
    return last ? [{ seen, last }] : [];
  });
  const base = ends.find(({ seen }) => isBaseline(seen));
  const others = ends.filter(({ seen }) => isCelgc(seen));
  if (!base || others.length === 0) return NOT_YET;
  const kept = others.filter(({ last }) => {
    const spread = Math.max(last.high - last.low, base.last.high - base.last.low);
    const behind = risesWhenBetter(measure)
      ? base.last.mean - last.mean
      : last.mean - base.last.mean;
    return behind <= Math.max(spread, TOLERANCE * base.last.mean);
  });
  const seen = [
    `At the end the ${MEASURES[measure].title} was ` +
    ends.map(({ seen, last }) => `${write(last, measure)} with ${seen.line.label}`).join(", ") +
    ".",
  ];
  const longest = Math.max(...kept.map(({ seen }) => intervalOf(seen)));
  if (kept.length < others.length) {
    const behind = others.filter((end) => !kept.includes(end));
    seen.push(`Behind it: ${behind.map(({ seen }) => seen.line.label).join(", ")}.`);
  }
  const best = kept.find(({ seen }) => intervalOf(seen) === longest);
  if (best) seen.push(...costOf(base, best));
  const agrees = kept.length === others.length
    ? "agrees"
    : kept.length > 0
    ? "agrees in part"
    : "does not agree";
  return { seen, agrees };
}

/** What the longest interval that keeps up saves. */
function costOf(
  base: { readonly seen: SeenLine; readonly last: SeedPoint },
  best: { readonly seen: SeenLine; readonly last: SeedPoint },
): string[] {
  const of = (axis: FigureAxis) => base.last.at[axis] / best.last.at[axis];
  return [
    `${best.seen.line.label} came there in 1/${writeValue(of("round"), "number")} of ` +
    `${base.seen.line.label}'s rounds, with 1/${
      writeValue(of("bytes"), "number")
    } of its bytes and, behind the link, in ` +
    `${writeValue(1 / of("linkSeconds"), "percent")} of its time.`,
  ];
}

/** Shares of clipped steps: agrees if CELGC clips more often at every I, in part if it does in the mean. */
export function clipsMoreOften(lines: readonly SeenLine[]): Finding {
  const rates = finished(lines).map((seen) => ({
    seen,
    rate: mean(seen.points("clipRate").map((point) => point.mean)),
    norm: mean(seen.points("gradNorm").map((point) => point.mean)),
  })).filter(({ rate }) => Number.isFinite(rate));
  const base = rates.find(({ seen }) => isBaseline(seen));
  const others = rates.filter(({ seen }) => isCelgc(seen));
  if (!base || others.length === 0) return NOT_YET;
  const more = others.filter(({ rate }) => rate > base.rate);
  return {
    seen: [
      "Over the whole run " +
      rates.map(({ seen, rate }) =>
        `${writeValue(rate, "percent")} of the steps clipped with ${seen.line.label}`
      )
        .join(", ") +
      ".",
      "The mean gradient norm was " +
      rates.map(({ seen, norm }) => `${writeValue(norm, "number")} with ${seen.line.label}`).join(
        ", ",
      ) + ".",
    ],
    agrees: more.length === others.length
      ? "agrees"
      : mean(others.map(({ rate }) => rate)) > base.rate
      ? "agrees in part"
      : "does not agree",
  };
}

/** Drift over its bound, round by round: agrees if it never exceeds it. */
export function staysBelowBound(lines: readonly SeenLine[]): Finding {
  const ratios = finished(lines).filter(isCelgc).map((seen) => {
    const bounds = new Map(seen.points("driftBound").map(({ at, high }) => [at.iteration, high]));
    const shares = seen.points("drift").map(({ at, high }) =>
      high / (bounds.get(at.iteration) ?? NaN)
    );
    return { seen, most: Math.max(...shares.filter(Number.isFinite)) };
  }).filter(({ most }) => Number.isFinite(most));
  if (ratios.length === 0) return NOT_YET;
  return {
    seen: [
      "The largest drift was " +
      ratios.map(({ seen, most }) =>
        `${writeValue(most, "percent")} of its bound with ${seen.line.label}`
      ).join(", ") +
      ".",
    ],
    agrees: ratios.every(({ most }) => most <= 1) ? "agrees" : "does not agree",
  };
}

/**
 * Iterations to one loss, the lowest that every line reaches: agrees if N ranks need at most 1.5/N of one rank's, in part
 * if more ranks always need fewer.
 */
export function fewerIterations(lines: readonly SeenLine[], measure: MeasureName): Finding {
  const curves = finished(lines).map((seen) => ({ seen, points: seen.points(measure) }))
    .filter(({ points }) => points.length > 1)
    .sort((a, b) => a.seen.line.ranks - b.seen.line.ranks);
  const [one] = curves;
  if (curves.length < 2 || one.seen.line.ranks !== 1) return NOT_YET;
  const goal = Math.max(
    ...curves.map(({ points }) => Math.min(...points.map((point) => point.mean))),
  );
  const needed = curves.map(({ seen, points }) => ({
    ranks: seen.line.ranks,
    iterations: iterationsTo(points, goal),
  }));
  const speedups = needed.map(({ ranks, iterations }) => ({
    ranks,
    iterations,
    speedup: needed[0].iterations / iterations,
  }));
  const rises = speedups.every(({ speedup }, i) => i === 0 || speedup > speedups[i - 1].speedup);
  return {
    seen: [
      `To a ${MEASURES[measure].title} of ${
        writeValue(goal, "number")
      }, the lowest that all reached: ` +
      speedups.map(({ ranks, iterations, speedup }) =>
        `${writeValue(iterations, "number")} iterations with N = ${ranks} (${speedup.toFixed(2)}×)`
      ).join(", ") + ".",
    ],
    agrees: speedups.every(({ ranks, speedup }) => speedup >= ranks / 1.5)
      ? "agrees"
      : rises
      ? "agrees in part"
      : "does not agree",
  };
}

/** Where a falling curve first comes to a value, on the straight line between two evaluations. */
function iterationsTo(points: readonly SeedPoint[], goal: number): number {
  const at = points.findIndex((point) => point.mean <= goal);
  if (at <= 0) return points[0].at.iteration;
  const [before, after] = [points[at - 1], points[at]];
  const share = (before.mean - goal) / (before.mean - after.mean);
  return before.at.iteration + share * (after.at.iteration - before.at.iteration);
}
