/** Element-wise functions of one operand. */

import type { Graph, Value } from "../graph.ts";
import {
  type Application,
  composite,
  type Operator,
  OperatorError,
  type Operators,
  required,
  stringAttribute,
} from "../operator.ts";
import { isFloat } from "../tensor.ts";

/** The gradient by x, of y = f(x), given the loss's gradient by y. */
type Derivative = (g: Graph, x: Value, y: Value, dy: Value, call: Application) => Value | null;

function unary(
  f: (x: number, call: Application) => number,
  derivative: Derivative,
  anyType = false,
): Operator {
  return {
    infer(call) {
      const x = required(call, 0, "operand");
      if (!anyType && !isFloat(x.type)) {
        throw new OperatorError(call, `${x.name} must hold floating-point numbers; insert a Cast`);
      }
      return [x];
    },
    evaluate: ([x], call) => [x.data.map((value) => f(value, call))],
    gradient: (g, node, [dy]) => [derivative(g, node.inputs[0]!, node.results[0], dy!, node)],
  };
}

const number = (call: Application, name: string, otherwise: number) =>
  call.attributes[name] === undefined ? otherwise : Number(call.attributes[name]);

const slope = (g: Graph, x: Value, positive: Value, negative: Value) =>
  g.where(g.greater(x, 0), positive, negative);

/**
 * The error function to about 1e-15: its Maclaurin series near zero, the continued fraction of erfc
 * outside (Abramowitz and Stegun 7.1.5, 7.1.14).
 */
function erf(x: number): number {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a < 2.5) {
    let term = x, sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= -x * x / n;
      sum += term / (2 * n + 1);
    }
    return 2 / Math.sqrt(Math.PI) * sum;
  }
  let fraction = 0;
  for (let k = 120; k > 0; k--) fraction = k / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + fraction));
}

