/** Comparison and rounding where a device lacks them. */

import type { Value } from "../../graph.ts";
import type { LoweringRules } from "../rule.ts";

/** Rules for logic. onnxruntime's WebGPU provider has And and Not, but neither Or, Xor nor Round. */
export const logicRules: LoweringRules = {
  Or(g, { inputs }, target) {
    if (target !== "webgpu") return undefined;
    const [a, b] = (inputs as Value[]).map((x) => g.op("Not", [x]));
    return [g.op("Not", [g.op("And", [a, b])])];
  },
  Xor(g, { inputs }, target) {
    if (target !== "webgpu") return undefined;
    const [a, b] = (inputs as Value[]).map((x) => g.cast(x, "int32"));
    return [g.op("Not", [g.equal(a, b)])];
  },
  /** To the nearest, ties to the even neighbour. */
  Round(g, { inputs: [x] }, target) {
    if (target !== "webgpu") return undefined;
    const floor = (value: Value) => g.op("Floor", [value]);
    // x − ⌊x⌋ is exact, where x + ½ would be rounded: to 1 just below ½, and to another integer above 2²³. Between −½
    // and 0 it may be rounded down to ½; ⌊x⌋ is odd there, and what comes of both is 0.
    const below = floor(x!), rest = g.sub(x!, below), half = g.mul(below, 0.5);
    const odd = g.greater(half, floor(half));
    const up = g.where(
      g.equal(rest, 0.5),
      g.cast(odd, x!.type),
      g.cast(g.greater(rest, 0.5), x!.type),
    );
    return [g.add(below, up)];
  },
};
