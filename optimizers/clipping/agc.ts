/**
 * Adaptive gradient clipping: the gradient of each unit u is held to a share of the norm of its weights:
 *
 *     x_u ← x_u − min(η, γ · max(‖x_u‖, 10⁻³)/(ε + ‖g_u‖)) · g_u
 *
 * so that ‖g_u‖ is at most λ max(‖x_u‖, 10⁻³) with λ = γ/η. Here γ is the longest plain step of a unit in relation
 * to the unit. A unit is what makes one output: a row of a matrix, a filter of a convolution; a vector, such as a
 * bias, is one as a whole. All parameters are clipped, the last layer's too.
 *
 * Brock, De, Smith and Simonyan, High-Performance Large-Scale Image Recognition Without Normalization, ICML 2021,
 * equation 3.
 *
 * @module
 */

import type { Graph, Value } from "../../models/graph.ts";
import { sizeOf } from "../../models/tensor.ts";
import { type ClipRule, cut, shareOf } from "./clip_rule.ts";

/** Norm of a unit's weights below which that counts: else weights that begin as zero would stay so. */
const LEAST_NORM = 1e-3;

/** The norm of each unit's gradient, beside that of its weights. */
export const agc: ClipRule = {
  usesAverage: false,
  longestStep: () => null,
  append(g, step) {
    const cuts = step.parameters.map(({ value: weights }, i) => {
      const own = unitNorms(g, weights), least = g.scalar(LEAST_NORM);
      const size = g.where(g.less(own, least), least, own);
      return cut(g, step, g.mul(size, step.threshold), unitNorms(g, step.gradients[i]));
    });
    const units = cuts.reduce((sum, { clips }) => sum + sizeOf(clips.dims), 0);
    return {
      lengths: cuts.map(({ length }) => length),
      clippedShare: shareOf(g, cuts.map(({ clips }) => clips), units),
    };
  },
};

/** The norm of each unit, of a shape that multiplies it. */
function unitNorms(g: Graph, tensor: Value): Value {
  const { length } = tensor.dims;
  const axes = length > 1 ? Array.from({ length: length - 1 }, (_, i) => i + 1) : undefined;
  return g.sqrt(g.reduce("ReduceSumSquare", tensor, axes, length > 1));
}
