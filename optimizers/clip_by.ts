/**
 * What clips a step, `--clip-by`: every rule by its name.
 *
 * @module
 */

import { agc } from "./clipping/agc.ts";
import type { ClipRule } from "./clipping/clip_rule.ts";
import { layer } from "./clipping/layer.ts";
import { smooth } from "./clipping/smooth.ts";
import { value } from "./clipping/value.ts";
import { globalAverage, local, max } from "./clipping/whole.ts";

/** As in `--clip-by`. */
export type ClipBy = "local" | "global-average" | "max" | "layer" | "agc" | "value" | "smooth";

/** The rules by name. */
export const CLIP_RULES: Readonly<Record<ClipBy, ClipRule>> = {
  local,
  "global-average": globalAverage,
  max,
  layer,
  agc,
  value,
  smooth,
};

/** The rule where the gradient that is clipped is the ranks' average: its own norm is the average's. */
export function clipAveraged(clipBy: ClipBy = "local"): ClipBy {
  return CLIP_RULES[clipBy].usesAverage ? "local" : clipBy;
}

/**
 * The rule where the norm of the ranks' averaged gradient is not known.
 *
 * @param name the algorithm
 * @throws RangeError if it takes part
 */
export function clipOwn(clipBy: ClipBy = "local", name: string): ClipBy {
  if (!CLIP_RULES[clipBy].usesAverage) return clipBy;
  throw new RangeError(
    `${name} cannot clip by ${clipBy}: its ranks do not average the gradients that they step along; take ` +
      CLIP_BY.filter((each) => !CLIP_RULES[each].usesAverage).join(", "),
  );
}

/** The rules, as in `--clip-by`; the first is the default. */
export const CLIP_BY: readonly ClipBy[] = Object.keys(CLIP_RULES) as ClipBy[];
