/**
 * Each entry of the gradient is clipped by itself:
 *
 *     x_j ← x_j − min(η, γ/(ε + |g_j|)) · g_j
 *
 * as PyTorch's `clip_grad_value_` to γ/η, and then a step of η. No weight moves farther than γ, so a step along g
 * is at most γ√d long for d weights. The direction is another than the gradient's.
 *
 * @module
 */

import { sizeOf } from "../../models/tensor.ts";
import { type ClipRule, cut, shareOf } from "./clip_rule.ts";

/** The size of each entry. */
export const value: ClipRule = {
  usesAverage: false,
  longestStep: (weights) => weights && Math.sqrt(weights.floats),
  append(g, step) {
    const cuts = step.gradients.map((gradient) => cut(g, step, step.threshold, g.abs(gradient)));
    const floats = step.gradients.reduce((sum, { dims }) => sum + sizeOf(dims), 0);
    return {
      lengths: cuts.map(({ length }) => length),
      clippedShare: shareOf(g, cuts.map(({ clips }) => clips), floats),
    };
  },
};
