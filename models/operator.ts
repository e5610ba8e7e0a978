/**
 * What an operator is to the compiler: how shapes follow from shapes, how values follow from values, and
 * how a gradient goes back. It is not how a device computes it: that is the runtime's, and where the best
 * form depends on the device, a lowering rule's.
 *
 * @module
 */

import type { Body } from "./body.ts";
import type { Graph, Node, Value } from "./graph.ts";
import type { NumberTensor, Tensor, TensorType } from "./tensor.ts";
import { formatDims } from "./tensor.ts";

/** An attribute of a node. ONNX's INT and FLOAT are told apart by the attribute's name. */
export type Attribute =
  | number
  | string
  | boolean
  | readonly number[]
  | readonly string[]
  | Tensor
  | Body;

/** A node's attributes by name. */
export type Attributes = Readonly<Record<string, Attribute>>;

/** An application of an operator, before its outputs exist. An absent optional input is null. */
export interface Application {
  /** ONNX operator name; operators outside the standard are prefixed by their domain and a dot. */
  readonly op: string;
  /** In the operator's order; an absent optional one is null. */
  readonly inputs: readonly (Value | null)[];
  /** By ONNX's names. */
  readonly attributes: Attributes;
  /** How many outputs are asked for. */
  readonly outputs: number;
}

/** Computes values of a graph from `known` ones, those of its inputs among them. */
export type GraphEvaluator = (
  graph: Graph,
  known: Map<Value, NumberTensor>,
  results: readonly Value[],
) => NumberTensor[];

/** One operator: everything the compiler knows of it. */
export interface Operator {
  /** The types of the outputs; throws an {@linkcode OperatorError} when the inputs do not fit. */
  infer(call: Application): TensorType[];
  /**
   * The outputs' values in float64, for constant folding and as the reference that tests compare with.
   * Sees only inputs that `infer` accepted. What repeats a graph computes it by `evaluateGraph`.
   */
  evaluate?(
    inputs: readonly NumberTensor[],
    call: Application,
    types: TensorType[],
    evaluateGraph: GraphEvaluator,
  ): Float64Array[];
  /** An equal value that needs no node, such as the input of a Reshape to its own shape. */
  simplify?(g: Graph, call: Application, types: TensorType[]): Value | undefined;
  /**
   * Appends the nodes of the backward pass. `dy[i]` is the loss's gradient by output i, null where none
   * flows; the result has one entry per input, null or absent where none does.
   */
  gradient?(
    g: Graph,
    node: Node,
    dy: readonly (Value | null)[],
  ): (Value | null | undefined)[];
  /**
   * Appends other operators that say the same, and returns their values in place of a node's outputs. What
   * expands needs no other rule.
   */
  expand?(g: Graph, call: Application): readonly Value[];
  /** False for an operator whose outputs are not a function of its inputs alone (random numbers). */
  pure?: false;
  /** False where neither onnxruntime's WebGPU provider nor a lowering rule can do it on the GPU. */
  webgpu?: false;
}

/** An operator that is only a shorter way to say others. */
export function composite(expand: NonNullable<Operator["expand"]>): Operator {
  return {
    expand,
    infer(call) {
      throw new OperatorError(call, "it is expanded where it is applied");
    },
  };
}

/** A table of operators by name. */
export type Operators = Readonly<Record<string, Operator>>;

/** An operator applied to something it cannot take. */
export class OperatorError extends Error {
  /** Tells it apart after it has crossed a process. */
  override name = "OperatorError";

  /**
   * Says which operator was applied to what.
   *
   * @param call what was asked for
   * @param problem what is wrong with it, with the values
   */
  constructor(call: Application, problem: string, options?: ErrorOptions) {
    const inputs = call.inputs.map((value) =>
      value ? `${value.name}: ${value.type}${formatDims(value.dims)}` : "(absent)"
    );
    super(`cannot apply ${call.op}(${inputs.join(", ")}): ${problem}`, options);
  }
}

/** The input at `index`, which must be there. */
export function required(call: Application, index: number, role: string): Value {
  const value = call.inputs[index];
  if (!value) throw new OperatorError(call, `input ${index} (${role}) is required`);
  return value;
}

/** What has attributes: an application, or as much of it as there is. */
type Attributed = Pick<Application, "attributes"> & Partial<Application>;

/** An attribute of a kind, or its default; a file may give it another. */
function attributeOf<T extends Attribute>(
  call: Attributed,
  name: string,
  otherwise: T,
  is: (value: Attribute) => value is T,
  kind: string,
): T {
  const value = call.attributes[name];
  if (value === undefined) return otherwise;
  if (is(value)) return value;
  const whole = { op: "an operator", inputs: [], outputs: 1, ...call };
  throw new OperatorError(whole, `its attribute ${name} must be ${kind}`);
}

/** An integer attribute, or its default. */
export function intAttribute(call: Attributed, name: string, otherwise: number): number {
  const is = (value: Attribute) => typeof value === "number" || typeof value === "boolean";
  return Number(attributeOf(call, name, otherwise, is, "a number"));
}

/** A list-of-integers attribute, or its default. */
export function intsAttribute(
  call: Attributed,
  name: string,
  otherwise: readonly number[],
): readonly number[] {
  const is = (value: Attribute): value is readonly number[] =>
    Array.isArray(value) && value.every((each) => typeof each === "number");
  return attributeOf(call, name, otherwise, is, "a list of numbers");
}

/** A string attribute, or its default. */
export function stringAttribute(call: Attributed, name: string, otherwise: string): string {
  const is = (value: Attribute) => typeof value === "string";
  return attributeOf(call, name, otherwise, is, "a text");
}

/** A list-of-strings attribute, or its default. */
export function stringsAttribute(
  call: Attributed,
  name: string,
  otherwise: readonly string[],
): readonly string[] {
  const is = (value: Attribute): value is readonly string[] =>
    Array.isArray(value) && value.every((each) => typeof each === "string");
  return attributeOf(call, name, otherwise, is, "a list of texts");
}

/**
 * The numbers of an input that decides a shape and therefore must be a constant: axes, a target shape,
 * pads. Null when the optional input is absent.
 */
export function constantInput(call: Application, index: number, role: string): number[] | null {
  const value = call.inputs[index];
  if (!value) return null;
  if (!value.constant) {
    throw new OperatorError(
      call,
      `input ${index} (${role}) decides a shape, so it must be a constant, and ${value.name} is ` +
        `computed; shapes are static here: fix the model's input sizes so that it folds to a constant`,
    );
  }
  return Array.from(value.constant.data as ArrayLike<number | bigint>, Number);
}
