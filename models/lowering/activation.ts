/** Backward passes of activations. */

import type { LoweringRules } from "./rule.ts";
import type { Value } from "../graph.ts";

/** Rules for activations. */
export const activationRules: LoweringRules = {
  "celgc.ReluGradient"(g, { inputs }) {
    const [dy, y] = inputs as Value[];
    return [g.mul(dy, g.cast(g.greater(y, 0), dy.type))];
  },
};
