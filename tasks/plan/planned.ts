/**
 * The optimizers of a plan.
 *
 * @module
 */

import type { Algorithm } from "../../optimizers/mod.ts";
import { ALGORITHMS } from "../../optimizers/registry.ts";
import type { Options } from "../options/table.ts";
import { algorithmOf } from "../options/resolve.ts";

/**
 * The optimizer of one line of a plan. With `overlap` the planned algorithm's averages travel while steps
 * go on; the baseline, which stands beside it, waits for its own.
 *
 * @param options as resolved
 * @param name the planned algorithm, or the baseline
 * @param interval I, where the algorithm takes it
 * @throws RangeError if the options do not fit together
 */
export function plannedAlgorithm(
  options: Options,
  name: Options["algorithm"],
  interval: number = options.interval,
): Algorithm {
  const overlap = options.overlap && ALGORITHMS[name].takes.includes("overlap");
  return algorithmOf({ ...options, algorithm: name, interval, overlap });
}
