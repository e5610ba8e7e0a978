/**
 * I, the steps between two rounds, as a schedule: a pure function of the step and of the learning rate, so
 * that it is the same on all ranks and after a resume.
 *
 *     4                                I = 4
 *     1..1000:1,16                     I = 1 in steps 1 to 1000, then 16
 *     1..1000:1,1001..5000:4,16        more of them, each from where the last ended
 *     qsr:base=4,alpha=0.0175          I = max(base, ⌊(α/η)²⌋), chosen anew for each round
 *     1..1000:1,qsr:base=4,alpha=0.0175
 *
 * A part of the run that has an end ends with a round, if need be a shorter one, and the next begins there.
 *
 * I = 1 at first and more later is post-local SGD: Lin, Stich, Patel and Jaggi, Don't Use Large Mini-Batches,
 * Use Local SGD, ICLR 2020, section 3. The quadratic synchronization rule is that of Gu, Lyu, Arora, Zhang and
 * Huang, A Quadratic Synchronization Rule for Distributed Deep Learning, ICLR 2024, Algorithm 2, with η of the
 * round's first step. While η rises, I is what it will be at the peak, as there for a warm-up.
 *
 * @module
 */

import { checkInterval, type RoundSchedule } from "../algorithm.ts";

/** The text of a schedule; a constant I is a number. */
export type IntervalText = `${string}:${string}`;

/** I as an option has it. */
export type Interval = number | IntervalText;

/** What I is up to a step. */
export interface IntervalSegment {
  /** The last step. */
  readonly until: number;
  /** I until then. */
  readonly interval: number;
}

/** The quadratic synchronization rule: I = max(base, ⌊(α/η)²⌋). */
export interface QuadraticRule {
  /** The least I. */
  readonly base: number;
  /** α, in units of η. */
  readonly alpha: number;
}

/** A schedule, taken apart. */
export interface IntervalSpec {
  /** What it is at first, each from where the one before has ended. */
  readonly segments: readonly IntervalSegment[];
  /** What it is from then on. */
  readonly rest: number | QuadraticRule;
}

/** What it can be, for messages. */
export const INTERVAL_FORM =
  "a whole number from 1, or a schedule such as 1..1000:1,16 or qsr:base=4,alpha=0.0175";

/**
 * Reads a schedule.
 *
 * @throws RangeError that says what is wrong with it
 *
 * @example
 * ```ts
 * import { parseInterval } from "./interval.ts";
 * const { segments, rest } = parseInterval("1..1000:1,16");
 * console.assert(segments[0].until === 1000 && segments[0].interval === 1 && rest === 16);
 * ```
 */
export function parseInterval(interval: Interval): IntervalSpec {
  if (typeof interval === "number") return { segments: [], rest: checkInterval(interval) };
  const [head, rule, ...more] = interval.replaceAll(/\s/g, "").split("qsr:");
  if (more.length > 0) throw wrong(interval, "qsr twice");
  const parts = head.split(",");
  // Before the rule stands a comma, or nothing.
  const last = parts.pop()!;
  if (rule !== undefined && last !== "") throw wrong(interval, `"${last}" before qsr`);
  const segments: IntervalSegment[] = [];
  for (const part of parts) segments.push(segmentOf(part, segments.at(-1)?.until ?? 0, interval));
  return { segments, rest: rule === undefined ? whole(last, interval) : ruleOf(rule, interval) };
}

/** Spells a schedule in one way; a constant one is a number. */
export function formatInterval({ segments, rest }: IntervalSpec): Interval {
  if (segments.length === 0 && typeof rest === "number") return rest;
  let from = 1;
  const parts = segments.map(({ until, interval }) => {
    const part = `${from}..${until}:${interval}`;
    from = until + 1;
    return part;
  });
  const last = typeof rest === "number" ? `${rest}` : `qsr:base=${rest.base},alpha=${rest.alpha}`;
  return [...parts, last].join(",") as Interval;
}

