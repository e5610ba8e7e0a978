/**
 * An update of variables that follows a graph: sums over tensors, and then, for each element of many tensors,
 * numbers made of the elements at its place, of scalars and of those sums. All of it is float32.
 *
 * @module
 */

import type { PassedTensor } from "./segmented_model.ts";

/** What an {@linkcode Instruction} works on: an operand (`o3`), an earlier instruction (`i3`), or a number. */
export type Reference = string | number;

/** The elementwise operators of ONNX that forms may have. */
export const FORM_OPERATORS = [
  "Abs",
  "Add",
  "Div",
  "Greater",
  "Less",
  "Mul",
  "Neg",
  "Reciprocal",
  "Sqrt",
  "Sub",
  "Where",
] as const;

/** One of them. */
export type FormOperator = typeof FORM_OPERATORS[number];

/** An operator and what it works on. */
export type Instruction = readonly [FormOperator, ...Reference[]];

/** How elements are computed; many tensors of unlike lengths may have one form. */
export interface Form {
  /** Whether an operand has as many elements as what is computed, or one for all. */
  readonly operands: readonly ("tensor" | "scalar")[];
  readonly instructions: readonly Instruction[];
  /** What comes of it. */
  readonly results: readonly Reference[];
}

/** What is computed by a form of operands that are known by name. */
export interface FormCall {
  /** Its place in {@linkcode UpdateCall.forms}. */
  readonly form: number;
  /** Elements. */
  readonly length: number;
  /** A tensor that a graph has left behind, a sum, a variable or an input, for each operand. */
  readonly operands: readonly string[];
}

/** The sum of the elements of what some calls compute, each with one result. */
export interface Sum {
  /** What operands call it. */
  readonly name: string;
  readonly calls: readonly FormCall[];
}

/** What is computed of one set of tensors; it may overwrite what it reads. */
export interface ElementUpdate extends FormCall {
  /** The model's output for each result: the new value of a variable, or one that is returned. */
  readonly outputs: readonly PassedTensor[];
}

/** Everything that is computed after the last graph. */
export interface UpdateCall {
  readonly forms: readonly Form[];
  /** First all of these … */
  readonly sums: readonly Sum[];
  /** … and then these. No variable that one of them changes is read by another. */
  readonly updates: readonly ElementUpdate[];
  /** What the last graph leaves behind for it. */
  readonly left: readonly PassedTensor[];
  /** Inputs of the model that are operands: variables, or what is fed. */
  readonly inputs: readonly PassedTensor[];
}
