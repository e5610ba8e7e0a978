/** Backward pass of MaxPool. */

import type { Value } from "../../graph.ts";
import { windowOf } from "../../ops/layers/window.ts";
import { indices } from "../../ops/layers/window.ts";
import type { LoweringRules } from "../rule.ts";
import { gatherTap, spreadTap } from "./_taps.ts";

/** Rules for pooling. */
export const poolingRules: LoweringRules = {
  "celgc.MaxPoolGradient"(g, call) {
    const [x, y, dy] = call.inputs as Value[];
    const window = windowOf(call, x.dims.slice(2));
    const float = (condition: Value) => g.cast(condition, x.type);
    let dx: Value | undefined, left: Value | undefined;
    // Tap by tap, in the order in which the runtime looks: the first that holds the maximum takes it all.
    for (const tap of indices(window.kernel)) {
      const here = float(g.equal(gatherTap(g, x, window, tap, -Infinity), y));
      const wins = left ? g.mul(here, left) : here;
      left = left ? g.sub(left, wins) : g.sub(1, wins);
      const part = spreadTap(g, g.mul(dy, wins), window, tap, x.dims.slice(2));
      dx = dx ? g.add(dx, part) : part;
    }
    return [dx!];
  },
};
