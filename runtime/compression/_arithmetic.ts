/**
 * Arithmetic on whole tiles: what stands between the codecs in a compressed reduction.
 *
 * @module
 */

import {
  add,
  type Code,
  f32x4,
  f64x2,
  type Func,
  get,
  I32,
  i32,
  i32x4,
  localsOf,
  repeat,
  set,
  V128,
  v128,
} from "../base/wasm.ts";

/** Numbers that a kernel takes at once; lengths are multiples of it. */
const STEP = 16;

const [from, to, end, found] = localsOf(0, 4);
const takes = [I32, I32, I32];
/** Where the vectors lie that hold so many bytes of a step's numbers. */
const offsets = (bytes: number) => Array.from({ length: 4 * STEP / bytes }, (_, i) => bytes * i);

/** From numbers of `read` bytes at one address to numbers of `written` bytes at another, to an end of these. */
function overAll(name: string, [read, written]: readonly number[], each: readonly Code[]): Func {
  return {
    name,
    takes,
    gives: [],
    locals: [],
    body: [repeat([
      ...each,
      add(from, i32.const(read * STEP)),
      add(to, i32.const(written * STEP)),
    ], i32.below(get(to), get(end)))],
  };
}

const elementwise = (name: string, op: (...operands: Code[]) => Code) =>
  overAll(
    name,
    [4, 4],
    offsets(16).map((at) =>
      v128.store(at, get(to), op(v128.load(at, get(to)), v128.load(at, get(from))))
    ),
  );

const wide = (at: number) => f64x2.fromF32(v128.loadHalf(at, get(from)));

/** How many numbers from an address to an end have magnitudes whose bits are at least a number. */
function countAtLeast(): Func {
  const [at, end, least] = [from, to, 2];
  const magnitude = (offset: number) =>
    v128.and(v128.load(offset, get(at)), i32x4.splat(i32.const(0x7fffffff)));
  const [a, b, c, d] = [0, 1, 2, 3].map((place) => i32x4.extract(get(found), place));
  return {
    name: "countAtLeast",
    takes,
    gives: [I32],
    locals: [V128],
    body: [
      repeat([
        // A comparison that holds is −1.
        ...offsets(16).map((offset) => {
          const isAtLeast = i32x4.atLeast(magnitude(offset), i32x4.splat(get(least)));
          return set(found, i32x4.subtract(get(found), isAtLeast));
        }),
        add(at, i32.const(4 * STEP)),
      ], i32.below(get(at), get(end))),
      i32.add(i32.add(a, b), i32.add(c, d)),
    ],
  };
}

/** The kernels, by the names under which they are exported. */
export const ARITHMETIC: readonly Func[] = [
  /** to += from, in float32. */
  elementwise("add", f32x4.add),
  /** to −= from, in float32. */
  elementwise("subtract", f32x4.subtract),
  /** Float64 at `to` become the float32 at `from`. */
  overAll("widen", [4, 8], offsets(8).map((at) => v128.store(2 * at, get(to), wide(at)))),
  /** And are added to. */
  overAll(
    "accumulate",
    [4, 8],
    offsets(8).map((at) =>
      v128.store(2 * at, get(to), f64x2.add(v128.load(2 * at, get(to)), wide(at)))
    ),
  ),
  /** And are rounded to float32. */
  overAll(
    "round",
    [8, 4],
    offsets(8).map((at) =>
      v128.storeHalf(at, get(to), f32x4.fromF64(v128.load(2 * at, get(from))))
    ),
  ),
  countAtLeast(),
];
