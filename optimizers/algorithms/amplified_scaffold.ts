/**
 * Amplified SCAFFOLD, for ranks that are there in turn. A period has P rounds, in which each rank has had the
 * same chance to take part; a single round shows the data of some ranks only. So control variates are renewed
 * once a period, of all gradients that a rank has taken in it, and the progress of a whole period is what is
 * made longer:
 *
 *     d_t^i = ∇F_i(x_t^i; ξ_t^i) − c_i + c,     x_{t+1}^i = x_t^i − η d_t^i,     I times from x_r
 *     x_{r+1} = (1/S) Σ_{i ∈ S_r} x^i
 *     every P rounds, since the last of which x was x_old
 *       x ← x_old + γ_amp (x − x_old)
 *       c_i⁺ = the mean of the rank's gradients in the period, of each rank that has taken part in it
 *       c ← c + (1/N) Σ_i (c_i⁺ − c_i)
 *
 * All control variates begin as zero. Steps are not clipped.
 *
 * Crawshaw and Liu, Federated Learning under Periodic Client Participation and Heterogeneous Data: A New
 * Communication-Efficient Algorithm and Analysis, NeurIPS 2024, Algorithm 1; γ_amp = 1.5 where nothing else is
 * said, as in the authors' code for the synthetic experiment.
 *
 * @module
 */

import type { Algorithm } from "../algorithm.ts";
import type { ControlledStep } from "../clipped_step.ts";
import { controlled } from "./_controlled.ts";

/** γ_amp where nothing else is said. */
export const AMPLIFICATION = 1.5;

/** How Amplified SCAFFOLD runs. */
export interface AmplifiedScaffoldOptions {
  /** Steps between two rounds, I. */
  readonly interval: number;
  /** Rounds of a period, P. @default {1} */
  readonly period?: number;
  /** γ_amp, above 0. @default {1.5} */
  readonly amplification?: number;
  /** The rest of the step: an update rule other than the paper's plain one. */
  readonly step?: ControlledStep;
}

/** Describes Amplified SCAFFOLD. Throws RangeError for a period that is no number of rounds. */
export function amplifiedScaffold(options: AmplifiedScaffoldOptions): Algorithm {
  const { interval, period = 1, amplification = AMPLIFICATION, step } = options;
  if (!Number.isSafeInteger(period) || period < 1) {
    throw new RangeError(`a period is a number of rounds from 1, not ${period}`);
  }
  const controls = { every: period, start: 0 };
  return {
    ...controlled({
      name: "amplified-scaffold",
      interval,
      step,
      controls,
      clips: { clips: false },
    }),
    outer: {
      every: period,
      move(average, start) {
        for (let i = 0; i < average.length; i++) {
          average[i] = start[i] + amplification * (average[i] - start[i]);
        }
      },
    },
  };
}
