/**
 * Smoothed clipping: a gradient is shortened the more, the longer it is, without an edge at γ/η:
 *
 *     x ← x − η · (γ/η) / (γ/η + ‖g‖) · g   =   x − ηγ/(γ + η‖g‖) · g
 *
 * A short gradient takes nearly the whole step η g, a long one nearly γ g/‖g‖; at ‖g‖ = γ/η, where plain clipping
 * sets in, the step is half of it. No step along g is longer than γ. A step is counted as clipped where plain
 * clipping would clip it.
 *
 * Zhang, He, Sra and Jadbabaie, Why Gradient Clipping Accelerates Training, ICLR 2020, section 3: within a factor
 * of two of clipping.
 *
 * @module
 */

import type { ClipRule } from "./clip_rule.ts";

/** The rank's own norm, smoothed. */
export const smooth: ClipRule = {
  usesAverage: false,
  longestStep: () => 1,
  append(g, { parameters, norm, learningRate, threshold }) {
    const scaled = g.add(threshold, g.mul(norm, learningRate));
    const smoothed = g.div(g.mul(learningRate, threshold), scaled);
    // A schedule may bring both sizes down to 0.
    const length = g.where(g.less(0, scaled), smoothed, 0);
    return { lengths: parameters.map(() => length) };
  },
};
