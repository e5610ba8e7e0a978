/**
 * SCAFFOLD: control variates against the drift of ranks whose data differ. With x_r the point that all ranks
 * have when a round begins, S_r its ranks, and c_i, c their control variates:
 *
 *     d_t^i = ∇F_i(x_t^i; ξ_t^i) − c_i + c,     x_{t+1}^i = x_t^i − η d_t^i,     I times from x_r
 *     x_{r+1} = (1/S) Σ_{i ∈ S_r} x^i
 *     c_i⁺ = (1/I) Σ_t ∇F_i(x_t^i; ξ_t^i)    for i ∈ S_r
 *     c ← c + (1/N) Σ_{i ∈ S_r} (c_i⁺ − c_i)
 *
 * Each c_i begins as the mean gradient of I mini-batches at x_0, c as the mean of all c_i.
 *
 * Karimireddy, Kale, Mohri, Reddi, Stich and Suresh, SCAFFOLD: Stochastic Controlled Averaging for Federated
 * Learning, ICML 2020, Algorithm 1 with the server's step size 1. Its option II, c_i⁺ = c_i − c +
 * (x_r − x^i)/(Iη), is the same number for plain steps of one η: x_r − x^i = η Σ_t (g_t^i − c_i + c). The
 * mean is what stays right with clipping, momentum and a decay of η.
 *
 * SCAFFOLDClip cuts each step by its own norm, x ← x − min(η, γ/‖d‖)·d: the rival of that name in Crawshaw,
 * Bao and Liu, NeurIPS 2023 (EPISODE++), whose code makes c_i⁺ the mean of the raw gradients as well.
 *
 * @module
 */

import type { Algorithm } from "../algorithm.ts";
import type { ControlledStep } from "../clipped_step.ts";
import { controlled } from "./_controlled.ts";

/** How SCAFFOLD runs, clipped or not. */
export interface ScaffoldOptions {
  /** Steps between two rounds, I. */
  readonly interval: number;
  /** The rest of the step: an update rule other than the paper's plain one. */
  readonly step?: ControlledStep;
}

/** Describes SCAFFOLD. */
export function scaffold({ interval, step }: ScaffoldOptions): Algorithm {
  const controls = { every: 1, start: interval };
  return controlled({ name: "scaffold", interval, step, controls, clips: { clips: false } });
}

/**
 * Describes SCAFFOLDClip. No step is longer than γ and all ranks of a round begin at one point, so CELGC's
 * bound on the drift holds.
 */
export function scaffoldClip({ interval, step }: ScaffoldOptions): Algorithm {
  const controls = { every: 1, start: interval };
  return controlled({ name: "scaffold-clip", interval, step, controls, clips: { clips: true } });
}
