/**
 * The typed graph: standard ONNX operators on values of static shape, in the order they are computed.
 *
 * A graph grows by {@linkcode Graph.op}. It infers the outputs' types at once, so a mistake is reported
 * where it is made; it computes what depends on constants alone; and an operator applied twice to the same
 * inputs gives the same value, so gradient and lowering rules need not look for what is already there.
 * Nodes are only ever appended: a node nobody uses costs nothing, since encoding keeps what the outputs
 * need.
 *
 * @module
 */

import { Body } from "./body.ts";
import {
  type Application,
  type Attribute,
  type Attributes,
  type Operator,
  OperatorError,
} from "./operator.ts";
import { evaluateGraph } from "./interpret.ts";
import { findOperator } from "./ops/mod.ts";
import {
  allocate,
  broadcastDims,
  checkTensor,
  type ElementType,
  formatDims,
  fromNumbers,
  normalizeAxis,
  sameDims,
  sizeOf,
  type Tensor,
  type TensorData,
  type TensorType,
  toNumbers,
} from "./tensor.ts";

/** A tensor in the graph: an input, a constant, or an output of a node. */
export interface Value extends TensorType {
  /** Its number in its graph. */
  readonly id: number;
  /** Unique in its graph. Inputs carry the names they were given. */
  readonly name: string;
  /** The node it is computed by; absent for inputs and constants. */
  readonly producer?: Node;
  /** The elements, if they are known. */
  readonly constant?: Tensor;
}

/** One operator applied to its inputs. */
export interface Node extends Application {
  /** Its outputs, in the operator's order. */
  readonly results: readonly Value[];
}

/** One operand of arithmetic: a value, or a number that takes the other operand's type. */
export type Operand = Value | number;

/** Options of {@linkcode Graph.conv}. */
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

/** Folding stops at this many elements, unless the result is no larger than its inputs. */
const FOLD_LIMIT = 1024;

/** A graph under construction. */
export class Graph {
  /** Nodes in an order in which they can be computed. */
  readonly nodes: Node[] = [];
  /** Inputs by name, in the order of their declaration. */
  readonly inputs: Map<string, Value> = new Map();
  /** Outputs by name, in the order of their declaration. */
  readonly outputs: Map<string, Value> = new Map();
  /** Prefix of the names given to values from here on, such as "layer1.0/"; only for people to read. */
  scope = "";
  #owned = new Set<Value>();
  #names = new Set<string>();
  #stems = new Map<string, number>();
  #known = new Map<string, readonly Value[]>();

  /**
   * Declares an input: data, a parameter, a mask, a learning rate.
   *
   * @param dims the static shape, e.g. `[batch, channels, height, width]`
   */
  input(name: string, type: ElementType, dims: readonly number[]): Value {
    if (this.#names.has(name)) {
      throw new RangeError(`cannot declare input "${name}": the graph has a value of that name`);
    }
    for (const dim of dims) {
      if (!Number.isInteger(dim) || dim < 0) {
        throw new RangeError(
          `cannot declare input "${name}" of shape ${formatDims(dims)}: shapes are static, ` +
            `every dimension is a whole number`,
        );
      }
    }
    const value = this.#value(name, { type, dims: [...dims] });
    this.inputs.set(name, value);
    return value;
  }

  /**
   * A constant. The array is kept, not copied.
   *
   * @param data the elements in row-major order, or one number to fill the shape with
   */
  constant(
    type: ElementType,
    dims: readonly number[],
    data: TensorData | number[] | number,
  ): Value {
    const size = sizeOf(dims);
    let elements: TensorData;
    if (typeof data === "number" || Array.isArray(data)) {
      const numbers = new Float64Array(size);
      if (typeof data === "number") numbers.fill(data);
      else if (data.length === size) numbers.set(data);
      else {
        throw new RangeError(
          `a constant of shape ${formatDims(dims)} needs ${size} elements, got ${data.length}`,
        );
      }
      elements = fromNumbers({ type, dims, data: numbers }).data;
    } else elements = data;
    return this.tensor({ type, dims: [...dims], data: elements });
  }

  /** A constant from a tensor; equal small constants are one value. */
  tensor(tensor: Tensor): Value {
    checkTensor(tensor);
    const build = () => this.#value(this.#name("constant"), tensor, { constant: tensor });
    if (tensor.data.length > FOLD_LIMIT) return build();
    // −0 and 0 differ in their bits and in 1/x, but not as text.
    const elements = Array.from(tensor.data as Float64Array, (x) => Object.is(x, -0) ? "-0" : x);
    const key = `${tensor.type}[${tensor.dims}]${elements}`;
    let known = this.#known.get(key);
    if (!known) this.#known.set(key, known = [build()]);
    return known[0];
  }

