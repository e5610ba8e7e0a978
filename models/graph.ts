/**
 * The typed graph: standard ONNX operators on values of static shape, in the order they are computed.
 *
 * A graph grows by {@linkcode Graph.op}. It infers the outputs' types at once, so a mistake is reported
 * where it is made; it computes what depends on constants alone; and an operator applied twice to the same
 * inputs gives the same value, so gradient and lowering rules need not look for what is already there.
 * Nodes are only ever appended: a node nobody uses costs nothing, since encoding keeps what the outputs
 * need. The operators have methods of their own in {@linkcode Operations}.
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
import { Operations } from "./operations.ts";
import { findOperator } from "./ops/mod.ts";
import {
  allocate,
  checkTensor,
  type ElementType,
  formatDims,
  fromNumbers,
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

/** Folding stops at this many elements, unless the result is no larger than its inputs. */
const FOLD_LIMIT = 1024;

/** A graph under construction. */
export class Graph extends Operations {
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
  override constant(
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
    const elements = Array.from(tensor.data as Float64Array, exactly);
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
  override op(op: string, inputs: readonly (Value | null)[], attributes: Attributes = {}): Value {
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

  #apply(operator: Operator, call: Application): readonly Value[] {
    const types = operator.infer(call);
    for (const { dims } of types) checkDims(call, dims);
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

/** Throws an OperatorError unless a result's axes have lengths: what says them may come from a file. */
function checkDims(call: Application, dims: readonly number[]): void {
  if (dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0)) return;
  throw new OperatorError(
    call,
    `its result would have the shape ${
      formatDims(dims)
    }; the length of an axis is a whole number from 0`,
  );
}

const ABSENT: Tensor = { type: "float32", dims: [0], data: allocate("float32", 0) };

function attributeKey(attributes: Attributes): string {
  const names = Object.keys(attributes).sort();
  return names.map((name) => `${name}=${formatAttribute(attributes[name])}`).join(";");
}

function formatAttribute(attribute: Attribute): string {
  if (attribute instanceof Body) return "body"; // loops are never shared
  if (typeof attribute === "number") return exactly(attribute);
  if (Array.isArray(attribute)) return `[${attribute.map(formatAttribute)}]`;
  if (typeof attribute !== "object") return JSON.stringify(attribute);
  const { type, dims, data } = attribute as Tensor;
  return `${type}[${dims}]${Array.from(data as Float64Array, exactly)}`;
}

/** A number as text of its own: −0 and 0 differ in their bits and in 1/x, infinities are none in JSON. */
function exactly(x: number): string {
  return Object.is(x, -0) ? "-0" : String(x);
}
