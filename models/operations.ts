/**
 * The operators by name: a method for each that networks and gradients are written with.
 *
 * @module
 */

import type { Value } from "./graph.ts";
import type { Attributes } from "./operator.ts";
import {
  broadcastDims,
  type ElementType,
  formatDims,
  normalizeAxis,
  sameDims,
  type TensorData,
} from "./tensor.ts";

/** One operand of arithmetic: a value, or a number that takes the other operand's type. */
export type Operand = Value | number;

/** Options of {@linkcode Operations.conv}. */
export interface ConvOptions {
  /** One number a filter, `[filters]`. */
  readonly bias?: Value;
  /** Step of the window, per spatial axis or for all of them. @default {1} */
  readonly strides?: number | readonly number[];
  /** Zeros around the image: one number for all sides, or begin of each axis, then end of each. @default {0} */
  readonly pads?: number | readonly number[];
  /** Distance of the kernel's taps. @default {1} */
  readonly dilations?: number | readonly number[];
  /** Groups of channels convolved apart. @default {1} */
  readonly group?: number;
}

/** Whatever operators are applied in: a {@linkcode Graph}. */
export abstract class Operations {
  /** A constant, from its elements or one number to fill the shape with. */
  abstract constant(
    type: ElementType,
    dims: readonly number[],
    data: TensorData | number[] | number,
  ): Value;

  /** Applies an operator and returns its first output. */
  abstract op(op: string, inputs: readonly (Value | null)[], attributes?: Attributes): Value;

  /** A scalar constant. */
  scalar(value: number, type: ElementType = "float32"): Value {
    return this.constant(type, [], value);
  }

  /** A one-dimensional int64 constant: a shape, axes, pads. */
  ints(values: readonly number[]): Value {
    return this.constant("int64", [values.length], [...values]);
  }