/**
 * The rounds of a schedule.
 *
 * @param learningRate η of step t, asked only where the schedule depends on it
 */
export function roundsOf(
  { segments, rest }: IntervalSpec,
  learningRate: (t: number) => number,
): RoundSchedule {
  const from = segments.at(-1)?.until ?? 0;
  const later = typeof rest === "number"
    ? constant(from, Infinity, rest)
    : quadratic(from, rest, learningRate);
  let begin = 0;
  const earlier = segments.map(({ until, interval }) => {
    const rounds = constant(begin, until, interval);
    begin = until;
    return { until, rounds };
  });
  return {
    roundOf: (t) => (earlier.find(({ until }) => t <= until)?.rounds ?? later).roundOf(t),
  };
}

function constant(from: number, until: number, interval: number): RoundSchedule {
  return {
    roundOf(t) {
      const begin = t - 1 - (t - 1 - from) % interval;
      return { begin, end: Math.min(begin + interval, until) };
    },
  };
}

/** Steps of a round that outlasts every run, as η near 0 asks for. */
const LONGEST = 2 ** 52;

/** Each round's length follows from where it begins; they are counted on from the last that was asked for. */
function quadratic(
  from: number,
  { base, alpha }: QuadraticRule,
  learningRate: (t: number) => number,
): RoundSchedule {
  const ends = [from];
  return {
    roundOf(t) {
      for (let last = ends.at(-1)!; last < t; ends.push(last)) {
        const longest = Math.floor((alpha / learningRate(last + 1)) ** 2);
        last += Math.max(base, Math.min(longest, LONGEST));
      }
      // The first end that is not before t.
      let low = 1, high = ends.length - 1;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (ends[middle] < t) low = middle + 1;
        else high = middle;
      }
      return { begin: ends[low - 1], end: ends[low] };
    },
  };
}

/**
 * η of a step, and, while it still rises, that of the peak: the largest from the step on.
 *
 * @param learningRate η of step t
 * @param steps of the run; after them η stays as it is
 */
export function peakAhead(
  learningRate: (t: number) => number,
  steps: number,
): (t: number) => number {
  let peaks: Float64Array | null = null;
  return (t) => {
    if (t >= steps) return learningRate(t);
    if (!peaks) {
      peaks = new Float64Array(steps + 1);
      let peak = 0;
      for (let step = steps; step >= 1; step--) {
        peaks[step] = peak = Math.max(peak, learningRate(step));
      }
    }
    return peaks[t];
  };
}

function segmentOf(part: string, before: number, interval: string): IntervalSegment {
  const [, first, until, steps] = /^(\d+)\.\.(\d+):(\d+)$/.exec(part) ?? [];
  if (steps === undefined) throw wrong(interval, `"${part}", which is no FROM..TO:I`);
  if (Number(first) !== before + 1) {
    throw wrong(interval, `${part}, which begins at step ${first} and not at ${before + 1}`);
  }
  if (Number(until) < Number(first)) throw wrong(interval, `${part}, which ends before it begins`);
  return { until: whole(until, interval), interval: whole(steps, interval) };
}

function ruleOf(rule: string, interval: string): QuadraticRule {
  const entries = rule.split(",").map((pair) => pair.split("="));
  const { base, alpha: text = "" } = Object.fromEntries(entries), alpha = Number(text || NaN);
  const isPairs = entries.length === 2 && entries.every((pair) => pair.length === 2);
  if (!isPairs || !(alpha > 0 && alpha < Infinity) || base === undefined) {
    throw wrong(interval, `qsr:${rule}, which is no qsr:base=STEPS,alpha=ABOVE_0`);
  }
  return { base: whole(base, interval), alpha };
}

function whole(text: string, interval: string): number {
  const number = /^\d+$/.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw wrong(interval, `"${text}" where a number of steps from 1 stands`);
}

const wrong = (interval: string, what: string) =>
  new RangeError(`an interval is ${INTERVAL_FORM}; "${interval}" has ${what}`);
