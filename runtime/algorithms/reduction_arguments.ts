/**
 * What allreduce, reduce, reduce-scatter, scan and exscan have in common before they begin.
 *
 * @module
 */

import {
  bytesOf,
  type Datatype,
  datatypeOf,
  elementsOf,
  type TypedArray,
} from "../base/datatypes.ts";
import { type Op, reductionOf } from "../base/ops.ts";
import type { Signature } from "../engine/signature.ts";
import { type Fold, foldInputs, foldOf } from "../reduction/reduction.ts";

/** A buffer, what its elements are and how they are reduced. */
export interface ReductionArguments {
  readonly type: Datatype;
  readonly fold: Fold;
  readonly bytes: Uint8Array;
  /** Number of elements. */
  readonly count: number;
  /** What the signature of the call says of it. */
  readonly signature: Pick<Signature, "type" | "count" | "op">;
}

/**
 * Checks a buffer and an op.
 *
 * @throws TypeError if the buffer is no typed array or the op is not defined on it
 * @throws RangeError if the op takes groups of elements and the length is no multiple of them
 */
export function checkReduction(name: string, buffer: TypedArray, op: Op): ReductionArguments {
  const type = datatypeOf(buffer), reduction = reductionOf(op, type);
  const fold = foldOf(reduction, type), count = buffer.length;
  if (count % fold.width !== 0) {
    throw new RangeError(
      `cannot ${name}: the op takes groups of ${fold.width} elements, the buffer holds ${count}`,
    );
  }
  return {
    type,
    fold,
    count,
    bytes: bytesOf(buffer),
    signature: { type: type.code, count, op: reduction.code },
  };
}

/** Folds the contributions of a tree exchange. */
export function foldBytes(
  { type, fold }: ReductionArguments,
  inputs: readonly Uint8Array[],
): Uint8Array {
  const out = new Uint8Array(inputs[0].length);
  foldInputs(fold, inputs.map((input) => elementsOf(type, input)), elementsOf(type, out));
  return out;
}
