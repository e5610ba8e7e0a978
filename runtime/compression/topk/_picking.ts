/**
 * Kernels that pick the largest magnitudes of a tile, write down where they were, and put them back there.
 *
 * @module
 */

import {
  add,
  type Code,
  copy,
  fill,
  type Func,
  get,
  i16x8,
  I32,
  i32,
  i32x4,
  I64,
  i64,
  i8x16,
  localsOf,
  repeat,
  set,
  V128,
  v128,
  when,
} from "../../base/wasm.ts";

/** Bytes of the numbers that are looked at together, and where their vectors begin. */
const STEP = 64, VECTORS = [0, 16, 32, 48];
const ONE = i32.const(1);

const splat = i32x4.splat;
const magnitude = (offset: number, at: number) =>
  v128.and(v128.load(offset, get(at)), splat(i32.const(0x7fffffff)));
/** −1 for each magnitude that is below a number. */
const isBelow = (least: number, of: Code) => i32x4.greater(splat(get(least)), of);

/**
 * How many magnitudes have bits that are at least `probe`, of numbers from an address to an end; leaves the least of
 * them and the greatest of the others at an address.
 */
function count(): Func {
  const [at, end, probe, to, atLeast, least, greatest, found, each, below] = localsOf(0, 10);
  const across = (over: (a: Code, b: Code) => Code, vector: number): Code =>
    [[2, 3, 0, 1], [1, 0, 3, 2]].flatMap((places) => {
      const bytes = places.flatMap((place) => [0, 1, 2, 3].map((byte) => 4 * place + byte));
      return set(vector, over(get(vector), v128.shuffle(get(vector), get(vector), ...bytes)));
    });
  const placed = (vector: number, place: number) => i32x4.extract(get(vector), place);
  return {
    name: "count",
    takes: [I32, I32, I32, I32],
    gives: [I32],
    locals: [I32, V128, V128, V128, V128, V128],
    body: [
      set(atLeast, i32.shiftRight(i32.subtract(get(end), get(at)), i32.const(2))),
      set(least, splat(i32.const(-1))),
      repeat([
        ...VECTORS.flatMap((offset) => [
          set(each, magnitude(offset, at)),
          set(below, isBelow(probe, get(each))),
          // A comparison that holds is −1.
          set(found, i32x4.add(get(found), get(below))),
          set(least, i32x4.min(get(least), v128.or(get(each), get(below)))),
          set(greatest, i32x4.max(get(greatest), v128.and(get(each), get(below)))),
        ]),
        add(at, i32.const(STEP)),
      ], i32.below(get(at), get(end))),
      across(i32x4.min, least),
      across(i32x4.max, greatest),
      i32.store(0, get(to), placed(least, 0)),
      i32.store(4, get(to), placed(greatest, 0)),
      ...[0, 1, 2, 3].map((place) => add(atLeast, placed(found, place))),
      get(atLeast),
    ],
  };
}

const scaled = (value: Code, log: number) => i32.shiftLeft(value, i32.const(log));
const number = (from: number, index: number) => i32.add(get(from), scaled(get(index), 2));
const half = (from: number, index: number) => i32.add(get(from), scaled(get(index), 1));
const sizeOf = (value: Code) => i32.and(value, i32.const(0x7fffffff));

/**
 * Copies numbers whose magnitudes are above `least`, and the first `ties` that have it, with zeros behind them up to a
 * whole step, and their indices as 16 bits; stops, within a step, after `most`. How many there are.
 */
function gather(): Func {
  const [from, end, least, ties, most, to, indices] = localsOf(0, 7);
  const [at, mask, j, index, value] = localsOf(7, 5);
  const [a, b, c, d] = VECTORS.map((offset) => isBelow(least, magnitude(offset, at)));
  const below = i8x16.bitmask(i8x16.narrow(i16x8.narrow(a, b), i16x8.narrow(c, d)));
  const first = i32.shiftRight(i32.subtract(get(at), get(from)), i32.const(2));
  return {
    name: "gather",
    takes: [I32, I32, I32, I32, I32, I32, I32],
    gives: [I32],
    locals: [I32, I32, I32, I32, I32],
    body: [
      set(at, get(from)),
      repeat([
        set(mask, i32.subtract(i32.const(0xffff), below)),
        when(get(mask), [repeat([
          set(index, i32.add(first, i32.trailingZeros(get(mask)))),
          set(value, i32.load(0, number(from, index))),
          i32.store(0, number(to, j), get(value)),
          i32.store16(0, half(indices, j), get(index)),
          add(j, i32.isZero(i32.below(sizeOf(get(value)), get(least)))),
          when(i32.equal(sizeOf(get(value)), get(least)), [
            add(ties, i32.const(-1)),
            add(least, i32.isZero(get(ties))), // after the last, only what is above counts
          ]),
          set(mask, i32.and(get(mask), i32.subtract(get(mask), ONE))),
        ], get(mask))]),
        add(at, i32.const(STEP)),
      ], i32.and(i32.below(get(at), get(end)), i32.below(get(j), get(most)))),
      fill(number(to, j), i32.const(0), i32.const(STEP)),
      get(j),
    ],
  };
}

