/**
 * The optimizers of a plan.
 *
 * @module
 */

import type { Algorithm, Interval } from "../../optimizers/mod.ts";
import { ALGORITHMS } from "../../optimizers/registry.ts";
import type { Options } from "../options/table.ts";
import { algorithmOf } from "../options/resolve.ts";

/** How a line of a plan differs from the options. */
export interface PlannedRounds {
  /** I, or its schedule. @default {that of the options} */
  readonly interval?: Interval;
  /** η of step t, on which it may depend. @default {see `createAlgorithm`} */
  readonly learningRate?: (t: number) => number;
}

/**
 * The optimizer of one line of a plan. With `overlap` the planned algorithm's averages travel while steps
 * go on; the baseline, which stands beside it, waits for its own.
 *
 * @param options as resolved
 * @param name the planned algorithm, or the baseline
 * @param rounds how long its rounds are, where the algorithm takes that
 * @throws RangeError if the options do not fit together
 */
export function plannedAlgorithm(
  options: Options,
  name: Options["algorithm"],
  { interval = options.interval, learningRate }: PlannedRounds = {},
): Algorithm {
  const { takes } = ALGORITHMS[name];
  return algorithmOf({
    ...options,
    algorithm: name,
    interval: takes.includes("interval") ? interval : 1,
    overlap: options.overlap && takes.includes("overlap"),
    fragments: takes.includes("fragments") ? options.fragments : 1,
  }, { learningRate });
}
