/**
 * WebAssembly SIMD kernels that encode exact partial sums and add them up: see `exact_partials.ts` for
 * what they are and `docs/decisions/0014` for why. All lengths are whole blocks.
 *
 * @module
 */

import {
  add,
  assemble,
  call,
  choose,
  type Code,
  copy,
  f32x4,
  F64,
  f64,
  f64x2,
  type Func,
  get,
  i16x8,
  I32,
  i32,
  i32x4,
  I64,
  i64,
  i64x2,
  i8x16,
  leave,
  localsOf,
  pop,
  repeat,
  set,
  V128,
  v128,
  when,
} from "./_assembler.ts";

/** Elements of a block. */
export const BLOCK = 64;
const BLOCK_BYTES = 4 * BLOCK, SUM_BYTES = 8 * BLOCK;
/** Where a block's sums are worked on, and what a partial sum holds of them. */
const SUMS = 0, PARTIAL = SUM_BYTES;
/** From where on memory is the caller's. */
export const FREE = 2 * SUM_BYTES;

/** Formats of a block: its inputs as they are, or nothing since all sums are 0; else see below. */
export const INPUTS = 0x7e, ZERO = 0x7f;
/** Exceptions of a block are so many, at most 64, and take 4 bytes each instead of 2. */
export const EXCEPTIONS = 0x7f, LONG = 0x80;
/** Bits of an exception that say which element it is of. */
const INDEX_BITS = 6;
/** Bits behind the unit that exceptions hold: 16 − 6, 32 − 6. */
export const SHORT_BITS = 10, LONG_BITS = 26;
/** A float32 with the exponent field e is a multiple of 2^(e − 150); so is what is counted in unit e. */
export const UNIT_OFFSET = 150;
/** The exponent field of infinities and NaN. */
export const NOT_FINITE = 255;
/** Bytes of a partial sum's entry in the table of {@linkcode PartialsKernels.sum}: address, end, inputs. */
export const ENTRY_BYTES = 12;

/** The kernels on one memory; addresses of tables and data are from {@linkcode FREE} on. */
export interface PartialsKernels {
  /**
   * Encodes the sum of inputs.
   *
   * @param table address of the inputs' addresses
   * @param tableEnd where the table ends
   * @param mostApart how far exponents may be apart for a sum to be exact
   * @returns the address behind what has been written to `out`
   */
  encode(table: number, tableEnd: number, out: number, blocks: number, mostApart: number): number;
  /**
   * Adds inputs and partial sums; writes the numbers of doubtful blocks to `doubts`, and nothing of use
   * to these in `out`.
   *
   * @param errorScale what the rounding errors are at most, over the unit of the greatest exponent field
   * @returns how many are doubtful; −1 if a partial sum is malformed
   */
  sum(
    table: number,
    tableEnd: number,
    partials: number,
    partialsEnd: number,
    out: number,
    blocks: number,
    mostApart: number,
    errorScale: number,
    doubts: number,
  ): number;
}

const number = i32.const;
const floats = (value: number) =>
  v128.const(...new Uint8Array(Float64Array.of(value, value).buffer));
const words = (value: number) =>
  v128.const(...new Uint8Array(Int32Array.of(value, value, value, value).buffer));
/** Any −0 as float64. */
const NEGATIVE_ZERO = floats(-0);
/** Added to a whole number of up to 51 bits, leaves its low 32 in the float64's low word. */
const LOW_WORD = floats(2 ** 52 + 2 ** 51);
/** The low words of the lanes of two vectors. */
const lowWords = (a: Code, b: Code) =>
  v128.shuffle(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
/** 2^(an integer + `offset`) as float64. */
const power = (exponent: Code, offset: number) =>
  f64.fromBits(
    i64.shiftLeft(i64.fromI32(i32.add(exponent, number(1023 + offset))), i64.const(52)),
  );
const field = (head: number, shift: number) =>
  i32.and(i32.shiftRight(get(head), number(shift)), number(255));
/** Does something to all of a block's float64, 8 vectors at a time. */
const overSums = (at: number, each: (offset: number) => Code): Code[] => [
  set(at, number(0)),
  repeat([
    ...Array.from({ length: 8 }, (_, k) => each(16 * k)),
    add(at, number(128)),
  ], i32.below(get(at), number(SUM_BYTES))),
];
/** The address of what belongs to a place among the sums, where elements take half as much. */
const half = (base: number, at: number) => i32.add(get(base), i32.shiftRight(get(at), number(1)));

/** (table, tableEnd, offset) → greatest magnitude, least but 0 less 1, as bits; sums go to SUMS. */
function sumBlock(): Func {
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
      leave(i32x4.lane(get(most), 0), i32x4.lane(get(least), 0)),
    ],
  };
}
const SUM_BLOCK = 0;

