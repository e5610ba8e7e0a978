/**
 * A WebAssembly SIMD kernel that sums N float32 inputs in the order of ranks, in float64, rounding
 * once: the same bits as `foldInputs`, several times as fast.
 *
 * @module
 */

import {
  add,
  assemble,
  type Code,
  f32x4,
  f64x2,
  get,
  I32,
  i32,
  localsOf,
  repeat,
  set,
  V128,
  v128,
  when,
} from "../base/wasm.ts";

/** Floats summed in one pass of the kernel's loop; lengths are rounded up to a multiple of it. */
export const KERNEL_FLOATS = 16;

/**
 * Sums `inputs` float32 arrays.
 *
 * @param table address of their addresses, as u32
 * @param inputs how many there are, at least 1
 * @param out address of the result; may be that of an input
 * @param bytes length of each in bytes, a positive multiple of 4 × {@linkcode KERNEL_FLOATS}
 */
export type SumKernel = (table: number, inputs: number, out: number, bytes: number) => void;

/** The kernel's body: parameters are locals 0 to 3, then i32 locals, then accumulators. */
function body(): Code[] {
  const [table, inputs, out, bytes, offset, entry, tableEnd, input] = localsOf(0, 8);
  const pairs = localsOf(8, KERNEL_FLOATS / 2);
  const loaded = (i: number) => f64x2.fromF32(v128.loadHalf(8 * i, get(input)));
  const findInput = set(input, i32.add(i32.load(0, get(entry)), get(offset)));
  return [
    set(tableEnd, i32.add(get(table), i32.shiftLeft(get(inputs), i32.const(2)))),
    repeat([
      set(entry, get(table)),
      findInput,
      ...pairs.map((acc, i) => set(acc, loaded(i))),
      add(entry, i32.const(4)),
      when(i32.below(get(entry), get(tableEnd)), [
        repeat([
          findInput,
          ...pairs.map((acc, i) => set(acc, f64x2.add(get(acc), loaded(i)))),
          add(entry, i32.const(4)),
        ], i32.below(get(entry), get(tableEnd))),
      ]),
      ...pairs.map((acc, i) =>
        v128.storeHalf(8 * i, i32.add(get(out), get(offset)), f32x4.fromF64(get(acc)))
      ),
      add(offset, i32.const(4 * KERNEL_FLOATS)),
    ], i32.below(get(offset), get(bytes))),
  ];
}

let compiled: WebAssembly.Module | undefined;

/** The kernel on a memory. */
export function sumKernel(memory: WebAssembly.Memory): SumKernel {
  compiled ??= assemble([{
    name: "sum",
    takes: [I32, I32, I32, I32],
    gives: [],
    locals: [I32, I32, I32, I32, ...new Array(KERNEL_FLOATS / 2).fill(V128)],
    body: body(),
  }]);
  return new WebAssembly.Instance(compiled, { env: { memory } }).exports.sum as SumKernel;
}
