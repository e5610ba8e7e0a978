/** Values unique to rank and element, and reductions of them written apart from the runtime's. */

import type { OpName, TypedArray } from "../../runtime/mod.ts";

// deno-lint-ignore no-explicit-any
export type Maker = { new (length: number): any; from(list: ArrayLike<any>): any; name: string };

/** Every element type. */
export const MAKERS: readonly Maker[] = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  BigInt64Array,
  BigUint64Array,
  Float32Array,
  Float64Array,
];

export const isBig = (make: Maker): boolean => make === BigInt64Array || make === BigUint64Array;
export const isFloat = (make: Maker): boolean => make === Float32Array || make === Float64Array;

/** 2⁻¹¹ … 2¹¹. */
const SIZES = Float64Array.from({ length: 23 }, (_, i) => 2 ** (i - 11));

/** The i-th element of a rank's buffer: signed and of very different sizes, so that order shows. */
export function value(rank: number, i: number): number {
  const mixed = Math.imul(rank * 0x9e3779b1 ^ i * 0x85ebca6b, 0xc2b2ae35) >> 8;
  return mixed * SIZES[(rank * 7 + i * 3) % 23] + rank + 1 / (i + 1);
}

/** So many floats; `from` and `map` of arrays take several times as long. */
export function floats(length: number, of: (i: number) => number): Float32Array {
  const out = new Float32Array(length);
  for (let i = 0; i < length; i++) out[i] = of(i);
  return out;
}

/**
 * A function whose value for the same arguments is made once, for ranks of one process and several tests. Whoever gets
 * it does not write into it.
 */
export function madeOnce<Arguments extends (string | number | Maker)[], T>(
  of: (...args: Arguments) => T,
): (...args: Arguments) => T {
  const made = new Map<string, T>();
  return (...args) => {
    const key = args.map((arg) => typeof arg === "function" ? arg.name : arg).join(" ");
    if (!made.has(key)) made.set(key, of(...args));
    return made.get(key)!;
  };
}

/** A rank's buffer. */
export function filled(make: Maker, rank: number, length: number): TypedArray {
  const buffer = new make(length);
  for (let i = 0; i < length; i++) {
    buffer[i] = isBig(make)
      ? BigInt(Math.trunc(value(rank, i))) * 0x1_0000_0001n
      : isFloat(make)
      ? value(rank, i)
      : Math.trunc(value(rank, i)) | 0;
  }
  return buffer;
}

/** A buffer inside a larger one, with guards on both sides that {@linkcode guarded} looks at. */
export function inside(make: Maker, content: TypedArray): TypedArray {
  const whole = new make(content.length + 6);
  whole.fill(isBig(make) ? 77n : 77);
  const view = whole.subarray(3, 3 + content.length);
  view.set(content);
  return view;
}

/** Throws unless the elements around a buffer made by {@linkcode inside} are as they were. */
export function guarded(view: TypedArray): void {
  const whole = new (view.constructor as Uint8ArrayConstructor)(view.buffer as ArrayBuffer);
  for (let i = 0; i < 3; i++) {
    if (Number(whole[i]) !== 77 || Number(whole[whole.length - 1 - i]) !== 77) {
      throw new Error("the elements around the buffer have been overwritten");
    }
  }
}

const OPS: Record<OpName, (a: bigint, b: bigint) => bigint> = {
  sum: (a, b) => a + b,
  prod: (a, b) => a * b,
  min: (a, b) => a < b ? a : b,
  max: (a, b) => a > b ? a : b,
  land: (a, b) => a !== 0n && b !== 0n ? 1n : 0n,
  lor: (a, b) => a !== 0n || b !== 0n ? 1n : 0n,
  band: (a, b) => a & b,
  bor: (a, b) => a | b,
  bxor: (a, b) => a ^ b,
};

const FLOAT_OPS: Partial<Record<OpName, (a: number, b: number) => number>> = {
  sum: (a, b) => a + b,
  prod: (a, b) => a * b,
  min: (a, b) => Math.min(a, b),
  max: (a, b) => Math.max(a, b),
  land: (a, b) => Number(a !== 0 && b !== 0),
  lor: (a, b) => Number(a !== 0 || b !== 0),
};

/**
 * The reduction of ranks 0 … `ranks`−1: floats in plain numbers from rank 0 upwards, integers in
 * bigints of any size, cut to the type at the end.
 */
export const reduced = madeOnce(
  (make: Maker, ranks: number, length: number, op: OpName): TypedArray => {
    const inputs = Array.from({ length: ranks }, (_, rank) => filled(make, rank, length));
    const out = new make(length);
    for (let i = 0; i < length; i++) {
      if (isFloat(make)) {
        out[i] = inputs.map((input) => Number(input[i])).reduce(FLOAT_OPS[op]!);
      } else {
        const exact = inputs.map((input) => BigInt(input[i])).reduce(OPS[op]);
        out[i] = isBig(make) ? exact : Number(BigInt.asIntN(8 * out.BYTES_PER_ELEMENT, exact));
        if (make === Uint8ClampedArray) out[i] = Number(BigInt.asUintN(8, exact));
      }
    }
    return out;
  },
);

/** Throws unless two buffers hold the same bits. */
export function sameBits(what: string, actual: TypedArray, expected: TypedArray): void {
  if (actual.length !== expected.length) {
    throw new Error(`${what}: ${actual.length} elements, expected ${expected.length}`);
  }
  const a = new Uint8Array(actual.buffer, actual.byteOffset, actual.byteLength);
  const b = new Uint8Array(expected.buffer, expected.byteOffset, expected.byteLength);
  for (let i = 0; i < a.length; i++) {
    if (a[i] === b[i]) continue;
    const at = Math.floor(i / actual.BYTES_PER_ELEMENT);
    throw new Error(`${what}: element ${at} is ${actual[at]}, expected ${expected[at]}`);
  }
}
