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
    const up = floor(g.add(x!, 0.5)), half = g.mul(up, 0.5);
    const odd = g.cast(g.greater(half, floor(half)), x!.type);
    const tie = g.cast(g.equal(g.sub(up, x!), 0.5), x!.type);
    return [g.sub(up, g.mul(odd, tie))];
  },
};
