/**
 * One norm clips the whole step:
 *
 *     x ← x − min(η, γ/(ε + n)) · g
 *
 * with n the norm of the rank's own gradient (`local`), of the ranks' averaged gradient (`global-average`), or
 * the larger of the two (`max`). No step along g is longer than γ where n is not below ‖g‖. For n = ‖g‖ it is
 * PyTorch's `clip_grad_norm_` to γ/η, and then a step of η.
 *
 * Liu et al., NeurIPS 2022, Algorithm 1; the averaged gradient's and the larger are choices of the authors' code.
 *
 * @module
 */

import { type ClipRule, cut } from "./clip_rule.ts";

/** The norm of the rank's own gradient. */
export const local: ClipRule = {
  usesAverage: false,
  longestStep: () => 1,
  append(g, step) {
    const { length } = cut(g, step, step.threshold, step.norm);
    return { lengths: step.parameters.map(() => length) };
  },
};

/** The norm of the averaged gradient. */
export const globalAverage: ClipRule = {
  usesAverage: true,
  longestStep: () => null,
  append(g, step) {
    const { length } = cut(g, step, step.threshold, step.averageNorm());
    return { lengths: step.parameters.map(() => length) };
  },
  deciding: (_own, average) => average,
};

/** The larger of the two. */
export const max: ClipRule = {
  usesAverage: true,
  longestStep: () => 1,
  append(g, step) {
    const average = step.averageNorm();
    const larger = g.where(g.less(step.norm, average), average, step.norm);
    const { length } = cut(g, step, step.threshold, larger);
    return { lengths: step.parameters.map(() => length) };
  },
  deciding: Math.max,
};
