/**
 * The reductions: nine named ones and the caller's own (MPI 4.1, section 6.9).
 *
 * @module
 */

import type { Datatype, TypedArray } from "./datatypes.ts";

/** The named reductions, in the order of their numbers on the wire. */
export const OP_NAMES = [
  "sum",
  "prod",
  "min",
  "max",
  "land",
  "lor",
  "band",
  "bor",
  "bxor",
] as const;

/** A named reduction. */
export type OpName = typeof OP_NAMES[number];

/** Combines two elements, the one of the lower ranks first. */
// deno-lint-ignore no-explicit-any
export type ElementFunction = (a: any, b: any) => any;

/** Combines two groups of elements: writes the result over `a`, which comes from the lower ranks. */
// deno-lint-ignore no-explicit-any
export type GroupFunction = (a: any, b: any) => void;

/** A reduction of the caller's own, made by {@linkcode createOp}. */
export interface UserOp {
  /** Whether a ∘ b = b ∘ a. */
  readonly commutative: boolean;
  /** Elements that belong together and are never separated. */
  readonly width: number;
  /** Folds `next` into `accumulator`, whose lengths are equal and a multiple of the width. */
  fold(accumulator: TypedArray, next: TypedArray): void;
}

/** What a reduction may be given as. */
export type Op = OpName | ElementFunction | UserOp;

/** Options of {@linkcode createOp}. */
export interface CreateOpOptions {
  /** Whether the order of two operands may be exchanged. @default {false} */
  commutative?: boolean;
  /** Elements that form one value, such as 4 for a 2×2 matrix. @default {1} */
  width?: number;
}

/**
 * Makes a reduction out of a function. It must be associative; operands always meet in the order of
 * ranks, so it need not be commutative.
 *
 * @param fn with width 1, takes two elements and returns their combination; with a larger width,
 *   takes two views of that many elements and writes the combination into the first
 * @example
 * ```ts
 * import { createOp } from "./ops.ts";
 * const last = createOp((_a: number, b: number) => b);
 * const product2x2 = createOp((a: Float64Array, b: Float64Array) => {
 *   a.set([
 *     a[0] * b[0] + a[1] * b[2], a[0] * b[1] + a[1] * b[3],
 *     a[2] * b[0] + a[3] * b[2], a[2] * b[1] + a[3] * b[3],
 *   ]);
 * }, { width: 4 });
 * console.assert(last.width === 1 && product2x2.width === 4);
 * ```
 */
export function createOp(
  fn: ElementFunction | GroupFunction,
  { commutative = false, width = 1 }: CreateOpOptions = {},
): UserOp {
  if (!Number.isInteger(width) || width < 1) {
    throw new RangeError(`cannot create an op: width must be a positive integer, found ${width}`);
  }
  const fold = width === 1
    ? (accumulator: TypedArray, next: TypedArray) => {
      for (let i = 0; i < next.length; i++) accumulator[i] = fn(accumulator[i], next[i]);
    }
    : (accumulator: TypedArray, next: TypedArray) => {
      for (let i = 0; i < next.length; i += width) {
        fn(accumulator.subarray(i, i + width), next.subarray(i, i + width));
      }
    };
  return { commutative, width, fold };
}

/** A reduction as the collectives use it. */
export interface Reduction {
  /** Its number in a frame's header; {@linkcode USER_OP} for the caller's own. */
  readonly code: number;
  /** Its name in messages. */
  readonly name: string;
  /** The named reduction, or null. */
  readonly named: OpName | null;
  /** The caller's reduction, or null. */
  readonly user: UserOp | null;
}

/** The number on the wire of a reduction that is the caller's own. */
const USER_OP = 255;

/**
 * Checks a reduction against an element type.
 *
 * @throws TypeError if it is unknown or not defined on the type
 */
export function reductionOf(op: Op, type: Datatype): Reduction {
  if (typeof op === "string") {
    const code = OP_NAMES.indexOf(op);
    if (code < 0) {
      throw new TypeError(`op must be a function or one of ${OP_NAMES.join(", ")}, found "${op}"`);
    }
    if (type.arithmetic === "float" && (op === "band" || op === "bor" || op === "bxor")) {
      throw new TypeError(
        `op "${op}" works on integers, and the buffer holds ${type.name} elements`,
      );
    }
    return { code, name: op, named: op, user: null };
  }
  const user = typeof op === "function" ? createOp(op) : op;
  if (typeof user?.fold !== "function") {
    throw new TypeError(`op must be a name, a function or made by createOp, found ${typeof op}`);
  }
  return { code: USER_OP, name: "a function", named: null, user };
}

/** The name of a reduction by its number on the wire. */
export function reductionName(code: number): string {
  return code === USER_OP ? "a function" : OP_NAMES[code] ?? `number ${code}`;
}
