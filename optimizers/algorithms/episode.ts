/**
 * EPISODE: episodic gradient clipping with periodic resampled corrections, for ranks whose data differ.
 *
 * At the start of each round every rank that takes part draws a mini-batch aside and takes its gradient
 * G_r^i at the common point, and the S ranks of the round average them: G_r = (1/S) Σ_{j ∈ S_r} G_r^j.
 * Throughout the round
 *
 *     g_t^i = ∇F_i(x_t^i; ξ_t^i) − G_r^i + G_r
 *     x_{t+1}^i = x_t^i − η g_t^i                 if ‖G_r‖ ≤ γ/η
 *     x_{t+1}^i = x_t^i − γ g_t^i / ‖g_t^i‖       otherwise
 *
 * and after I steps the mean of their weights is where all ranks go on from. With all ranks S = N; partial
 * participation is as in the authors' code of EPISODE++.
 *
 * Crawshaw, Bao and Liu, EPISODE: Episodic Gradient Clipping with Periodic Resampled Corrections for
 * Federated Learning with Heterogeneous Data, ICLR 2023 (arXiv 2302.07155), Algorithm 1.
 *
 * @module
 */

import type { Algorithm } from "../algorithm.ts";
import { celgc } from "./celgc.ts";
import type { StepOptions } from "../clipped_step.ts";

/** How EPISODE runs. */
export interface EpisodeOptions {
  /** Steps between two rounds, I. */
  readonly interval: number;
  /** The rest of the step: an update rule other than the paper's plain one. */
  readonly step?: Partial<Omit<StepOptions, "clips" | "clipBy" | "correct" | "clipsRound">>;
}

/** Describes EPISODE. */
export function episode({ interval, step }: EpisodeOptions): Algorithm {
  const clipping = celgc({ interval, step: { ...step, clipBy: "local" } });
  return {
    name: "episode",
    update: { ...clipping.update, correct: true, clipsRound: true },
    interval,
    undrawn: "waits",
    exchange: (t) => ({
      ...clipping.exchange(t),
      gradients: (t - 1) % interval === 0 ? "correct" : "none",
    }),
    // A step that is not clipped is as long as its own gradient says, and nothing bounds that.
    driftBound: () => null,
  };
}
