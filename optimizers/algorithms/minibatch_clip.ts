/**
 * Clipped minibatch SGD: what CELGC sends, without its local steps. The ranks of a round take the gradients
 * of I mini-batches each at the point x_r that all have, average them, and take one clipped step:
 *
 *     ḡ_r = 1/(S I) Σ_{i ∈ S_r} Σ_{k<I} ∇F_i(x_r; ξ_{r,k}^i),     x_{r+1} = x_r − min(η, γ/‖ḡ_r‖) · ḡ_r
 *
 * The average goes to all ranks, which take the same step; so their weights are equal without being sent. With
 * I = 1 it is naive parallel clipped SGD.
 *
 * The baseline of Crawshaw, Bao and Liu, NeurIPS 2023 (EPISODE++), section 5; minibatch SGD as in Woodworth,
 * Patel and Srebro, Minibatch vs Local SGD for Heterogeneous Distributed Learning, NeurIPS 2020.
 *
 * @module
 */

import { type Algorithm, checkInterval } from "../algorithm.ts";
import { clipAveraged } from "../clip_by.ts";
import { PLAIN_STEP, type StepOptions } from "../clipped_step.ts";

/** How clipped minibatch SGD runs. */
export interface MinibatchClipOptions {
  /** Mini-batches of a rank in each step, I. */
  readonly interval: number;
  /** The rest of the step. What clips it sees the averaged gradient. */
  readonly step?: Partial<Omit<StepOptions, "clips">>;
}

/** Describes clipped minibatch SGD. */
export function minibatchClip({ interval: steps, step }: MinibatchClipOptions): Algorithm {
  const interval = checkInterval(steps);
  return {
    name: "minibatch-clip",
    // The gradient that reaches the update is the average already: its own norm is the average's.
    update: { ...PLAIN_STEP, ...step, clips: true, clipBy: clipAveraged(step?.clipBy) },
    interval,
    exchange: (t) =>
      t % interval === 0
        ? { gradients: "replace", weights: "after" }
        : { gradients: "collect", weights: "none" },
    undrawn: "waits",
    alike: true,
    driftBound: () => 0,
  };
}
