/**
 * Which norm clips a step, `--clip-by`.
 *
 * Liu et al., NeurIPS 2022, clip by the rank's own; the averaged gradient's and the larger of the two are
 * choices of the authors' code.
 *
 * @module
 */

import type { Graph, Value } from "../models/graph.ts";

/** One of the norms: of this rank's gradient, of the ranks' averaged gradient, or the larger. */
export type ClipBy = "local" | "global-average" | "max";

/** What is known of a norm. */
export interface ClipNorm {
  /** Whether the norm of the averaged gradient takes part, which the ranks then have to exchange. */
  readonly usesAverage: boolean;
  /** Whether it is never below the rank's own, so that no plain step is longer than γ. */
  readonly coversLocal: boolean;
  /**
   * Adds it to a graph.
   *
   * @param local this rank's norm, a scalar
   * @param average makes the input of the averaged gradient's; called where that takes part
   */
  append(g: Graph, local: Value, average: () => Value): Value;
}

/** The norms by name. */
export const CLIP_NORMS: Readonly<Record<ClipBy, ClipNorm>> = {
  "local": { usesAverage: false, coversLocal: true, append: (_g, local) => local },
  "global-average": {
    usesAverage: true,
    coversLocal: false,
    append: (_g, _local, average) => average(),
  },
  "max": {
    usesAverage: true,
    coversLocal: true,
    append: (g, local, average) => {
      const common = average();
      return g.where(g.less(local, common), common, local);
    },
  },
};

/** The norms, as in `--clip-by`; the first is the default. */
export const CLIP_BY: readonly ClipBy[] = Object.keys(CLIP_NORMS) as ClipBy[];
