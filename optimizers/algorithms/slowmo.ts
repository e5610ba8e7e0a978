/**
 * SlowMo: momentum across rounds. The ranks take I local steps from a common point x_r and average;
 * what that moved them by is one step of a slow momentum u:
 *
 *     u_{r+1} = β u_r + (x_r − x̄_r) / η
 *     x_{r+1} = x_r − α η u_{r+1}
 *
 * x̄_r is the average at the end of round r, η the learning rate of its last step. With α = 1 and β = 0
 * the average stands, and CELGC is left; so it does, and u_r as well, where η is 0.
 *
 * Wang, Tantia, Ballas and Rabbat, SlowMo: Improving Communication-Efficient Distributed SGD with Slow
 * Momentum, ICLR 2020, Algorithm 1. The local steps here are clipped, as CELGC's are; momentum of the
 * local steps is kept by each rank from round to round.
 *
 * @module
 */

import type { Algorithm } from "../algorithm.ts";
import { celgc, type CelgcOptions } from "./celgc.ts";

/** α and β where nothing else is said. */
export const SLOWMO_DEFAULTS = { outerLearningRate: 1, outerMomentum: 0.7 } as const;

/** How SlowMo runs. */
export interface SlowMoOptions extends Pick<CelgcOptions, "interval" | "step"> {
  /** Slow learning rate α. @default {1} */
  readonly outerLearningRate?: number;
  /** Slow momentum β. @default {0.7} */
  readonly outerMomentum?: number;
}

/** Describes SlowMo. */
export function slowMo(options: SlowMoOptions): Algorithm {
  const { interval, step } = options;
  const { outerLearningRate: alpha = SLOWMO_DEFAULTS.outerLearningRate } = options;
  const { outerMomentum: beta = SLOWMO_DEFAULTS.outerMomentum } = options;
  return {
    ...celgc({ interval, ...(step ? { step } : {}) }),
    name: "slowmo",
    outer: {
      move(average, start, momentum, { learningRate }) {
        if (learningRate === 0) return;
        for (let i = 0; i < average.length; i++) {
          momentum[i] = beta * momentum[i] + (start[i] - average[i]) / learningRate;
          average[i] = start[i] - alpha * learningRate * momentum[i];
        }
      },
    },
  };
}
