/** Element-wise operators of several operands, which broadcast (ONNX: multidirectional broadcasting). */

import type { Graph, Value } from "../graph.ts";
import {
  type Application,
  composite,
  intAttribute,
  type Operator,
  OperatorError,
  type Operators,
  required,
} from "../operator.ts";
import { broadcastDims, isFloat, sameDims, type TensorType } from "../tensor.ts";
import { broadcastTo, commonType, inferBroadcast } from "./_common.ts";

type Gradient = (g: Graph, a: Value, b: Value, y: Value, dy: Value) => [Value | null, Value | null];

/** The operand before an Expand that broadcasting makes superfluous; undefined if there is none. */
function withoutExpand(g: Graph, { op, inputs, attributes }: Application, type: TensorType) {
  let shorter = false;
  const operands = inputs.map((input, i) => {
    if (input?.producer?.op !== "Expand") return input;
    const before = input.producer.inputs[0]!;
    const others = inputs.filter((_, j) => j !== i).map((other) => other!.dims);
    const dims = broadcastDims(before.dims, ...others);
    if (shorter || !dims || !sameDims(dims, type.dims)) return input;
    shorter = true;
    return before;
  });
  return shorter ? g.op(op, operands, attributes) : undefined;
}

const isFilledWith = (value: Value | null, number: number) =>
  value?.constant?.data.length === 1 && Number(value.constant.data[0]) === number;

function binary(
  f: (a: number, b: number, type: TensorType, call: Application) => number,
  gradient: Gradient | undefined,
  options: { result?: "bool"; neutral?: [left: number | null, right: number | null] } = {},
): Operator {
  return {
    infer(call) {
      for (const i of [0, 1]) required(call, i, "operand");
      const { type } = commonType(call);
      return [{ type: options.result ?? type, dims: inferBroadcast(call) }];
    },
    evaluate([a, b], call, [type]) {
      const left = broadcastTo(a.data, a.dims, type.dims);
      const right = broadcastTo(b.data, b.dims, type.dims);
      return [left.map((value, i) => f(value, right[i], a, call))];
    },
    simplify(g, call, [type]) {
      const { inputs } = call;
      for (const [i, neutral] of options.neutral?.entries() ?? []) {
        const other = inputs[1 - i]!;
        if (
          neutral !== null && isFilledWith(inputs[i], neutral) && sameDims(other.dims, type.dims)
        ) {
          return other;
        }
      }
      return withoutExpand(g, call, type);
    },
    gradient: gradient && ((g, { inputs, results }, [dy]) => {
      const [a, b] = inputs as [Value, Value];
      const [da, db] = gradient(g, a, b, results[0], dy!);
      return [da && g.sumTo(da, a.dims), db && g.sumTo(db, b.dims)];
    }),
  };
}

/** Min and Max: the gradient goes to the chosen operand, in equal parts to operands that tie. */
function extremum(f: (...values: number[]) => number): Operator {
  return {
    infer: (call) => [{ type: commonType(call).type, dims: inferBroadcast(call) }],
    simplify: (_g, { inputs }) => inputs.length === 1 ? inputs[0]! : undefined,
    evaluate(inputs, _call, [type]) {
      const operands = inputs.map(({ data, dims }) => broadcastTo(data, dims, type.dims));
      return [operands[0].map((_, i) => f(...operands.map((operand) => operand[i])))];
    },
    gradient(g, { inputs, results: [y] }, [dy]) {
      const operands = inputs as Value[];
      const chosen = operands.map((x) => g.cast(g.equal(x, y), y.type));
      const share = g.div(dy!, chosen.reduce((sum, each) => g.add(sum, each)));
      return operands.map((x, i) => g.sumTo(g.mul(share, chosen[i]), x.dims));
    },
  };
}

function sumOf(g: Graph, call: Application): Value {
  const [first, ...rest] = call.inputs.map((_, i) => required(call, i, "operand"));
  return rest.reduce((sum, x) => g.add(sum, x), first ?? required(call, 0, "operand"));
}

/** What integers are divided by. */
function divisor(b: number, call: Application): number {
  if (b === 0) throw new OperatorError(call, "an integer is divided by 0");
  return b;
}

const compare = (f: (a: number, b: number) => boolean) =>
  binary((a, b) => Number(f(a, b)), undefined, { result: "bool" });