/** Element-wise operators of one operand. */
export const unaryOperators: Operators = {
  Neg: unary((x) => -x, (g, _x, _y, dy) => g.neg(dy), true),
  Abs: unary(Math.abs, (g, x, _y, dy) => {
    const sign = g.sub(g.cast(g.greater(x, 0), x.type), g.cast(g.less(x, 0), x.type));
    return g.mul(dy, sign);
  }, true),
  Exp: unary(Math.exp, (g, _x, y, dy) => g.mul(dy, y)),
  Log: unary(Math.log, (g, x, _y, dy) => g.div(dy, x)),
  Sqrt: unary(Math.sqrt, (g, _x, y, dy) => g.div(g.mul(dy, 0.5), y)),
  Reciprocal: unary((x) => 1 / x, (g, _x, y, dy) => g.neg(g.mul(dy, g.mul(y, y)))),
  Sin: unary(Math.sin, (g, x, _y, dy) => g.mul(dy, g.op("Cos", [x]))),
  Cos: unary(Math.cos, (g, x, _y, dy) => g.neg(g.mul(dy, g.op("Sin", [x])))),
  Tan: unary(Math.tan, (g, _x, y, dy) => g.mul(dy, g.add(g.mul(y, y), 1))),
  Asin: unary(Math.asin, (g, x, _y, dy) => g.div(dy, g.sqrt(g.sub(1, g.mul(x, x))))),
  Acos: unary(Math.acos, (g, x, _y, dy) => g.neg(g.div(dy, g.sqrt(g.sub(1, g.mul(x, x)))))),
  Atan: unary(Math.atan, (g, x, _y, dy) => g.div(dy, g.add(g.mul(x, x), 1))),
  Sinh: unary(Math.sinh, (g, x, _y, dy) => g.mul(dy, g.op("Cosh", [x]))),
  Cosh: unary(Math.cosh, (g, x, _y, dy) => g.mul(dy, g.op("Sinh", [x]))),
  Tanh: unary(Math.tanh, (g, _x, y, dy) => g.mul(dy, g.sub(1, g.mul(y, y)))),
  Sigmoid: unary(
    (x) => 1 / (1 + Math.exp(-x)),
    (g, _x, y, dy) => g.mul(dy, g.mul(y, g.sub(1, y))),
  ),
  Softplus: unary(
    (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    (g, x, _y, dy) => g.mul(dy, g.sigmoid(x)),
  ),
  Softsign: unary((x) => x / (1 + Math.abs(x)), (g, x, _y, dy) => {
    const scale = g.add(g.abs(x), 1);
    return g.div(dy, g.mul(scale, scale));
  }),
  Erf: unary(
    erf,
    (g, x, _y, dy) => g.mul(dy, g.mul(g.exp(g.neg(g.mul(x, x))), 2 / Math.sqrt(Math.PI))),
  ),
  Relu: unary(
    (x) => Math.max(x, 0),
    (g, _x, y, dy) => g.op("celgc.ReluGradient", [dy, y]),
    true,
  ),
  LeakyRelu: unary(
    (x, call) => x < 0 ? x * number(call, "alpha", 0.01) : x,
    (g, x, _y, dy, call) => slope(g, x, dy, g.mul(dy, number(call, "alpha", 0.01))),
  ),
  Elu: unary(
    (x, call) => x < 0 ? number(call, "alpha", 1) * Math.expm1(x) : x,
    (g, x, y, dy, call) => slope(g, x, dy, g.mul(dy, g.add(y, number(call, "alpha", 1)))),
  ),
  HardSigmoid: unary(
    (x, call) =>
      Math.min(1, Math.max(0, number(call, "alpha", 0.2) * x + number(call, "beta", 0.5))),
    (g, _x, y, dy, call) => {
      const inside = g.op("And", [g.greater(y, 0), g.less(y, 1)]);
      return g.where(inside, g.mul(dy, number(call, "alpha", 0.2)), 0);
    },
  ),
  HardSwish: unary(
    (x) => x * Math.min(1, Math.max(0, x / 6 + 0.5)),
    (g, x, _y, dy) => {
      const middle = g.where(g.less(x, 3), g.mul(dy, g.add(g.mul(x, 1 / 3), 0.5)), dy);
      return g.where(g.greater(x, -3), middle, 0);
    },
  ),
  ThresholdedRelu: unary(
    (x, call) => x > number(call, "alpha", 1) ? x : 0,
    (g, x, _y, dy, call) => g.where(g.greater(x, number(call, "alpha", 1)), dy, 0),
  ),
  /** Hendrycks and Gimpel 2016: x · Φ(x), or its approximation by tanh. */
  Gelu: composite((g, call) => {
    const x = required(call, 0, "operand");
    if (stringAttribute(call, "approximate", "none") === "none") {
      return [g.mul(g.mul(x, 0.5), g.add(g.op("Erf", [g.mul(x, Math.SQRT1_2)]), 1))];
    }
    return [g.op("celgc.GeluTanh", [x])];
  }),
  /** x · (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2. */
  "celgc.GeluTanh": {
    infer: (call) => [required(call, 0, "operand")],
    gradient: (g, { inputs: [x] }, [dy]) => [g.op("celgc.GeluTanhGradient", [dy!, x])],
  },
  /** `[dy, x]`. */
  "celgc.GeluTanhGradient": { infer: (call) => [required(call, 0, "gradient")] },
  /** Misra 2019: x · tanh(log(1 + e^x)). */
  Mish: composite((g, call) => {
    const x = required(call, 0, "operand");
    return [g.mul(x, g.tanh(g.op("Softplus", [x])))];
  }),
  /** Klambauer et al. 2017. */
  Selu: composite((g, call) => {
    const x = required(call, 0, "operand"), alpha = number(call, "alpha", 1.6732632423543772);
    return [g.mul(g.op("Elu", [x], { alpha }), number(call, "gamma", 1.0507009873554805))];
  }),
  /** Barron 2017: Elu of x / α, times α. */
  Celu: composite((g, call) => {
    const x = required(call, 0, "operand"), alpha = number(call, "alpha", 1);
    return [g.mul(g.op("Elu", [g.div(x, alpha)], { alpha: 1 }), alpha)];
  }),
  /**
   * At evaluation, the operand itself. Random masks come from outside, so that they are the same wherever
   * and whenever a graph runs: in training, multiply by a mask that is an input.
   */
  Dropout: composite((g, call) => {
    const x = required(call, 0, "operand"), [, ratio, training] = call.inputs;
    const drops = ratio?.constant ? Number(ratio.constant.data[0]) > 0 : true;
    if (training && drops && Number(training.constant?.data[0] ?? 1)) {
      throw new OperatorError(
        call,
        "in training mode it draws random numbers; multiply by a mask that is an input instead",
      );
    }
    return [x, g.expand(g.scalar(1, "bool"), x.dims)];
  }),
  Not: {
    infer(call) {
      const x = required(call, 0, "operand");
      if (x.type !== "bool") throw new OperatorError(call, `${x.name} must be bool; insert a Cast`);
      return [x];
    },
    evaluate: ([x]) => [x.data.map((value) => 1 - value)],
  },
  IsNaN: {
    infer: (call) => [{ type: "bool", dims: required(call, 0, "operand").dims }],
    evaluate: ([x]) => [x.data.map((value) => Number(Number.isNaN(value)))],
    webgpu: false,
  },
  Floor: unary(Math.floor, () => null),
  Ceil: unary(Math.ceil, () => null),
  Round: unary((x) => {
    const nearest = Math.round(x); // ties go to the even neighbour
    return nearest - x === 0.5 && nearest % 2 !== 0 ? nearest - 1 : nearest;
  }, () => null),
  Sign: unary(Math.sign, () => null, true),

  /** `[dy, y]`: dy where Relu let its operand pass. */
  "celgc.ReluGradient": {
    infer: (call) => [required(call, 0, "gradient")],
  },
};
