/**
 * CELGC: communication-efficient local gradient clipping.
 *
 *     x_{t+1}^i = x_t^i − min(η, γ/‖g_t^i‖) · g_t^i,      g_t^i = ∇F_i(x_t^i; ξ_t^i)
 *     every I steps                 x^i ← (1/N) Σ_j x^j
 *
 * Liu, Zhuang, Lei and Liao, A Communication-Efficient Distributed Gradient Clipping Algorithm for
 * Training Deep Neural Networks, NeurIPS 2022, Algorithm 1.
 *
 * @module
 */

import { type Algorithm, checkInterval, type Communication } from "../algorithm.ts";
import { CLIP_RULES } from "../clip_by.ts";
import type { WeightsSize } from "../clipping/clip_rule.ts";
import { PLAIN_STEP, type StepOptions } from "../clipped_step.ts";

/** How CELGC runs. */
export interface CelgcOptions {
  /** Steps between two rounds, I. */
  readonly interval: number;
  /**
   * Side of the step at which round t ≡ 0 (mod I) averages: Algorithm 1 averages after it; the
   * authors' code averages before it, the very first step included.
   *
   * @default "after"
   */
  readonly average?: "before" | "after";
  /** The rest of the step: the update rule, which norm clips. */
  readonly step?: Partial<Omit<StepOptions, "clips">>;
}

/**
 * Describes CELGC.
 *
 * Where the norm of the averaged gradient takes part in the clipping (`clipBy` other than `local`), it
 * is refreshed at the first step of every round, as in the authors' code.
 *
 * @example
 * ```ts
 * import { celgc } from "./celgc.ts";
 * const algorithm = celgc({ interval: 4 });
 * console.assert(algorithm.exchange(3).weights === "none");
 * console.assert(algorithm.exchange(4).weights === "after");
 * console.assert(algorithm.driftBound(0.5) === 4); // 2 γ I
 * ```
 */
export function celgc(options: CelgcOptions): Algorithm {
  const interval = checkInterval(options.interval);
  const average = options.average ?? "after";
  const update: StepOptions = { ...PLAIN_STEP, ...options.step, clips: true };
  return {
    name: "celgc",
    update,
    interval,
    exchange(t: number): Communication {
      const first = (t - 1) % interval === 0, last = t % interval === 0;
      return {
        gradients: first && CLIP_RULES[update.clipBy].usesAverage ? "norm" : "none",
        weights: (average === "after" ? last : first) ? average : "none",
      };
    },
    driftBound(clip, weights, steps = interval) {
      const longest = longestStep(update, weights);
      return longest === null ? null : 2 * clip * longest * steps;
    },
  };
}

/**
 * Lemma 1 of the paper, ‖x̄_t − x_t^i‖ ≤ 2γI, holds where no step is longer than γ: each is taken along
 * the gradient itself and its own norm takes part in the clipping. Where no step is longer than kγ, the same
 * proof gives 2kγI.
 *
 * @returns k; null where nothing bounds a step
 */
function longestStep({ clips, clipBy, rule }: StepOptions, weights?: WeightsSize): number | null {
  return clips && rule.plain ? CLIP_RULES[clipBy].longestStep(weights ?? null) : null;
}
