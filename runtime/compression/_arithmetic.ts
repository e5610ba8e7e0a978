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
  localsOf,
  repeat,
  v128,
} from "../base/wasm.ts";

/** Numbers that a kernel takes at once; lengths are multiples of it. */
const STEP = 16;

const [from, to, end] = localsOf(0, 3);
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
];
