/**
 * Each parameter is clipped by its own norm:
 *
 *     x_p ← x_p − min(η, γ/(ε + ‖g_p‖)) · g_p
 *
 * as PyTorch's `clip_grad_norm_` to γ/η, called for one parameter after the other. No parameter moves farther than
 * γ, so a step along g is at most γ√P long for P parameters.
 *
 * @module
 */

import { type ClipRule, cut, shareOf } from "./clip_rule.ts";

/** The norm of each parameter's gradient. */
export const layer: ClipRule = {
  usesAverage: false,
  longestStep: (weights) => weights && Math.sqrt(weights.parameters),
  append(g, step) {
    const cuts = step.gradients.map((gradient) =>
      cut(g, step, step.threshold, g.sqrt(g.reduce("ReduceSumSquare", gradient)))
    );
    return {
      lengths: cuts.map(({ length }) => length),
      clippedShare: shareOf(g, cuts.map(({ clips }) => clips), cuts.length),
    };
  },
};
