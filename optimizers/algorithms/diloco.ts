/**
 * DiLoCo: Nesterov's momentum across rounds. The ranks take I local steps from a common point x_r and
 * average; the displacement is the gradient of an outer step:
 *
 *     Δ_r = x_r − x̄_r
 *     b_{r+1} = μ b_r + Δ_r
 *     x_{r+1} = x_r − η_out (Δ_r + μ b_{r+1})
 *
 * Douillard et al., DiLoCo: Distributed Low-Communication Training of Language Models, 2023 (arXiv
 * 2311.08105), Algorithm 1, with the outer optimizer that it settles on, Nesterov's momentum with
 * η_out = 0.7 and μ = 0.9. The paper's inner optimizer is AdamW, whose states stay with each rank
 * (the preset `diloco`); with SGD the local steps are clipped as CELGC's are, so that the outer step is what a
 * comparison compares.
 *
 * @module
 */

import type { Algorithm } from "../algorithm.ts";
import { celgc, type CelgcOptions } from "./celgc.ts";

/** η_out and μ where nothing else is said. */
export const DILOCO_DEFAULTS = { outerLearningRate: 0.7, outerMomentum: 0.9 } as const;

/** How DiLoCo runs. */
export interface DilocoOptions extends Pick<CelgcOptions, "interval" | "step"> {
  /** η_out. @default {0.7} */
  readonly outerLearningRate?: number;
  /** μ of the outer step. @default {0.9} */
  readonly outerMomentum?: number;
}

/** Describes DiLoCo. */
export function diloco(options: DilocoOptions): Algorithm {
  const { interval, step } = options;
  const { outerLearningRate: rate = DILOCO_DEFAULTS.outerLearningRate } = options;
  const { outerMomentum: mu = DILOCO_DEFAULTS.outerMomentum } = options;
  return {
    ...celgc({ interval, ...(step ? { step } : {}) }),
    name: "diloco",
    outer: {
      move(average, start, momentum) {
        for (let i = 0; i < average.length; i++) {
          const displacement = start[i] - average[i];
          momentum[i] = mu * momentum[i] + displacement;
          average[i] = start[i] - rate * (displacement + mu * momentum[i]);
        }
      },
    },
  };
}
