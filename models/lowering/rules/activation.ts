/** Activations: their backward passes, and what a device lacks. */

import type { LoweringRules } from "../rule.ts";
import type { Value } from "../../graph.ts";

/** Rules for activations. */
export const activationRules: LoweringRules = {
  "celgc.ReluGradient"(g, { inputs }) {
    const [dy, y] = inputs as Value[];
    // 1 where y > 0, in one pass: the slope carries all but the smallest numbers beyond 1.
    return [g.mul(dy, g.op("HardSigmoid", [y], { alpha: 1e30, beta: 0 }))];
  },
  /** In place, WebAssembly's kernel takes an element at a time. */
  Relu(g, { inputs: [x] }, target) {
    return target === "wasm" ? [g.max(x!, 0)] : undefined;
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
