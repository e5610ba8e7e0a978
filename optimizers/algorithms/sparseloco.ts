/**
 * SparseLoCo: DiLoCo whose rounds send a few numbers. From a common point x_r each rank takes I local steps to y_i;
 * what it has moved by goes into what it owes, e_i, and of that the largest numbers of each block travel:
 *
 *     e_i ← β e_i + (x_r − y_i),     ŝ_i = Q(top-k(e_i)),     e_i ← e_i − ŝ_i
 *     x_{r+1} = x_r − α (1/N) Σ_i ŝ_i
 *
 * What is owed for long is large, and is sent: with β below 1 that takes the place of an outer momentum. Each rank's
 * numbers go to all others as they are, so the sum is not compressed once more, unlike with `--compress`.
 *
 * Sarfi, Thérien, Lidin and Belilovsky, Communication Efficient LLM Pre-training with SparseLoCo, 2025 (arXiv
 * 2508.15706), Algorithm 1: top-k of blocks of 4,096, 1 to 3 % of them, β = 0.95, α = 1. Q has 8 bits here where the
 * paper goes down to 2; the paper's inner optimizer is AdamW, which `--optimizer adamw` is.
 *
 * @module
 */

import type { Algorithm } from "../algorithm.ts";
import { clipOwn } from "../clip_by.ts";
import type { StepOptions } from "../clipped_step.ts";
import { celgc } from "./celgc.ts";

/** Codec, β and α where nothing else is said. */
export const SPARSELOCO_DEFAULTS = {
  compress: "topk:0.02:int8",
  residualDecay: 0.95,
  outerLearningRate: 1,
} as const;

/** How SparseLoCo runs. */
export interface SparseLocoOptions {
  /** Steps between two rounds, I. */
  readonly interval: number;
  /** What ranks send, as in `--compress`. @default {"topk:0.02:int8"} */
  readonly compress?: string;
  /** β, from 0 to 1. @default {0.95} */
  readonly residualDecay?: number;
  /** α. @default {1} */
  readonly outerLearningRate?: number;
  /** The rest of the step. */
  readonly step?: Partial<Omit<StepOptions, "clips" | "correct" | "clipsRound" | "transform">>;
}

/** Describes SparseLoCo. Throws RangeError for a β that is not from 0 to 1. */
export function sparseLoco(options: SparseLocoOptions): Algorithm {
  const { interval, step } = options, defaults = SPARSELOCO_DEFAULTS;
  const { compress = defaults.compress, residualDecay: decay = defaults.residualDecay } = options;
  const { outerLearningRate: alpha = defaults.outerLearningRate } = options;
  if (!(decay >= 0 && decay <= 1)) {
    throw new RangeError(`β of SparseLoCo is from 0 to 1, not ${decay}`);
  }
  return {
    ...celgc({ interval, step: { ...step, clipBy: clipOwn(step?.clipBy, "sparseloco") } }),
    name: "sparseloco",
    sends: { compress, decay },
    outer: {
      move(average, start) {
        if (alpha === 1) return;
        for (let i = 0; i < average.length; i++) {
          average[i] = start[i] + alpha * (average[i] - start[i]);
        }
      },
    },
    // What a rank has sent is not how far it has moved.
    driftBound: () => null,
  };
}
