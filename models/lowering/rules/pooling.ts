/** Backward pass of MaxPool. */

import type { Graph, Value } from "../../graph.ts";
import type { Application } from "../../operator.ts";
import { windowOf } from "../../ops/layers/window.ts";
import { indices } from "../../ops/layers/window.ts";
import { sizeOf } from "../../tensor.ts";
import type { LoweringRules } from "../rule.ts";
import { gatherTap, spreadTap } from "./_taps.ts";

/** Most taps of a window that become nodes of their own. */
const MOST_TAPS = 256;

/** The gradient by the places that MaxPool gives as its second output, in a flat image. */
function byPlaces(g: Graph, { inputs, attributes }: Application): Value {
  const [x, , dy] = inputs as Value[];
  const [, places] = g.opMany("MaxPool", [x], attributes, 2);
  const none = g.expand(g.scalar(0, x.type), [sizeOf(x.dims)]);
  const all = [none, g.reshape(places, [-1]), g.reshape(dy, [-1])];
  return g.reshape(g.op("ScatterElements", all, { axis: 0, reduction: "add" }), x.dims);
}

/** Rules for pooling. */
export const poolingRules: LoweringRules = {
  "celgc.MaxPoolGradient"(g, call) {
    const [x, y, dy] = call.inputs as Value[];
    const window = windowOf(call, x.dims.slice(2));
    if (sizeOf(window.kernel) > MOST_TAPS) return [byPlaces(g, call)];
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
