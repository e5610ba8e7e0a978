/**
 * What a clipping rule is to the step: how long a step each parameter takes along its gradient, as nodes of a
 * graph. One rule a file, and all of them in `clip_by.ts`.
 *
 * @module
 */

import type { Graph, Value } from "../../models/graph.ts";
import type { StepParameter } from "../update_rule.ts";

/** A step about to be clipped. */
export interface UnclippedStep {
  /** Of the network, in its order. */
  readonly parameters: readonly StepParameter[];
  /** One for each parameter. */
  readonly gradients: readonly Value[];
  /** ‖g‖ over all parameters, a scalar. */
  readonly norm: Value;
  /** η, a scalar. */
  readonly learningRate: Value;
  /** γ, a scalar. */
  readonly threshold: Value;
  /** Makes the input of the norm of the ranks' averaged gradient, a scalar. */
  averageNorm(): Value;
}

/** What becomes of it. */
export interface StepLengths {
  /** What each gradient is multiplied by: of a shape that multiplies it; the same value where one is for all. */
  readonly lengths: readonly Value[];
  /**
   * Share of the parts that were clipped, a scalar, of a rule that clips parts by themselves; absent: the step is
   * clipped as a whole, by {@linkcode ClipRule.deciding}.
   */
  readonly clippedShare?: Value;
}

/** How large the trained weights are. */
export interface WeightsSize {
  /** Tensors. */
  readonly parameters: number;
  /** Floats of all of them. */
  readonly floats: number;
}

/** One of the rules of `--clip-by`. */
export interface ClipRule {
  /** Whether the norm of the averaged gradient takes part, which the ranks then have to exchange. */
  readonly usesAverage: boolean;
  /**
   * The length that no plain step exceeds, in multiples of γ; null where nothing bounds it.
   *
   * @param weights what the step moves; null where it is not known
   */
  longestStep(weights: WeightsSize | null): number | null;
  /** Appends it to a graph. */
  append(g: Graph, step: UnclippedStep): StepLengths;
  /**
   * The norm that decides whether a step is clipped, from the rank's own and that of the averaged gradient, of a
   * rule that clips a step as a whole.
   *
   * @default {the rank's own}
   */
  deciding?(own: number, average: number): number;
}

/** ε: keeps γ/‖g‖ finite. */
export const NORM_EPSILON = 1e-10;

/**
 * min(η, limit/(ε + norm)) and whether it is the latter, each of the shape of `norm`. Less and Where, because
 * WebGPU has no Min kernel.
 */
export function cut(
  g: Graph,
  { learningRate }: Pick<UnclippedStep, "learningRate">,
  limit: Value,
  norm: Value,
): { readonly length: Value; readonly clips: Value } {
  const clipped = g.div(limit, g.add(norm, NORM_EPSILON)), clips = g.less(clipped, learningRate);
  return { length: g.where(clips, clipped, learningRate), clips };
}

/** How many elements of each tensor hold, of all elements together, from 0 to 1. */
export function shareOf(g: Graph, tensors: readonly Value[], elements: number): Value {
  const counts = tensors.map((holds) => {
    const ones = g.where(holds, 1, g.scalar(0));
    return holds.dims.length === 0 ? ones : g.sum(ones);
  });
  return g.div(counts.reduce((sum, count) => g.add(sum, count)), elements);
}
