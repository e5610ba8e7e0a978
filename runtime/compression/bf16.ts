import { i32, i32x4, v128 } from "../base/wasm.ts";
import { halves } from "./_halves.ts";
import type { Codec } from "./codec.ts";

const bits32 = (bits: number) => i32x4.splat(i32.const(bits));
const HIGH = i32.const(16);

/**
 * The upper half of a float32, rounded to the nearest, ties to even: 8 bits of fraction and float32's range.
 * Infinities stay; a NaN becomes the quiet NaN of its sign; what is beyond the largest becomes an infinity.
 */
export const bf16: Codec = halves({
  name: "bf16",
  code: 1,
  encode: (bits, magnitude) => {
    const upper = i32x4.shiftRight(bits, HIGH), stays = v128.and(upper, bits32(1));
    const rounded = i32x4.add(i32x4.add(bits, bits32(0x7fff)), stays);
    const nan = v128.or(v128.and(upper, bits32(0x8000)), bits32(0x7fc0));
    const isNan = i32x4.greater(magnitude, bits32(0x7f800000));
    return v128.select(nan, i32x4.shiftRight(rounded, HIGH), isNan);
  },
  decode: (half) => i32x4.shiftLeft(half, HIGH),
});
