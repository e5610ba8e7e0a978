/** Activations: their backward passes, and what a device lacks. */

import type { Graph, Value } from "../../graph.ts";
import { MICROSOFT } from "../../ops/contrib.ts";
import { hasLoops, inPieces } from "./_pieces.ts";
import type { LoweringRules } from "../rule.ts";

const SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI), CUBIC = 0.044715;

/** tanh(√(2/π) (x + 0.044715 x³)), and x². */
function innerTanh(g: Graph, x: Value): { tanh: Value; square: Value } {
  const square = g.mul(x, x);
  const slope = g.add(g.mul(square, SQRT_2_OVER_PI * CUBIC), SQRT_2_OVER_PI);
  return { tanh: g.tanh(g.mul(x, slope)), square };
}

/** dy · d gelu / dx, where with t = tanh u the derivative is (1 + t + x (1 − t²) u′) / 2. */
function geluGradient(g: Graph, dy: Value, x: Value): Value {
  const { tanh, square } = innerTanh(g, x);
  const slope = g.add(g.mul(square, 3 * SQRT_2_OVER_PI * CUBIC), SQRT_2_OVER_PI);
  const rest = g.mul(g.mul(x, slope), g.sub(1, g.mul(tanh, tanh)));
  return g.mul(g.mul(dy, 0.5), g.add(g.add(tanh, 1), rest));
}

/** Rules for activations. */
export const activationRules: LoweringRules = {
  "celgc.ReluGradient"(g, { inputs }) {
    const [dy, y] = inputs as Value[];
    // 1 where y > 0, in one pass: the slope carries all but the smallest numbers beyond 1.
    return [g.mul(dy, g.op("HardSigmoid", [y], { alpha: 1e30, beta: 0 }))];
  },
  "celgc.GeluTanh"(g, { inputs: [x] }, target) {
    const isTensor = x!.dims.length > 0; // the kernel takes no scalar
    if (hasLoops(target) && x!.type === "float32" && isTensor) {
      return [g.op(`${MICROSOFT}FastGelu`, [x])];
    }
    return [g.mul(g.mul(x!, 0.5), g.add(innerTanh(g, x!).tanh, 1))];
  },
  "celgc.GeluTanhGradient"(g, { inputs }, target) {
    const [dy, x] = inputs as Value[];
    return inPieces(g, target, [dy, x], (g, [dy, x]) => [geluGradient(g, dy, x)]);
  },
  /** In place, WebAssembly's kernel takes an element at a time; WebGPU's makes 0 of what is not a number. */
  Relu(g, { inputs: [x] }, target) {
    return target === "wasm" || target === "webgpu" ? [g.max(x!, 0)] : undefined;
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
