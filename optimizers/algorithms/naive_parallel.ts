/**
 * Naive parallel clipped SGD, the paper's baseline: the ranks average gradients and weights at every
 * step, and clip by the norm of the averaged gradient.
 *
 *     ḡ_t = (1/N) Σ_j g_t^j,     x_{t+1}^i = x̄_t − min(η, γ/‖ḡ_t‖) · ḡ_t
 *
 * Where some of the ranks take part, S_t is drawn anew for each step, both means are over S_t, and the ranks
 * outside it take no step (Liu et al., appendix on partial participation).
 *
 * Zhang, Jin, Fang and Wang, Improved Analysis of Clipping Algorithms for Non-convex Optimization,
 * NeurIPS 2020, run in parallel; Liu et al., NeurIPS 2022, section 5.
 *
 * @module
 */

import type { Algorithm } from "../algorithm.ts";
import { clipAveraged } from "../clip_by.ts";
import { PLAIN_STEP, type StepOptions } from "../clipped_step.ts";

/** How the baseline runs. */
export interface NaiveParallelOptions {
  /** The rest of the step. What clips it sees the averaged gradient. */
  readonly step?: Partial<Omit<StepOptions, "clips">>;
}

/** Describes naive parallel clipped SGD. */
export function naiveParallel(options: NaiveParallelOptions = {}): Algorithm {
  return {
    name: "naive-parallel",
    // The gradient that reaches the update is the average already: its own norm is the average's.
    update: {
      ...PLAIN_STEP,
      ...options.step,
      clips: true,
      clipBy: clipAveraged(options.step?.clipBy),
    },
    interval: 1,
    exchange: () => ({ gradients: "replace", weights: "after" }),
    // All ranks start at one point and take the same steps.
    driftBound: () => 0,
  };
}
