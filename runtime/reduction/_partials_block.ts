/**
 * What the kernels of exact partial sums share: the form of a block, and the sum of its inputs.
 *
 * @module
 */

import {
  add,
  choose,
  type Code,
  f64,
  f64x2,
  type Func,
  get,
  I32,
  i32,
  i32x4,
  i64,
  leave,
  localsOf,
  repeat,
  set,
  V128,
  v128,
  when,
} from "../base/wasm.ts";

/** Elements of a block. */
export const BLOCK = 64;
export const BLOCK_BYTES = 4 * BLOCK, SUM_BYTES = 8 * BLOCK;
/** Where a block's sums are worked on, and what a partial sum holds of them. */
export const SUMS = 0, PARTIAL = SUM_BYTES;
/** From where on memory is the caller's. */
export const FREE = 2 * SUM_BYTES;

/** Formats of a block: its inputs as they are, or nothing since all sums are 0; else see below. */
export const INPUTS = 0x7e, ZERO = 0x7f;
/** Exceptions of a block are so many, at most 64, and take 4 bytes each instead of 2. */
export const EXCEPTIONS = 0x7f, LONG = 0x80;
/** Bits of an exception that say which element it is of. */
export const INDEX_BITS = 6;
/** Bits behind the unit that exceptions hold: 16 − 6, 32 − 6. */
export const SHORT_BITS = 10, LONG_BITS = 26;
/** A float32 with the exponent field e is a multiple of 2^(e − 150); so is what is counted in unit e. */
export const UNIT_OFFSET = 150;
/** The exponent field of infinities and NaN. */
export const NOT_FINITE = 255;
/** Bytes of a partial sum's entry in the table of {@linkcode PartialsKernels.sum}: address, end, inputs. */
export const ENTRY_BYTES = 12;

export const number = i32.const;
export const floats = (value: number) =>
  v128.const(...new Uint8Array(Float64Array.of(value, value).buffer));
export const words = (value: number) =>
  v128.const(...new Uint8Array(Int32Array.of(value, value, value, value).buffer));
/** Any −0 as float64. */
export const NEGATIVE_ZERO = floats(-0);
/** 2^(an integer + `offset`) as float64. */
export const power = (exponent: Code, offset: number) =>
  f64.fromBits(
    i64.shiftLeft(i64.fromI32(i32.add(exponent, number(1023 + offset))), i64.const(52)),
  );
export const field = (head: number, shift: number) =>
  i32.and(i32.shiftRight(get(head), number(shift)), number(255));
/** Does something to all of a block's float64, 8 vectors at a time. */
export const overSums = (at: number, each: (offset: number) => Code): Code[] => [
  set(at, number(0)),
  repeat([
    ...Array.from({ length: 8 }, (_, k) => each(16 * k)),
    add(at, number(128)),
  ], i32.below(get(at), number(SUM_BYTES))),
];
/** The address of what belongs to a place among the sums, where elements take half as much. */
export const half = (base: number, at: number) =>
  i32.add(get(base), i32.shiftRight(get(at), number(1)));

/** (table, tableEnd, offset) → greatest magnitude, least but 0 less 1, as bits; sums go to SUMS. */
export function sumBlock(): Func {
  const [table, tableEnd, offset, store, entry, input] = localsOf(0, 6);
  const [most, least, word] = localsOf(6, 3), accumulators = localsOf(9, 8);
  const across = (combine: (a: Code, b: Code) => Code, vector: number): Code[] => {
    const moved = (...order: number[]) => v128.shuffle(get(vector), get(vector), ...order);
    const [a, b, c, d] = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]];
    return [
      set(vector, combine(get(vector), moved(...c, ...d, ...a, ...b))),
      set(vector, combine(get(vector), moved(...b, ...a, ...d, ...c))),
    ];
  };
  return {
    takes: [I32, I32, I32],
    gives: [I32, I32],
    locals: [I32, I32, I32, V128, V128, V128, ...new Array(8).fill(V128)],
    body: [
      set(least, words(-1)),
      repeat([
        ...accumulators.map((acc) => set(acc, NEGATIVE_ZERO)),
        set(entry, get(table)),
        repeat([
          set(input, i32.add(i32.load(0, get(entry)), get(offset))),
          ...[0, 16, 32, 48].flatMap((at) => [
            set(word, v128.and(v128.load(at, get(input)), words(0x7fffffff))),
            set(most, i32x4.max(get(most), get(word))),
            set(least, i32x4.min(get(least), i32x4.subtract(get(word), words(1)))),
          ]),
          ...accumulators.map((acc, k) =>
            set(acc, f64x2.add(get(acc), f64x2.fromF32(v128.loadHalf(8 * k, get(input)))))
          ),
          add(entry, number(4)),
        ], i32.below(get(entry), get(tableEnd))),
        ...accumulators.map((acc, k) => v128.store(SUMS + 16 * k, get(store), get(acc))),
        add(offset, number(64)),
        add(store, number(128)),
      ], i32.below(get(store), number(SUM_BYTES))),
      ...across(i32x4.max, most),
      ...across(i32x4.min, least),
      leave(i32x4.extract(get(most), 0), i32x4.extract(get(least), 0)),
    ],
  };
}
export const SUM_BLOCK = 0;

/** The fields of a block's magnitudes, from what {@linkcode sumBlock} has left in `high` and `low`. */
export const exponents = (high: number, low: number): Code[] => {
  const atLeastOne = (value: Code) =>
    choose(i32.below(value, number(1 << 23)), number(1), i32.shiftRight(value, number(23)));
  return [
    add(low, number(1)),
    when(i32.isZero(get(high)), [set(low, number(0))], [
      set(high, atLeastOne(get(high))),
      set(low, atLeastOne(get(low))),
    ]),
  ];
};
