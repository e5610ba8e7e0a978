/**
 * The kernel that encodes an exact partial sum.
 *
 * @module
 */

import {
  add,
  call,
  choose,
  type Code,
  copy,
  F64,
  f64,
  f64x2,
  type Func,
  get,
  i16x8,
  I32,
  i32,
  I64,
  i64,
  i64x2,
  i8x16,
  localsOf,
  pop,
  repeat,
  set,
  V128,
  v128,
  when,
} from "../base/wasm.ts";
import {
  BLOCK_BYTES,
  exponents,
  floats,
  half,
  INDEX_BITS,
  INPUTS,
  LONG,
  LONG_BITS,
  NEGATIVE_ZERO,
  NOT_FINITE,
  number,
  overSums,
  power,
  SHORT_BITS,
  SUM_BLOCK,
  SUM_BYTES,
  SUMS,
  UNIT_OFFSET,
  ZERO,
} from "./_partials_block.ts";

/** Added to a whole number of up to 51 bits, leaves its low 32 in the float64's low word. */
const LOW_WORD = floats(2 ** 52 + 2 ** 51);
/** The low words of the float64 of two vectors. */
const lowWords = (a: Code, b: Code) =>
  v128.shuffle(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
/** The function of {@linkcode PartialsKernels.encode}. */
export function encoder(): Func {
  const [table, tableEnd, out, blocks, mostApart] = localsOf(0, 5);
  const [offset, high, low, unit, at, to, count, format, index, entry] = localsOf(5, 10);
  const [mask] = localsOf(15, 1), [scale, behind] = localsOf(16, 2);
  const [vector] = localsOf(18, 1), greatest = localsOf(19, 2);
  const whole = localsOf(21, 2), rest = localsOf(23, 2), pairs = localsOf(25, 4);
  const greatestSum = f64.max(
    f64x2.extract(get(greatest[0]), 0),
    f64x2.extract(get(greatest[0]), 1),
  );
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
            i32.fromI64(i64.shiftRight(i64.bits(greatestSum), i64.const(52))),
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
              [when(i64.isZero(i64.bits(greatestSum)), [
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
