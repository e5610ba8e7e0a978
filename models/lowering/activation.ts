/** Activations: their backward passes, and what a device lacks. */

import type { LoweringRules } from "./rule.ts";
import type { Value } from "../graph.ts";

/** Rules for activations. */
export const activationRules: LoweringRules = {
  "celgc.ReluGradient"(g, { inputs }) {
    const [dy, y] = inputs as Value[];
    return [g.mul(dy, g.cast(g.greater(y, 0), dy.type))];
  },
  /** onnxruntime's WebGPU provider has neither Sign nor Softsign. */
  Sign(g, { inputs: [x] }, target) {
    if (target !== "webgpu") return undefined;
    return [g.sub(g.cast(g.greater(x!, 0), x!.type), g.cast(g.less(x!, 0), x!.type))];
  },
  Softsign(g, { inputs: [x] }, target) {
    return target === "webgpu" ? [g.div(x!, g.add(g.abs(x!), 1))] : undefined;
  },
};
