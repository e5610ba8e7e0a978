/**
 * Every operator the compiler knows, one family a file. To teach it another, add an entry to a family's
 * table (or a file with a table, named below): the README of models/ says what an entry holds.
 *
 * @module
 */

import type { Operator, Operators } from "../operator.ts";
import { binaryOperators } from "./binary.ts";
import { contribOperators } from "./contrib.ts";
import { einsumOperators } from "./einsum.ts";
import { indexingOperators } from "./indexing.ts";
import { layerFamilies } from "./layers/mod.ts";
import { linearOperators } from "./linear.ts";
import { loopOperators } from "./loop.ts";
import { reductionOperators } from "./reduction.ts";
import { scatterOperators } from "./scatter.ts";
import { shapeOperators } from "./shape.ts";
import { unaryOperators } from "./unary.ts";

/** The families of operators, by their file in this folder, without its ending. */
const families: Readonly<Record<string, Operators>> = {
  unary: unaryOperators,
  binary: binaryOperators,
  shape: shapeOperators,
  indexing: indexingOperators,
  scatter: scatterOperators,
  reduction: reductionOperators,
  linear: linearOperators,
  einsum: einsumOperators,
  loop: loopOperators,
  contrib: contribOperators,
  ...prefixed("layers/", layerFamilies),
};

function prefixed<T>(prefix: string, table: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(table).map(([name, entry]) => [prefix + name, entry]));
}

const table = new Map(Object.values(families).flatMap((family) => Object.entries(family)));

/** The operator of a name; throws a RangeError that names it if it is not known. */
export function findOperator(op: string): Operator {
  const operator = table.get(op);
  if (!operator) {
    throw new RangeError(
      `the operator ${op} is not known; models/ops/ lists those that are, one family a file`,
    );
  }
  return operator;
}

/** One line of the table of what is supported. */
export interface Coverage {
  /** ONNX operator name. */
  readonly op: string;
  /** The file in models/ops that holds its rules, without its ending. */
  readonly family: string;
  /** Whether a loss can be differentiated through it. */
  readonly gradient: boolean;
  /** Whether it is computed at once where its inputs are constant. */
  readonly folds: boolean;
  /** Whether it runs on WebGPU without leaving the GPU (int64 arithmetic always leaves it). */
  readonly webgpu: boolean;
}

/** What is supported: every standard operator known here, in alphabetical order. */
export function operatorCoverage(): Coverage[] {
  return Object.entries(families).flatMap(([family, operators]) =>
    Object.entries(operators).map(([op, { gradient, evaluate, simplify, expand, webgpu }]) => ({
      op,
      family,
      gradient: (gradient ?? expand) !== undefined,
      folds: (evaluate ?? simplify ?? expand) !== undefined,
      webgpu: webgpu ?? true,
    }))
  ).filter(({ op }) => !op.includes(".")).sort((a, b) => a.op < b.op ? -1 : 1);
}
