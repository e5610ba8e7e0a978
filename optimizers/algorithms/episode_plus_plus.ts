/**
 * EPISODE++: episodic clipping with remembered corrections, for ranks whose data differ and of which some take
 * part in a round. Corrections are SCAFFOLD's, made of the gradients of the rank's last round; the whole round
 * is clipped or not, by the norm of their mean:
 *
 *     d_t^i = ∇F_i(x_t^i; ξ_t^i) − c_i + c
 *     x_{t+1}^i = x_t^i − η d_t^i                 if ‖c‖ ≤ γ/η
 *     x_{t+1}^i = x_t^i − γ d_t^i / ‖d_t^i‖       otherwise
 *
 * and c_i, c, x after I steps as in `scaffold.ts`.
 *
 * Crawshaw, Bao and Liu, Federated Learning with Client Subsampling, Data Heterogeneity, and Unbounded
 * Smoothness: A New Algorithm and Lower Bounds, NeurIPS 2023, Algorithm 1; each c_i begins as the mean gradient
 * of I mini-batches at x_0, as in the authors' code (`episode_mem` with `--init_corrections`).
 *
 * @module
 */

import type { Algorithm } from "../algorithm.ts";
import type { ControlledStep } from "../clipped_step.ts";
import { controlled } from "./_controlled.ts";

/** How EPISODE++ runs. */
export interface EpisodePlusPlusOptions {
  /** Steps between two rounds, I. */
  readonly interval: number;
  /** The rest of the step: an update rule other than the paper's plain one. */
  readonly step?: ControlledStep;
}

/** Describes EPISODE++. */
export function episodePlusPlus({ interval, step }: EpisodePlusPlusOptions): Algorithm {
  const controls = { every: 1, start: interval }, clips = { clips: true, clipsRound: true };
  return controlled({ name: "episode++", interval, step, controls, clips });
}
