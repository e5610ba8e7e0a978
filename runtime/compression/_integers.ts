/**
 * Kernels that write sums as integers of as few bits as they need, and read them.
 *
 * @module
 */

import {
  add,
  choose,
  type Code,
  f32,
  F64,
  f64,
  type Func,
  get,
  I32,
  i32,
  I64,
  i64,
  localsOf,
  repeat,
  set,
  when,
} from "../base/wasm.ts";

const ONE = i32.const(1);
const place = (from: number, index: number, log: number) =>
  i32.add(get(from), i32.shiftLeft(get(index), i32.const(log)));

/**
 * Writes float64 that are integers times a unit: the exponent of the unit, the bits of an integer, and the integers,
 * two's complement, the lowest bits first; returns the address behind the last byte. `inverse` is one by the unit;
 * `spare` is room for 32 bits each.
 */
function pack(): Func {
  const [from, count, to, exponent, spare] = localsOf(0, 5), inverse = 5;
  const [i, value, all, any, bits, filled] = localsOf(6, 6), word = 12;
  return {
    name: "pack",
    takes: [I32, I32, I32, I32, I32, F64],
    gives: [I32],
    locals: [I32, I32, I32, I32, I32, I32, I64],
    body: [
      repeat([
        set(
          value,
          i32.fromSignedF64(f64.multiply(f64.load(0, place(from, i, 3)), get(inverse))),
        ),
        i32.store(0, place(spare, i, 2), get(value)),
        set(any, i32.or(get(any), get(value))),
        // What differs from the sign.
        set(
          all,
          i32.or(
            get(all),
            i32.xor(get(value), i32.shiftRightSigned(get(value), i32.const(31))),
          ),
        ),
        add(i, ONE),
      ], i32.below(get(i), get(count))),
      set(
        bits,
        choose(get(any), i32.subtract(i32.const(33), i32.leadingZeros(get(all))), i32.const(0)),
      ),
      i32.store8(0, get(to), get(exponent)),
      i32.store8(1, get(to), get(bits)),
      add(to, i32.const(2)),
      when(get(bits), [
        set(i, i32.const(0)),
        repeat([
          set(
            value,
            i32.and(
              i32.load(0, place(spare, i, 2)),
              i32.subtract(i32.shiftLeft(ONE, get(bits)), ONE),
            ),
          ),
          set(
            word,
            i64.or(
              get(word),
              i64.shiftLeft(i64.fromI32(get(value)), i64.fromI32(get(filled))),
            ),
          ),
          add(filled, get(bits)),
          when(i32.above(get(filled), i32.const(31)), [
            i32.store(0, get(to), i32.fromI64(get(word))),
            add(to, i32.const(4)),
            set(word, i64.shiftRight(get(word), i64.const(32))),
            add(filled, i32.const(-32)),
          ]),
          add(i, ONE),
        ], i32.below(get(i), get(count))),
        i32.store(0, get(to), i32.fromI64(get(word))),
        add(to, i32.shiftRight(i32.add(get(filled), i32.const(7)), i32.const(3))),
      ]),
      get(to),
    ],
  };
}

/** Reads integers of at most 24 bits and a unit of at most 2¹²⁷, given by its exponent, as float32. */
function unpack(): Func {
  const [from, count, to, exponent, bits] = localsOf(0, 5);
  const [i, bit, unused, some] = localsOf(5, 4);
  const word: Code = i64.shiftRight(
    i64.load(0, i32.add(get(from), i32.shiftRight(get(bit), i32.const(3)))),
    i64.fromI32(i32.and(get(bit), i32.const(7))),
  );
  const integer = i32.multiply(
    i32.shiftRightSigned(i32.shiftLeft(i32.fromI64(word), get(unused)), get(unused)),
    get(some),
  );
  const unit = f32.fromBits(i32.shiftLeft(get(exponent), i32.const(23)));
  return {
    name: "unpack",
    takes: [I32, I32, I32, I32, I32],
    gives: [],
    locals: [I32, I32, I32, I32],
    body: [
      set(unused, i32.subtract(i32.const(32), get(bits))),
      set(some, i32.isZero(i32.isZero(get(bits)))), // a shift by 32 would be none
      repeat([
        f32.store(0, place(to, i, 2), f32.multiply(f32.fromI32(integer), unit)),
        add(bit, get(bits)),
        add(i, ONE),
      ], i32.below(get(i), get(count))),
    ],
  };
}

/** The kernels, by the names under which they are exported. */
export const INTEGERS: readonly Func[] = [pack(), unpack()];
