/**
 * The kernel that adds inputs and exact partial sums.
 *
 * @module
 */

import {
  add,
  call,
  choose,
  type Code,
  f32x4,
  F64,
  f64,
  f64x2,
  type Func,
  get,
  I32,
  i32,
  i32x4,
  leave,
  localsOf,
  pop,
  repeat,
  set,
  V128,
  v128,
  when,
} from "../base/wasm.ts";
import {
  BLOCK,
  BLOCK_BYTES,
  ENTRY_BYTES,
  EXCEPTIONS,
  exponents,
  field,
  floats,
  half,
  INDEX_BITS,
  INPUTS,
  LONG,
  LONG_BITS,
  NOT_FINITE,
  number,
  overSums,
  PARTIAL,
  power,
  SHORT_BITS,
  SUM_BLOCK,
  SUMS,
  UNIT_OFFSET,
  ZERO,
} from "./_partials_block.ts";

/** The function of {@linkcode PartialsKernels.sum}. */
export function adder(): Func {
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
