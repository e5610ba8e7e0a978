/**
 * The settings that a plan compares, and which of them it advises.
 *
 * @module
 */

import type { Interval } from "../../optimizers/rounds/interval.ts";
import { ALGORITHMS } from "../../optimizers/registry.ts";
import { codecOf } from "../../runtime/compression/registry.ts";
import { OptionError } from "../options/kinds.ts";
import { resolveOptions } from "../options/resolve.ts";
import type { Options } from "../options/values.ts";
import { plannedAlgorithm } from "./planned.ts";
import type { Prediction } from "./predict.ts";

/** What decides how much a run sends, and when. */
export interface Setting {
  /** I, or its schedule. */
  readonly interval: Interval;
  /** As in `--compress`. */
  readonly compress: string;
  /** As in `--fragments`. */
  readonly fragments: number;
}

/** A setting, and what a run with it is expected to come to. */
export interface PlannedSetting extends Setting, Prediction {}

/** The setting that a plan advises. */
export interface Advice {
  /** By how much its wall clock may exceed that of the fastest, as a share of this one. */
  readonly tolerance: number;
  /** The one that changes least of the training, and is fast enough. */
  readonly cheapest: PlannedSetting;
  /** The one of the shortest wall clock. */
  readonly fastest: PlannedSetting;
}

/** Codecs that are compared where none is asked for: of those that keep all numbers, one for each width. */
const CODECS = ["none", "bf16", "int8", "int4"];
/** Parts that are compared where no number is asked for. */
const FRAGMENTS = [1, 2, 4];

/** The numbers of parts that a plan compares. */
export function fragmentsToPlan(
  given: Partial<Options>,
  { algorithm, fragments }: Options,
): number[] {
  if (given.fragments !== undefined) return [fragments];
  return ALGORITHMS[algorithm].takes.includes("fragments") ? FRAGMENTS : [1];
}

/**
 * The settings that go with the options, in the order in which they are asked for: what is given has its value,
 * what is not is tried.
 *
 * @param given options by their names in code; of them the interval may be replaced
 * @param options the same, as resolved
 */
export function settingsToPlan(
  given: Partial<Options>,
  options: Options,
  intervals: readonly Interval[],
): Setting[] {
  // An algorithm that sends displacements has a codec of its own.
  const free = given.compress === undefined && !plannedAlgorithm(options, options.algorithm).sends;
  const codecs = free ? CODECS : [options.compress], fragments = fragmentsToPlan(given, options);
  const all = intervals.flatMap((interval) =>
    codecs.flatMap((compress) =>
      fragments.map((count): Setting => ({ interval, compress, fragments: count }))
    )
  );
  return all.filter((setting) => isPossible({ ...given, ...setting }));
}

/** Whether no rule of the options refuses these. */
export function isPossible(given: Partial<Options>): boolean {
  try {
    resolveOptions(given);
    return true;
  } catch (error) {
    if (error instanceof OptionError) return false;
    throw error;
  }
}

/**
 * The cheapest setting: of those whose wall clock exceeds the fastest's by no more than the tolerance, the one that
 * changes least of what is learnt and of how. First the smallest I, in the mean over the run; among those the least
 * compression, by the bytes that a number keeps; among those the fewest fragments.
 *
 * @returns null if there are no settings
 */
export function advise(settings: readonly PlannedSetting[], tolerance: number): Advice | null {
  if (settings.length === 0) return null;
  const fastest = settings.reduce((best, each) => each.seconds < best.seconds ? each : best);
  const within = settings.filter(({ seconds }) => seconds <= fastest.seconds * (1 + tolerance));
  const [cheapest] = within.toSorted((a, b) =>
    a.meanInterval - b.meanInterval || keptBytes(b.compress) - keptBytes(a.compress) ||
    a.fragments - b.fragments
  );
  return { tolerance, cheapest, fastest };
}

/** Bytes that a codec makes of 4,096 numbers. */
function keptBytes(compress: string): number {
  return codecOf(compress)?.bytes(4096) ?? 4 * 4096;
}

/** As a person would say it: "I = 16, int8, 2 fragments". */
export function describeSetting({ interval, compress, fragments }: Setting): string {
  return [
    `I = ${interval}`,
    compress === "none" ? "no compression" : compress,
    ...fragments > 1 ? [`${fragments} fragments`] : [],
  ].join(", ");
}
