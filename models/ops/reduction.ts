/** Reductions over axes. Axes are an input (opset 18), and must be constant. */

import type { Graph, Value } from "../graph.ts";
import {
  type Application,
  constantInput,
  intAttribute,
  type Operator,
  type Operators,
  required,
} from "../operator.ts";
import { sizeOf } from "../tensor.ts";
import { axisOf, permute } from "./_common.ts";

/** The gradient by x. `y` and `dy` have the reduced axes kept, so that they broadcast against x. */
type Gradient = (g: Graph, x: Value, y: Value, dy: Value, count: number) => Value;

/** Whether no axes are named, and that means none. */
function leavesAxes(call: Application): boolean {
  const none = !call.inputs[1] || sizeOf(call.inputs[1].dims) === 0;
  return none && intAttribute(call, "noop_with_empty_axes", 0) !== 0;
}

function axesOf(call: Application): number[] {
  const rank = required(call, 0, "data").dims.length;
  const axes = constantInput(call, 1, "axes")?.map((axis) => axisOf(call, axis, rank)) ?? [];
  if (axes.length > 0) return [...new Set(axes)].sort((a, b) => a - b);
  if (leavesAxes(call)) return [];
  return Array.from({ length: rank }, (_, axis) => axis);
}

/** @param alone what it makes of each element where there is nothing to reduce; by default the element */
function reduction(
  f: (row: Float64Array) => number,
  gradient: Gradient,
  alone = (_g: Graph, x: Value) => x,
): Operator {
  return {
    simplify: (g, call) => leavesAxes(call) ? alone(g, call.inputs[0]!) : undefined,
    infer(call) {
      const x = required(call, 0, "data"), axes = new Set(axesOf(call));
      const keep = intAttribute(call, "keepdims", 1) !== 0;
      const dims = x.dims.flatMap((dim, axis) => axes.has(axis) ? (keep ? [1] : []) : [dim]);
      return [{ type: x.type, dims }];
    },
    evaluate([x], call, [type]) {
      const axes = axesOf(call);
      const rest = x.dims.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
      const rows = permute(x.data, x.dims, [...rest, ...axes]);
      const length = sizeOf(axes.map((axis) => x.dims[axis]));
      const at = (_: unknown, i: number) => f(rows.subarray(i * length, (i + 1) * length));
      return [Float64Array.from({ length: sizeOf(type.dims) }, at)];
    },
    gradient(g, node, [dy]) {
      const x = node.inputs[0]!, axes = axesOf(node);
      const kept = x.dims.map((dim, axis) => axes.includes(axis) ? 1 : dim);
      const count = sizeOf(axes.map((axis) => x.dims[axis]));
      const dx = gradient(g, x, g.reshape(node.results[0], kept), g.reshape(dy!, kept), count);
      return [g.expand(dx, x.dims)];
    },
  };
}

const total = (row: Float64Array) => row.reduce((sum, value) => sum + value, 0);

/** Equal elements share the gradient, as PyTorch's amax does. */
const extremum: Gradient = (g, x, y, dy) => {
  const chosen = g.cast(g.equal(x, y), x.type);
  const rank = x.dims.length;
  const axes = x.dims.map((_, axis) => axis).filter((axis) => y.dims[axis] !== x.dims[axis]);
  const ties = rank && axes.length ? g.sum(chosen, axes, true) : chosen;
  return g.mul(chosen, g.div(dy, ties));
};

/** Each element's gradient is the product of the others, which is no quotient where an element is zero. */
const productOfOthers: Gradient = (g, x, y, dy) => {
  const axes = x.dims.map((_, axis) => axis).filter((axis) => y.dims[axis] !== x.dims[axis]);
  const zero = g.equal(x, 0), rest = g.where(zero, 1, x);
  if (axes.length === 0) return dy;
  const zeros = g.sum(g.cast(zero, x.type), axes, true);
  const product = g.mul(g.reduce("ReduceProd", rest, axes, true), dy);
  const alone = g.equal(zeros, g.cast(zero, x.type));
  return g.where(alone, g.div(product, rest), 0);
};

function argument(better: (a: number, b: number) => boolean): Operator {
  const parse = (call: Application) => {
    const x = required(call, 0, "data");
    return { x, axis: axisOf(call, intAttribute(call, "axis", 0), x.dims.length) };
  };
  return {
    infer(call) {
      const { x, axis } = parse(call);
      const keep = intAttribute(call, "keepdims", 1) !== 0;
      return [{ type: "int64", dims: x.dims.toSpliced(axis, 1, ...(keep ? [1] : [])) }];
    },
    evaluate([x], call, [type]) {
      const { axis } = parse(call), length = x.dims[axis];
      const order = x.dims.map((_, i) => i);
      const rows = permute(x.data, x.dims, [...order.toSpliced(axis, 1), axis]);
      const last = intAttribute(call, "select_last_index", 0) !== 0;
      return [
        Float64Array.from({ length: sizeOf(type.dims) }, (_, i) => {
          const row = rows.subarray(i * length, (i + 1) * length);
          let best = 0;
          row.forEach((value, j) => {
            if (better(value, row[best]) || last && value === row[best]) best = j;
          });
          return best;
        }),
      ];
    },
    gradient: () => [null],
  };
}

/** Reductions. */
export const reductionOperators: Operators = {
  ReduceSum: reduction(total, (_g, _x, _y, dy) => dy),
  ReduceMean: reduction(
    (row) => total(row) / row.length,
    (g, _x, _y, dy, count) => g.div(dy, count),
  ),
  ReduceMax: reduction((row) => row.reduce((a, b) => Math.max(a, b), -Infinity), extremum),
  ReduceMin: reduction((row) => row.reduce((a, b) => Math.min(a, b), Infinity), extremum),
  ReduceProd: reduction((row) => row.reduce((a, b) => a * b, 1), productOfOthers),
  ReduceSumSquare: reduction(
    (row) => row.reduce((sum, value) => sum + value * value, 0),
    (g, x, _y, dy) => g.mul(x, g.mul(dy, 2)),
    (g, x) => g.mul(x, x),
  ),
  ReduceL1: reduction(
    (row) => row.reduce((sum, value) => sum + Math.abs(value), 0),
    (g, x, _y, dy) =>
      g.mul(dy, g.sub(g.cast(g.greater(x, 0), x.type), g.cast(g.less(x, 0), x.type))),
    (g, x) => g.abs(x),
  ),
  ReduceL2: reduction(
    (row) => Math.sqrt(row.reduce((sum, value) => sum + value * value, 0)),
    // At zero there is no slope; 0 is a subgradient.
    (g, x, y, dy) => g.mul(x, g.div(dy, g.where(g.equal(y, 0), 1, y))),
    (g, x) => g.abs(x),
  ),
  ReduceLogSum: reduction(
    (row) => Math.log(total(row)),
    (g, _x, y, dy) => g.div(dy, g.exp(y)),
    (g, x) => g.log(x),
  ),
  ReduceLogSumExp: reduction(
    (row) => {
      const top = row.reduce((a, b) => Math.max(a, b), -Infinity);
      if (!Number.isFinite(top)) return top; // ∞ − ∞ is no number
      return top + Math.log(row.reduce((sum, value) => sum + Math.exp(value - top), 0));
    },
    (g, x, y, dy) => g.mul(dy, g.exp(g.sub(x, y))),
  ),
  ArgMax: argument((a, b) => a > b),
  ArgMin: argument((a, b) => a < b),
};