/** Element-wise operators of several operands. */
export const binaryOperators: Operators = {
  Add: binary((a, b) => a + b, (_g, _a, _b, _y, dy) => [dy, dy], { neutral: [0, 0] }),
  Sub: binary((a, b) => a - b, (g, _a, _b, _y, dy) => [dy, g.neg(dy)], { neutral: [null, 0] }),
  Mul: binary(
    (a, b) => a * b,
    (g, a, b, _y, dy) => [g.mul(dy, b), g.mul(dy, a)],
    { neutral: [1, 1] },
  ),
  Div: binary(
    (a, b, { type }, call) => isFloat(type) ? a / b : Math.trunc(a / divisor(b, call)),
    (g, _a, b, y, dy) => {
      const da = g.div(dy, b);
      return [da, g.neg(g.mul(da, y))];
    },
    { neutral: [null, 1] },
  ),
  Pow: {
    infer(call) {
      const base = required(call, 0, "base");
      required(call, 1, "exponent");
      return [{ type: base.type, dims: inferBroadcast(call) }];
    },
    evaluate([a, b], _call, [type]) {
      const exponent = broadcastTo(b.data, b.dims, type.dims);
      return [broadcastTo(a.data, a.dims, type.dims).map((value, i) => value ** exponent[i])];
    },
    gradient(g, { inputs, results: [y] }, [dy]) {
      const [a, b] = inputs as [Value, Value];
      const exponent = g.cast(b, a.type);
      const power = isFilledWith(b, 2) ? a : g.pow(a, g.sub(exponent, 1));
      let da = g.mul(g.mul(dy!, exponent), power);
      // x^0 is 1 everywhere, and its slope 0, where 0 · 0^−1 is no number.
      const flat = !b.constant ||
        b.constant.data.some((each: number | bigint) => Number(each) === 0);
      if (flat) da = g.where(g.equal(exponent, 0), 0, da);
      if (b.constant || !isFloat(b.type)) return [g.sumTo(da, a.dims)];
      // 0^b is 0 for every b > 0, and its derivative by b is 0; of a negative number's power there is none.
      const flatAtZero = g.op("And", [
        g.equal(a, 0),
        g.op("GreaterOrEqual", [exponent, g.scalar(0, a.type)]),
      ]);
      const slope = g.where(flatAtZero, 0, g.mul(y, g.log(a)));
      return [g.sumTo(da, a.dims), g.sumTo(g.cast(g.mul(dy!, slope), b.type), b.dims)];
    },
  },
  Mod: {
    ...binary((a, b, { type }, call) => {
      // C's fmod, which takes the dividend's sign, of floats, and of integers where they ask for it.
      if (isFloat(type)) return a % b;
      if (intAttribute(call, "fmod", 0)) return a % divisor(b, call);
      return a - b * Math.floor(a / divisor(b, call)); // the divisor's sign, as in Python
    }, undefined),
    webgpu: false,
  },
  PRelu: binary((a, b) => a < 0 ? a * b : a, (g, a, b, _y, dy) => [
    g.where(g.greater(a, 0), dy, g.mul(dy, b)),
    g.where(g.less(a, 0), g.mul(dy, a), 0),
  ]),
  /** Of any number of operands; two at a time, since WebGPU has no more. */
  Sum: composite((g, call) => [sumOf(g, call)]),
  Mean: composite((g, call) => [g.div(sumOf(g, call), call.inputs.length)]),
  Min: extremum(Math.min),
  Max: extremum(Math.max),
  Equal: compare((a, b) => a === b),
  Greater: compare((a, b) => a > b),
  GreaterOrEqual: compare((a, b) => a >= b),
  Less: compare((a, b) => a < b),
  LessOrEqual: compare((a, b) => a <= b),
  And: compare((a, b) => a !== 0 && b !== 0),
  Or: compare((a, b) => a !== 0 || b !== 0),
  Xor: compare((a, b) => (a !== 0) !== (b !== 0)),
  Where: {
    infer(call) {
      if (required(call, 0, "condition").type !== "bool") {
        throw new OperatorError(call, "the condition must be bool; insert a Cast");
      }
      return [{ type: commonType(call, call.inputs.slice(1)).type, dims: inferBroadcast(call) }];
    },
    evaluate(inputs, _call, [type]) {
      const [c, a, b] = inputs.map(({ data, dims }) => broadcastTo(data, dims, type.dims));
      return [a.map((value, i) => c[i] ? value : b[i])];
    },
    gradient(g, { inputs }, [dy]) {
      const [condition, a, b] = inputs as Value[];
      return [
        null,
        g.sumTo(g.where(condition, dy!, 0), a.dims),
        g.sumTo(g.where(condition, 0, dy!), b.dims),
      ];
    },
  },
  Clip: {
    infer: (call) => [required(call, 0, "operand")],
    evaluate([x, low, high]) {
      const bottom = low?.data[0] ?? -Infinity, top = high?.data[0] ?? Infinity;
      return [x.data.map((value) => Math.min(top, Math.max(bottom, value)))];
    },
    gradient(g, { inputs: [x, low, high] }, [dy]) {
      let dx = dy!;
      if (low) dx = g.where(g.less(x!, low), 0, dx);
      if (high) dx = g.where(g.greater(x!, high), 0, dx);
      // What a bound cuts off goes to the bound, to the upper one where they are crossed, as in PyTorch.
      const toBound = (bound: Value | null | undefined, cuts: () => Value) =>
        bound && !bound.constant ? g.sumTo(g.where(cuts(), dy!, 0), bound.dims) : null;
      return [
        dx,
        toBound(low, () => {
          const below = g.less(x!, low!);
          return high ? g.op("And", [below, g.less(low!, high)]) : below;
        }),
        toBound(high, () => {
          const above = g.greater(x!, high!);
          return low ? g.op("Or", [above, g.less(high!, low)]) : above;
        }),
      ];
    },
  },
};
