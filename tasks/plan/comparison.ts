/**
 * What a plan compares: the lines of its table, and the settings that it advises one of.
 *
 * @module
 */

import type { Interval } from "../../optimizers/rounds/interval.ts";
import { ALGORITHMS } from "../../optimizers/registry.ts";
import { OPTIONS, type Options } from "../options/table.ts";
import { plannedAlgorithm } from "./planned.ts";
import { fragmentsToPlan, isPossible, type Setting, settingsToPlan } from "./settings.ts";

/** The intervals that are compared where none are named. */
const INTERVALS = [1, 2, 4, 8, 16, 32];

/** What a plan compares with the baseline, and with each other. */
export interface Comparison {
  /** The one whose rounds are planned. */
  readonly algorithm: Options["algorithm"];
  /** Numbers in increasing order, then schedules. */
  readonly intervals: readonly Interval[];
  /** Numbers of fragments. */
  readonly fragments: readonly number[];
  /** Codecs, by their names. */
  readonly codecs: readonly string[];
  /** See {@linkcode settingsToPlan}. */
  readonly settings: readonly Setting[];
}

/**
 * What a plan compares.
 *
 * @param given options by their names in code
 * @param options the same, as resolved
 * @param intervals that are named; by default those that go with the options
 */
export function comparisonOf(
  given: Partial<Options>,
  options: Options,
  intervals?: readonly Interval[],
): Comparison {
  const hasRounds = ALGORITHMS[options.algorithm].rounds === "interval";
  const algorithm = hasRounds ? options.algorithm : OPTIONS.algorithm.default;
  const planned = { ...options, algorithm }, named = { ...given, algorithm };
  // An average that comes so many steps late has no place in shorter rounds.
  const usual = () => INTERVALS.filter((interval) => isPossible({ ...named, interval }));
  const all = [...new Set(intervals ?? [...usual(), options.interval])].sort(byLength);
  const settings = settingsToPlan(named, planned, all);
  const { sends } = plannedAlgorithm(planned, algorithm);
  const codecs = [...settings.map(({ compress }) => compress), options.compress];
  return {
    algorithm,
    intervals: all,
    fragments: fragmentsToPlan(given, planned),
    codecs: [...new Set(codecs), ...sends ? [sends.compress] : []],
    settings,
  };
}

/** Numbers in increasing order, then schedules. */
function byLength(a: Interval, b: Interval): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return typeof a === "number" ? -1 : typeof b === "number" ? 1 : a < b ? -1 : 1;
}
