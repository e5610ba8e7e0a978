/**
 * Local SGD: CELGC without the clipping.
 *
 *     x_{t+1}^i = x_t^i − η · g_t^i,     every I steps   x^i ← (1/N) Σ_j x^j
 *
 * Stich, Local SGD Converges Fast and Communicates Little, ICLR 2019, Algorithm 1.
 *
 * @module
 */

import type { Algorithm } from "../algorithm.ts";
import { celgc, type CelgcOptions } from "./celgc.ts";

/** How local SGD runs. */
export type LocalSgdOptions = CelgcOptions;

/** Describes local SGD. */
export function localSgd(options: LocalSgdOptions): Algorithm {
  const clipping = celgc({ ...options, step: { ...options.step, clipBy: "local" } });
  return {
    ...clipping,
    name: "local-sgd",
    update: { ...clipping.update, clips: false },
    driftBound: () => null,
  };
}