  /**
   * Applies an operator and returns its first output.
   *
   * @param op an ONNX operator name ("Conv"), or one of another domain ("celgc.ConvWeightGradient")
   * @throws OperatorError when the inputs do not fit the operator
   */
  op(op: string, inputs: readonly (Value | null)[], attributes: Attributes = {}): Value {
    return this.opMany(op, inputs, attributes, 1)[0];
  }

  /** Applies an operator and returns its first `outputs` outputs. */
  opMany(
    op: string,
    inputs: readonly (Value | null)[],
    attributes: Attributes,
    outputs: number,
  ): readonly Value[] {
    const operator = findOperator(op);
    const call: Application = { op, inputs, attributes, outputs };
    const key = `${op}(${inputs.map((input) => input?.id)})${outputs}${attributeKey(attributes)}`;
    const known = operator.pure === false ? undefined : this.#known.get(key);
    if (known) return known;
    for (const input of inputs) {
      if (input && !this.#owned.has(input)) {
        throw new OperatorError(call, `${input.name} belongs to another graph`);
      }
    }
    const results = operator.expand?.(this, call) ?? this.#apply(operator, call);
    if (operator.pure !== false) this.#known.set(key, results);
    return results;
  }

  /**
   * Names a value as an output of the graph.
   *
   * @returns the value
   */
  output(name: string, value: Value): Value {
    if (this.outputs.has(name)) {
      throw new RangeError(`cannot declare output "${name}": the graph has an output of that name`);
    }
    if (this.inputs.has(name)) {
      throw new RangeError(`cannot declare output "${name}": the graph has an input of that name`);
    }
    this.outputs.set(name, value);
    return value;
  }

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
    return this.op("Reshape", [x, this.ints(freeFirst(dims))]);
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

  #apply(operator: Operator, call: Application): readonly Value[] {
    const types = operator.infer(call);
    const simple = operator.simplify?.(this, call, types);
    return simple ? [simple] : this.#fold(call, types) ?? this.#append(call, types);
  }

  #append(call: Application, types: TensorType[]): readonly Value[] {
    const results: Value[] = [];
    const node: Node = { ...call, results };
    for (const type of types.slice(0, call.outputs)) {
      const name = this.#name(call.op.slice(call.op.lastIndexOf(".") + 1));
      results.push(this.#value(name, type, { producer: node }));
    }
    this.nodes.push(node);
    return results;
  }

  #fold(call: Application, types: TensorType[]): readonly Value[] | undefined {
    const { evaluate, pure } = findOperator(call.op);
    if (!evaluate || pure === false) return undefined;
    if (!call.inputs.every((input) => input === null || input.constant)) return undefined;
    const size = types.reduce((sum, { dims }) => sum + sizeOf(dims), 0);
    const given = call.inputs.reduce((sum, input) => sum + sizeOf(input?.dims ?? []), 0);
    if (size > FOLD_LIMIT && size > given) return undefined;
    const inputs = call.inputs.map((input) => toNumbers(input?.constant ?? ABSENT));
    return evaluate(inputs, call, types, evaluateGraph).map((data, i) => {
      const tensor = fromNumbers({ ...types[i], data });
      return this.tensor(tensor);
    });
  }

  #value(name: string, { type, dims }: TensorType, origin: Partial<Value> = {}): Value {
    const value: Value = { id: this.#owned.size, name, type, dims, ...origin };
    this.#names.add(name);
    this.#owned.add(value);
    return value;
  }

  #name(stem: string): string {
    stem = this.scope + stem;
    for (;;) {
      const count = this.#stems.get(stem) ?? 0;
      this.#stems.set(stem, count + 1);
      const name = count === 0 ? stem : `${stem}_${count}`;
      if (!this.#names.has(name)) return name;
    }
  }
}

const ABSENT: Tensor = { type: "float32", dims: [0], data: allocate("float32", 0) };

function attributeKey(attributes: Attributes): string {
  const names = Object.keys(attributes).sort();
  return names.map((name) => `${name}=${formatAttribute(attributes[name])}`).join(";");
}

function formatAttribute(attribute: Attribute): string {
  if (attribute instanceof Body) return "body"; // loops are never shared
  if (typeof attribute !== "object" || Array.isArray(attribute)) return JSON.stringify(attribute);
  const { type, dims, data } = attribute as Tensor;
  return `${type}[${dims}]${Array.from(data as ArrayLike<number | bigint>)}`;
}

/**
 * The shape with its first dimension left to be inferred, where that is possible: so no constant holds the
 * length of a batch or of a text, and one encoded model can serve them all.
 */
function freeFirst(dims: readonly number[]): readonly number[] {
  return dims.length > 0 && dims.every((dim) => dim > 0) ? dims.with(0, -1) : dims;
}