/**
 * Of so many gathered numbers copies those whose magnitudes are above `least`, and the first `ties` that have it; what
 * is left of their indices is moved to the front.
 */
function pick(): Func {
  const [from, indices, count, least, ties, to, i, j, value, isTie] = localsOf(0, 10);
  return {
    name: "pick",
    takes: [I32, I32, I32, I32, I32, I32],
    gives: [],
    locals: [I32, I32, I32, I32],
    body: [repeat([
      set(value, i32.load(0, number(from, i))),
      set(isTie, i32.equal(sizeOf(get(value)), get(least))),
      i32.store(0, number(to, j), get(value)),
      i32.store16(0, half(indices, j), i32.load16(0, half(indices, i))),
      add(
        j,
        i32.or(
          i32.above(sizeOf(get(value)), get(least)),
          i32.and(get(isTie), i32.greater(get(ties), i32.const(0))),
        ),
      ),
      set(ties, i32.subtract(get(ties), get(isTie))),
      add(i, ONE),
    ], i32.below(get(i), get(count)))],
  };
}

/** Where a bit is: the address of its byte, and its place there. */
const byteOf = (from: number, bit: Code) => i32.add(get(from), i32.shiftRight(bit, i32.const(3)));
const placeOf = (bit: Code) => i32.and(bit, i32.const(7));
/** So many bits, all set. */
const ones = (bits: number) => i32.subtract(i32.shiftLeft(ONE, get(bits)), ONE);

/** Writes indices into zeroed bits, the `low` lowest bits of each together. */
function write(): Func {
  const [indices, picks, low, bits, j, index, bit] = localsOf(0, 7);
  const setBits = (value: Code): Code =>
    i32.store(
      0,
      byteOf(bits, get(bit)),
      i32.or(i32.load(0, byteOf(bits, get(bit))), i32.shiftLeft(value, placeOf(get(bit)))),
    );
  const high = i32.shiftRight(get(index), get(low));
  return {
    name: "write",
    takes: [I32, I32, I32, I32],
    gives: [],
    locals: [I32, I32, I32],
    body: [repeat([
      set(index, i32.load16(0, half(indices, j))),
      set(bit, i32.multiply(get(j), get(low))),
      setBits(i32.and(get(index), ones(low))),
      set(bit, i32.add(i32.add(i32.multiply(get(picks), get(low)), get(j)), high)),
      setBits(ONE),
      add(j, ONE),
    ], i32.below(get(j), get(picks)))],
  };
}

/**
 * Moves numbers from the front to where they have been picked, whatever the bits say: never behind 4,096; zeros
 * stand between them. `spare` is room for them.
 */
function put(): Func {
  const [from, end, picks, low, bits, bitsEnd, spare] = localsOf(0, 7);
  const [at, skipped, j, position, word] = localsOf(7, 5);
  const lowBits = i32.multiply(get(j), get(low));
  const index = i32.or(
    i32.shiftLeft(i32.subtract(get(position), get(j)), get(low)),
    i32.and(
      i32.shiftRight(i32.load(0, byteOf(bits, lowBits)), placeOf(lowBits)),
      ones(low),
    ),
  );
  const isUnfinished = i32.below(get(j), get(picks));
  return {
    name: "put",
    takes: [I32, I32, I32, I32, I32, I32, I32],
    gives: [],
    locals: [I32, I32, I32, I32, I64],
    body: [
      copy(get(spare), get(from), scaled(get(picks), 2)),
      fill(get(from), i32.const(0), i32.subtract(get(end), get(from))),
      // The high parts begin within a byte: what is before them there is not theirs.
      set(skipped, i32.multiply(get(picks), get(low))),
      set(at, byteOf(bits, get(skipped))),
      set(skipped, placeOf(get(skipped))),
      set(
        word,
        i64.and(
          i64.load(0, get(at)),
          i64.shiftLeft(i64.const(-1), i64.fromI32(get(skipped))),
        ),
      ),
      set(skipped, i32.subtract(i32.const(0), get(skipped))),
      repeat([
        when(i32.isZero(i64.isZero(get(word))), [repeat([
          set(position, i32.add(get(skipped), i32.fromI64(i64.trailingZeros(get(word))))),
          i32.store(
            0,
            i32.add(get(from), scaled(i32.and(index, i32.const(4095)), 2)),
            i32.load(0, i32.add(get(spare), scaled(get(j), 2))),
          ),
          add(j, ONE),
          set(word, i64.and(get(word), i64.subtract(get(word), i64.const(1)))),
        ], i32.and(isUnfinished, i32.isZero(i64.isZero(get(word)))))]),
        add(at, i32.const(8)),
        add(skipped, i32.const(64)),
        set(word, i64.load(0, get(at))),
      ], i32.and(isUnfinished, i32.below(get(at), get(bitsEnd)))),
    ],
  };
}

/** The kernels, by the names under which they are exported. */
export const PICKING: readonly Func[] = [count(), gather(), pick(), write(), put()];
