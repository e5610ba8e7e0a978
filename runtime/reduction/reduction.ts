/**
 * The arithmetic of the collectives: folds the ranks' inputs from rank 0 upwards.
 *
 * Every algorithm ends here or in something with the same bits, which is why a result does not
 * depend on the algorithm, the segment size or the message size:
 * - floats are accumulated in float64 from rank 0 to rank N−1 and rounded once, at the end;
 * - integers stay in their own type and wrap;
 * - a caller's op is folded in the buffer's own type, lowest ranks first.
 *
 * @module
 */

import type { Arithmetic, Datatype, TypedArray } from "../base/datatypes.ts";
import type { OpName, Reduction } from "../base/ops.ts";

/** Elements folded at a time; their accumulators stay in the first-level cache. */
const FOLD_ELEMENTS = 2048;

/** Folds the first `count` elements of `next` into `acc`. */
type Combine = (acc: TypedArray, next: TypedArray, count: number) => void;

/** A loop over numbers; bigints go through it as well, with functions made for them. */
// deno-lint-ignore no-explicit-any
function each(f: (a: any, b: any) => any): Combine {
  return (acc, next, count) => {
    for (let i = 0; i < count; i++) acc[i] = f(acc[i], next[i]);
  };
}

/** Addition has loops of its own, since nearly all reductions are sums. */
const addFloats: Combine = (acc, next, count) => {
  const a = acc as Float64Array, b = next as Float32Array;
  for (let i = 0; i < count; i++) a[i] += b[i];
};
const addIntegers: Combine = (acc, next, count) => {
  const a = acc as Int32Array, b = next as Int32Array;
  for (let i = 0; i < count; i++) a[i] += b[i];
};

// Stores into a typed array wrap, and sums and products of up to 32 + 16 bits are exact in float64.
const product = (a: number, b: number) => Math.abs(a) > 0xffff ? Math.imul(a, b) : a * b;

const COMBINE: Record<Arithmetic, Partial<Record<OpName, Combine>>> = {
  float: {
    sum: addFloats,
    prod: each((a: number, b: number) => a * b),
    min: each(Math.min),
    max: each(Math.max),
    land: each((a: number, b: number) => a && b ? 1 : 0),
    lor: each((a: number, b: number) => a || b ? 1 : 0),
  },
  integer: {
    sum: addIntegers,
    prod: each(product),
    min: each((a: number, b: number) => a < b ? a : b),
    max: each((a: number, b: number) => a > b ? a : b),
    land: each((a: number, b: number) => a && b ? 1 : 0),
    lor: each((a: number, b: number) => a || b ? 1 : 0),
    band: each((a: number, b: number) => a & b),
    bor: each((a: number, b: number) => a | b),
    bxor: each((a: number, b: number) => a ^ b),
  },
  bigint: {
    sum: each((a: bigint, b: bigint) => a + b),
    prod: each((a: bigint, b: bigint) => a * b),
    min: each((a: bigint, b: bigint) => a < b ? a : b),
    max: each((a: bigint, b: bigint) => a > b ? a : b),
    land: each((a: bigint, b: bigint) => a && b ? 1n : 0n),
    lor: each((a: bigint, b: bigint) => a || b ? 1n : 0n),
    band: each((a: bigint, b: bigint) => a & b),
    bor: each((a: bigint, b: bigint) => a | b),
    bxor: each((a: bigint, b: bigint) => a ^ b),
  },
};

/** How one reduction of one element type is carried out. */
export interface Fold {
  /** Makes accumulators: float64 for floats, the type itself for all else. */
  accumulators(length: number): TypedArray;
  /** Folds all of `next` into `acc`, which has the same length. */
  combine(acc: TypedArray, next: TypedArray): void;
  /** Elements that must stay together. */
  readonly width: number;
  /**
   * What ranks that are together may make of their inputs before the others': the same reduction, for
   * which any order gives the same bits; an exact sum, see `exact_partials.ts`; or nothing.
   */
  readonly partials: "reduced" | "exact" | "none";
  /** Whether it is the one that the WebAssembly kernel computes. */
  readonly isFloat32Sum: boolean;
}

/** The fold of a reduction over an element type. */
export function foldOf(reduction: Reduction, type: Datatype): Fold {
  const { user, named } = reduction;
  if (user !== null) {
    return {
      accumulators: (length) => new type.array(length),
      combine: (acc, next) => user.fold(acc, next),
      width: user.width,
      partials: "none",
      isFloat32Sum: false,
    };
  }
  const combine = COMBINE[type.arithmetic][named!]!;
  const isFloat = type.arithmetic === "float";
  const isFloat32Sum = named === "sum" && type.name === "float32";
  const isRounded = isFloat && (named === "sum" || named === "prod");
  return {
    accumulators: (length) => isFloat ? new Float64Array(length) : new type.array(length),
    combine: (acc, next) => combine(acc, next, next.length),
    width: 1,
    partials: isFloat32Sum ? "exact" : isRounded ? "none" : "reduced",
    isFloat32Sum,
  };
}

/** Copies elements between buffers that agree on bigint or number; rounds where the target does. */
export function copyElements(target: TypedArray, source: TypedArray): void {
  (target as Float64Array).set(source as Float64Array);
}

/**
 * Writes input 0 ∘ input 1 ∘ … ∘ input N−1 to `out`. All have the same length; `out` may be one of
 * the inputs.
 */
export function foldInputs(fold: Fold, inputs: readonly TypedArray[], out: TypedArray): void {
  const most = Math.max(fold.width, FOLD_ELEMENTS - FOLD_ELEMENTS % fold.width);
  const accumulators = fold.accumulators(Math.min(most, out.length));
  for (let start = 0; start < out.length; start += most) {
    const end = Math.min(start + most, out.length);
    const acc = end - start < accumulators.length
      ? accumulators.subarray(0, end - start)
      : accumulators;
    copyElements(acc, inputs[0].subarray(start, end));
    for (let rank = 1; rank < inputs.length; rank++) {
      fold.combine(acc, inputs[rank].subarray(start, end));
    }
    copyElements(out.subarray(start, end), acc);
  }
}

/**
 * Writes to `outs[r]` the fold of inputs 0 … r, or of 0 … r−1 if `exclusive` (then `outs[0]` is left
 * as it is). `outs[r]` may be `inputs[r]`.
 */
export function foldPrefixes(
  fold: Fold,
  inputs: readonly TypedArray[],
  outs: readonly TypedArray[],
  exclusive: boolean,
): void {
  const acc = fold.accumulators(inputs[0].length);
  copyElements(acc, inputs[0]);
  if (!exclusive) copyElements(outs[0], acc);
  for (let rank = 1; rank < inputs.length; rank++) {
    if (!exclusive) {
      fold.combine(acc, inputs[rank]);
      copyElements(outs[rank], acc);
    } else {
      const before = inputs[rank].slice();
      copyElements(outs[rank], acc);
      if (rank + 1 < inputs.length) fold.combine(acc, before);
    }
  }
}