/** The fields of a block's magnitudes, from what {@linkcode sumBlock} has left in `high` and `low`. */
const exponents = (high: number, low: number): Code[] => {
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

function encode(): Func {
  const [table, tableEnd, out, blocks, mostApart] = localsOf(0, 5);
  const [offset, high, low, unit, at, to, count, format, index, entry] = localsOf(5, 10);
  const [mask] = localsOf(15, 1), [scale, behind] = localsOf(16, 2);
  const [vector] = localsOf(18, 1), greatest = localsOf(19, 2);
  const whole = localsOf(21, 2), rest = localsOf(23, 2), pairs = localsOf(25, 4);
  const greatestLane = f64.max(f64x2.lane(get(greatest[0]), 0), f64x2.lane(get(greatest[0]), 1));
  /** Counts 16 sums in units; what is left of them stays, and a bit for each says whether anything is. */
  const countUnits: Code[] = [
    ...pairs.flatMap((pair, k) => [
      ...[0, 1].flatMap((j) => [
        set(
          vector,
          f64x2.multiply(v128.load(SUMS + 32 * k + 16 * j, get(at)), f64x2.splat(get(scale))),
        ),
        set(whole[j], f64x2.floor(get(vector))),
        set(rest[j], f64x2.subtract(get(vector), get(whole[j]))),
        v128.store(SUMS + 32 * k + 16 * j, get(at), get(rest[j])),
        set(
          rest[j],
          v128.or(f64x2.unequal(get(rest[j]), floats(0)), i64x2.equal(get(vector), NEGATIVE_ZERO)),
        ),
      ]),
      v128.store(
        4 + 16 * k,
        half(out, at),
        lowWords(f64x2.add(get(whole[0]), LOW_WORD), f64x2.add(get(whole[1]), LOW_WORD)),
      ),
      set(pair, lowWords(get(rest[0]), get(rest[1]))),
    ]),
    set(
      mask,
      i64.or(
        get(mask),
        i64.shiftLeft(
          i64.fromI32(i8x16.bitmask(i8x16.narrow(
            i16x8.narrow(get(pairs[0]), get(pairs[1])),
            i16x8.narrow(get(pairs[2]), get(pairs[3])),
          ))),
          i64.fromI32(i32.shiftRight(get(at), number(3))),
        ),
      ),
    ),
    add(at, number(128)),
  ];
  const putExceptions: Code[] = [
    set(count, i32.fromI64(i64.ones(get(mask)))),
    set(format, get(count)),
    set(behind, f64.const(2 ** SHORT_BITS)),
    when(i32.greater(i32.subtract(get(unit), get(low)), number(SHORT_BITS)), [
      set(format, i32.or(get(format), number(LONG))),
      set(behind, f64.const(2 ** LONG_BITS)),
    ]),
    repeat([
      set(index, i32.fromI64(i64.trailingZeros(get(mask)))),
      set(mask, i64.and(get(mask), i64.subtract(get(mask), i64.const(1)))),
      set(
        index,
        i32.or(
          get(index),
          i32.shiftLeft(
            i32.fromF64(f64.multiply(
              f64.load(SUMS, i32.shiftLeft(get(index), number(3))),
              get(behind),
            )),
            number(INDEX_BITS),
          ),
        ),
      ),
      when(i32.and(get(format), number(LONG)), [
        i32.store(0, get(to), get(index)),
        add(to, number(4)),
      ], [
        i32.store16(0, get(to), get(index)),
        add(to, number(2)),
      ]),
    ], i32.isZero(i64.isZero(get(mask)))),
    when(i32.and(get(to), number(2)), [
      i32.store16(0, get(to), number(0)),
      add(to, number(2)),
    ]),
  ];
  return {
    name: "encode",
    takes: [I32, I32, I32, I32, I32],
    gives: [I32],
    locals: [...new Array(10).fill(I32), I64, F64, F64, ...new Array(11).fill(V128)],
    body: [
      repeat([
        call(SUM_BLOCK, get(table), get(tableEnd), get(offset)),
        pop(low),
        pop(high),
        ...exponents(high, low),
        ...greatest.map((each) => set(each, floats(0))),
        ...overSums(at, (k) => {
          const each = greatest[k / 16 % 2];
          return set(each, f64x2.max(get(each), f64x2.abs(v128.load(SUMS + k, get(at)))));
        }),
        set(greatest[0], f64x2.max(get(greatest[0]), get(greatest[1]))),
        // The greatest sum, below 2^(e−1022) for its exponent field e, shall take 31 bits.
        set(
          unit,
          i32.subtract(
            i32.fromI64(i64.shiftRight(i64.bits(greatestLane), i64.const(52))),
            number(1022 + 31 - UNIT_OFFSET),
          ),
        ),
        set(unit, choose(i32.less(get(unit), get(low)), get(low), get(unit))),
        set(to, i32.add(get(out), number(4))),
        when(
          i32.or(
            i32.or(
              i32.equal(get(high), number(NOT_FINITE)),
              i32.greater(get(unit), number(255)),
            ),
            i32.greater(i32.subtract(get(high), get(low)), get(mostApart)),
          ),
          [
            set(format, number(INPUTS)),
            set(unit, number(0)),
            set(entry, get(table)),
            repeat([
              copy(get(to), i32.add(i32.load(0, get(entry)), get(offset)), number(BLOCK_BYTES)),
              add(to, number(BLOCK_BYTES)),
              add(entry, number(4)),
            ], i32.below(get(entry), get(tableEnd))),
          ],
          [
            set(scale, power(i32.subtract(number(UNIT_OFFSET), get(unit)), 0)),
            set(mask, i64.const(0)),
            set(at, number(0)),
            repeat(countUnits, i32.below(get(at), number(SUM_BYTES))),
            set(format, number(0)),
            add(to, number(BLOCK_BYTES)),
            when(
              i32.isZero(i64.isZero(get(mask))),
              putExceptions,
              [when(i64.isZero(i64.bits(greatestLane)), [
                set(format, number(ZERO)),
                set(to, i32.add(get(out), number(4))),
              ])],
            ),
          ],
        ),
        i32.store(
          0,
          get(out),
          i32.or(
            i32.or(get(format), i32.shiftLeft(get(high), number(8))),
            i32.or(
              i32.shiftLeft(get(low), number(16)),
              i32.shiftLeft(get(unit), number(24)),
            ),
          ),
        ),
        set(out, get(to)),
        add(offset, number(BLOCK_BYTES)),
        set(blocks, i32.subtract(get(blocks), number(1))),
      ], get(blocks)),
      get(out),
    ],
  };
}

function sum(): Func {
  const [table, tableEnd, partials, partialsEnd, out, blocks, mostApart] = localsOf(0, 7);
  const [errorScale] = localsOf(7, 1), [doubts] = localsOf(8, 1);
  const [block, high, low, entry, at, end, head, size, i, code] = localsOf(9, 10);
  const [found, certain] = localsOf(19, 2);
  const [unit, behind] = localsOf(21, 2), [vector, error] = localsOf(23, 2);
  const addTo = (offset: number, value: Code): Code =>
    v128.store(
      SUMS + offset,
      get(i),
      f64x2.add(v128.load(SUMS + offset, get(i)), value),
    );
  const counted = (offset: number) =>
    f64x2.multiply(
      f64x2.fromI32(v128.loadHalf(offset >> 1, half(at, i))),
      f64x2.splat(get(unit)),
    );
  const malformed = leave(number(-1));
  const needs = (bytes: Code) =>
    when(i32.above(bytes, i32.subtract(get(end), get(at))), [malformed]);
  const isInputs: Code[] = [
    set(size, i32.multiply(i32.load(8, get(entry)), number(BLOCK_BYTES))),
    needs(get(size)),
    set(size, i32.add(get(at), get(size))),
    repeat([
      ...overSums(
        i,
        (offset) => addTo(offset, f64x2.fromF32(v128.loadHalf(offset >> 1, half(at, i)))),
      ),
      add(at, number(BLOCK_BYTES)),
    ], i32.below(get(at), get(size))),
  ];
  // What is −0 in a partial sum leaves a −0 what it is; what is 0 makes it 0.
  const addExceptions: Code[] = [
    ...overSums(i, (offset) => v128.store(PARTIAL + offset, get(i), counted(offset))),
    add(at, number(BLOCK_BYTES)),
    set(size, i32.add(get(at), get(size))),
    set(behind, f64.multiply(get(unit), f64.const(2 ** -SHORT_BITS))),
    when(i32.and(get(head), number(LONG)), [
      set(behind, f64.multiply(get(unit), f64.const(2 ** -LONG_BITS))),
    ]),
    repeat([
      when(i32.and(get(head), number(LONG)), [
        set(code, i32.load(0, get(at))),
        add(at, number(4)),
      ], [
        set(code, i32.load16(0, get(at))),
        add(at, number(2)),
      ]),
      set(i, i32.shiftLeft(i32.and(get(code), number(BLOCK - 1)), number(3))),
      set(code, i32.shiftRight(get(code), number(INDEX_BITS))),
      when(get(code), [
        f64.store(
          PARTIAL,
          get(i),
          f64.add(
            f64.load(PARTIAL, get(i)),
            f64.multiply(f64.fromI32(get(code)), get(behind)),
          ),
        ),
      ], [f64.store(PARTIAL, get(i), f64.const(-0))]),
    ], i32.below(get(at), get(size))),
    set(at, i32.and(i32.add(get(at), number(3)), number(-4))),
    ...overSums(i, (offset) => addTo(offset, v128.load(PARTIAL + offset, get(i)))),
  ];
  const addPartial: Code[] = [
    set(at, i32.load(0, get(entry))),
    set(end, i32.load(4, get(entry))),
    needs(number(4)),
    set(head, i32.load(0, get(at))),
    add(at, number(4)),
    set(high, choose(i32.greater(field(head, 8), get(high)), field(head, 8), get(high))),
    when(field(head, 16), [
      set(low, choose(i32.less(field(head, 16), get(low)), field(head, 16), get(low))),
    ]),
    when(
      i32.equal(field(head, 0), number(INPUTS)),
      isInputs,
      [when(
        i32.equal(field(head, 0), number(ZERO)),
        overSums(i, (offset) => addTo(offset, floats(0))),
        [
          set(size, i32.and(get(head), number(EXCEPTIONS))),
          when(i32.above(get(size), number(BLOCK)), [malformed]),
          set(
            size,
            i32.shiftLeft(
              get(size),
              i32.add(number(1), i32.and(i32.shiftRight(get(head), number(7)), number(1))),
            ),
          ),
          needs(i32.add(i32.and(i32.add(get(size), number(3)), number(-4)), number(BLOCK_BYTES))),
          set(unit, power(i32.shiftRight(get(head), number(24)), -UNIT_OFFSET)),
          when(get(size), addExceptions, [
            ...overSums(i, (offset) => addTo(offset, counted(offset))),
            add(at, number(BLOCK_BYTES)),
          ]),
        ],
      )],
    ),
    i32.store(0, get(entry), get(at)),
    add(entry, number(ENTRY_BYTES)),
  ];
  /** Whether all sums round to the same float32, wherever the true values are within the error. */
  const isCertain = (offset: number): Code[] => [
    set(vector, v128.load(SUMS + offset, get(i))),
    set(vector, f32x4.fromF64(f64x2.add(get(vector), get(error)))),
    set(
      certain,
      i32.and(
        get(certain),
        i32x4.bitmask(v128.and(
          f32x4.equal(
            get(vector),
            f32x4.fromF64(f64x2.subtract(v128.load(SUMS + offset, get(i)), get(error))),
          ),
          f32x4.unequal(get(vector), floats(0)),
        )),
      ),
    ),
  ];
  return {
    name: "sum",
    takes: [I32, I32, I32, I32, I32, I32, I32, F64, I32],
    gives: [I32],
    locals: [...new Array(12).fill(I32), F64, F64, V128, V128],
    body: [
      repeat([
        call(
          SUM_BLOCK,
          get(table),
          get(tableEnd),
          i32.multiply(get(block), number(BLOCK_BYTES)),
        ),
        pop(low),
        pop(high),
        ...exponents(high, low),
        when(i32.isZero(get(low)), [set(low, number(NOT_FINITE))]),
        set(entry, get(partials)),
        when(i32.below(get(entry), get(partialsEnd)), [
          repeat(addPartial, i32.below(get(entry), get(partialsEnd))),
        ]),
        set(certain, number(3)),
        when(i32.greater(i32.subtract(get(high), get(low)), get(mostApart)), [
          set(error, f64x2.splat(f64.multiply(get(errorScale), power(get(high), -UNIT_OFFSET)))),
          ...overSums(i, (offset) => isCertain(offset).flat()),
        ]),
        when(
          i32.or(
            i32.equal(get(high), number(NOT_FINITE)),
            i32.isZero(i32.equal(get(certain), number(3))),
          ),
          [
            i32.store(0, get(doubts), get(block)),
            add(doubts, number(4)),
            add(found, number(1)),
          ],
          overSums(i, (offset) =>
            v128.storeHalf(
              offset >> 1,
              half(out, i),
              f32x4.fromF64(v128.load(SUMS + offset, get(i))),
            )),
        ),
        add(out, number(BLOCK_BYTES)),
        add(block, number(1)),
      ], i32.below(get(block), get(blocks))),
      get(found),
    ],
  };
}

let compiled: WebAssembly.Module | undefined;

/** The kernels on a memory. */
export function partialsKernels(memory: WebAssembly.Memory): PartialsKernels {
  compiled ??= assemble([sumBlock(), encode(), sum()]);
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
  return exports as unknown as PartialsKernels;
}
