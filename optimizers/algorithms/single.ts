/**
 * Clipped SGD on one rank, against which speedup is measured.
 *
 *     x_{t+1} = x_t − min(η, γ/‖g_t‖) · g_t
 *
 * Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, ICML 2013;
 * analysed by Zhang, He, Sra and Jadbabaie, Why Gradient Clipping Accelerates Training, ICLR 2020.
 *
 * @module
 */

import { type Algorithm, SILENT } from "../algorithm.ts";
import { clipAveraged } from "../clip_by.ts";
import { PLAIN_STEP, type StepOptions } from "../clipped_step.ts";

/** How the single rank steps. */
export interface SingleOptions {
  /** The rest of the step. */
  readonly step?: Partial<Omit<StepOptions, "clips">>;
}

/** Describes clipped SGD on one rank. */
export function single(options: SingleOptions = {}): Algorithm {
  return {
    name: "single",
    update: {
      ...PLAIN_STEP,
      ...options.step,
      clips: true,
      clipBy: clipAveraged(options.step?.clipBy),
    },
    interval: null,
    exchange: () => SILENT,
    driftBound: () => null,
  };
}