  #operands(a: Operand, b: Operand): [Value, Value] {
    if (typeof a === "number" && typeof b === "number") return [this.scalar(a), this.scalar(b)];
    const type = typeof a === "number" ? (b as Value).type : a.type;
    const lift = (x: Operand) => typeof x === "number" ? this.scalar(x, type) : x;
    return [lift(a), lift(b)];
  }

  /** a + b, broadcasting. */
  add(a: Operand, b: Operand): Value {
    return this.op("Add", this.#operands(a, b));
  }
  /** a − b, broadcasting. */
  sub(a: Operand, b: Operand): Value {
    return this.op("Sub", this.#operands(a, b));
  }
  /** a · b, broadcasting. */
  mul(a: Operand, b: Operand): Value {
    return this.op("Mul", this.#operands(a, b));
  }
  /** a / b, broadcasting; integers round toward zero. */
  div(a: Operand, b: Operand): Value {
    return this.op("Div", this.#operands(a, b));
  }
  /** a to the power b, broadcasting. */
  pow(a: Operand, b: Operand): Value {
    return this.op("Pow", this.#operands(a, b));
  }
  /** The smaller of each pair, broadcasting. */
  min(a: Operand, b: Operand): Value {
    return this.op("Min", this.#operands(a, b));
  }
  /** The larger of each pair, broadcasting. */
  max(a: Operand, b: Operand): Value {
    return this.op("Max", this.#operands(a, b));
  }
  /** a = b as bool, broadcasting. */
  equal(a: Operand, b: Operand): Value {
    return this.op("Equal", this.#operands(a, b));
  }
  /** a > b as bool, broadcasting. */
  greater(a: Operand, b: Operand): Value {
    return this.op("Greater", this.#operands(a, b));
  }
  /** a < b as bool, broadcasting. */
  less(a: Operand, b: Operand): Value {
    return this.op("Less", this.#operands(a, b));
  }
  /** −x. */
  neg(x: Value): Value {
    return this.op("Neg", [x]);
  }
  /** e to the power x. */
  exp(x: Value): Value {
    return this.op("Exp", [x]);
  }
  /** The natural logarithm. */
  log(x: Value): Value {
    return this.op("Log", [x]);
  }
  /** The square root. */
  sqrt(x: Value): Value {
    return this.op("Sqrt", [x]);
  }
  /** 1 / x. */
  reciprocal(x: Value): Value {
    return this.op("Reciprocal", [x]);
  }
  /** |x|. */
  abs(x: Value): Value {
    return this.op("Abs", [x]);
  }
  /** max(x, 0). */
  relu(x: Value): Value {
    return this.op("Relu", [x]);
  }
  /** The logistic function 1 / (1 + e^−x). */
  sigmoid(x: Value): Value {
    return this.op("Sigmoid", [x]);
  }
  /** The hyperbolic tangent. */
  tanh(x: Value): Value {
    return this.op("Tanh", [x]);
  }
  /** The matrix product of the last two axes; the axes before them broadcast. */
  matmul(a: Value, b: Value): Value {
    return this.op("MatMul", [a, b]);
  }
  /** Elements of `a` where the condition holds, of `b` elsewhere, broadcasting. */
  where(condition: Value, a: Operand, b: Operand): Value {
    return this.op("Where", [condition, ...this.#operands(a, b)]);
  }
  /** The same elements as another type; itself where it has the type. */
  cast(x: Value, type: ElementType): Value {
    return this.op("Cast", [x], { to: type });
  }

  /** The same elements in another shape; one dimension may be −1. */
  reshape(x: Value, dims: readonly number[]): Value {
    // Else a 0 is the length of x's axis there.
    const attributes: Attributes = dims.includes(0) ? { allowzero: 1 } : {};
    return this.op("Reshape", [x, this.ints(freeFirst(dims))], attributes);
  }
  /** Axes in another order; axis i of the result is axis `perm[i]` of x. By default the last two change places. */
  transpose(x: Value, perm?: readonly number[]): Value {
    if (!perm) {
      const axes = x.dims.map((_, axis) => axis), rank = axes.length;
      perm = [...axes.slice(0, -2), rank - 1, rank - 2];
    }
    return this.op("Transpose", [x], { perm });
  }
  /** Drops axes of length 1. */
  squeeze(x: Value, axes: readonly number[]): Value {
    return this.op("Squeeze", [x, this.ints(axes)]);
  }
  /** Inserts axes of length 1, counted in the result. */
  unsqueeze(x: Value, axes: readonly number[]): Value {
    return this.op("Unsqueeze", [x, this.ints(axes)]);
  }
  /** Repeats axes of length 1 until the shape is `dims`. */
  expand(x: Value, dims: readonly number[]): Value {
    return sameDims(x.dims, dims) ? x : this.op("Expand", [x, this.ints(dims)]);
  }
  /** Elements from `starts` up to `ends` by `steps` along `axes`; negative numbers count from the end. */
  slice(
    x: Value,
    axes: readonly number[],
    starts: readonly number[],
    ends: readonly number[],
    steps: readonly number[] = axes.map(() => 1),
  ): Value {
    return this.op("Slice", [x, ...[starts, ends, axes, steps].map((list) => this.ints(list))]);
  }
  /** x with its elements along the axes in reverse order. */
  flip(x: Value, axes: readonly number[]): Value {
    const turned = axes.filter((axis) => x.dims[normalizeAxis(axis, x.dims.length)] > 1);
    if (turned.length === 0) return x;
    const all = (value: number) => turned.map(() => value);
    return this.slice(x, turned, all(-1), all(-(2 ** 31)), all(-1));
  }
  /** Zeros (or `value`) before and after each axis; negative counts crop. */
  pad(x: Value, before: readonly number[], after: readonly number[], value = 0): Value {
    if ([...before, ...after].every((count) => count === 0)) return x;
    return this.op("Pad", [x, this.ints([...before, ...after]), this.scalar(value, x.type)]);
  }
  /** Values joined along an axis. */
  concat(values: readonly Value[], axis: number): Value {
    return this.op("Concat", values, { axis });
  }

  /** The sum over axes (all of them by default). */
  sum(x: Value, axes?: readonly number[], keep = false): Value {
    return this.reduce("ReduceSum", x, axes, keep);
  }
  /** The mean over axes (all of them by default). */
  mean(x: Value, axes?: readonly number[], keep = false): Value {
    return this.reduce("ReduceMean", x, axes, keep);
  }
  /** Any of ONNX's reductions over axes (all of them by default); `keep` leaves axes of length 1. */
  reduce(op: string, x: Value, axes?: readonly number[], keep = false): Value {
    const all = x.dims.map((_, axis) => axis);
    return this.op(op, [x, this.ints(axes ?? all)], { keepdims: keep ? 1 : 0 });
  }
  /** Sums over the axes along which `dims` was broadcast to x's shape: the gradient of broadcasting. */
  sumTo(x: Value, dims: readonly number[]): Value {
    if (sameDims(x.dims, dims)) return x;
    const extra = x.dims.length - dims.length;
    const whole = broadcastDims(x.dims, dims);
    if (!whole || !sameDims(whole, x.dims)) {
      throw new RangeError(`${formatDims(dims)} does not broadcast to ${formatDims(x.dims)}`);
    }
    const axes = x.dims.map((_, axis) => axis)
      .filter((axis) => axis < extra || dims[axis - extra] !== x.dims[axis]);
    return this.reshape(axes.length ? this.sum(x, axes) : x, dims);
  }

  /**
   * A convolution of any number of spatial axes.
   *
   * @param x `[batch, channels, …spatial]`
   * @param weight `[filters, channels / group, …kernel]`
   */
  conv(x: Value, weight: Value, options: ConvOptions = {}): Value {
    const spatial = x.dims.length - 2;
    const each = (
      value: number | readonly number[] | undefined,
      otherwise: number,
      count: number,
    ) => typeof value === "object" ? value : new Array<number>(count).fill(value ?? otherwise);
    return this.op("Conv", options.bias ? [x, weight, options.bias] : [x, weight], {
      kernel_shape: weight.dims.slice(2),
      strides: each(options.strides, 1, spatial),
      pads: each(options.pads, 0, 2 * spatial),
      dilations: each(options.dilations, 1, spatial),
      group: options.group ?? 1,
    });
  }

  /**
   * Cross entropy of softmax(logits) against class indices, one loss for each row.
   *
   * @param logits `[…, classes]`
   * @param target int32 or int64 `[…]`, each from 0 to classes − 1
   * @returns `[…]`, in nats
   */
  softmaxCrossEntropy(logits: Value, target: Value): Value {
    return this.op("celgc.SoftmaxCrossEntropy", [logits, target]);
  }
}

/**
 * The shape with its first dimension left to be inferred, where that is possible: so no constant holds the
 * length of a batch or of a text, and one encoded model can serve them all.
 */
function freeFirst(dims: readonly number[]): readonly number[] {
  return dims.length > 0 && dims.every((dim) => dim > 0) ? dims.with(0, -1) : dims;
}
