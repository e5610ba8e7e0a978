import { f32x4, get, i32, i32x4, set, v128 } from "../base/wasm.ts";
import { halves } from "./_halves.ts";
import type { Codec } from "./codec.ts";

/** The exponent of binary16's smallest normal number, 2⁻¹⁴, and that beyond its largest, 2¹⁶. */
const SMALLEST_NORMAL = 113 << 23, TOO_LARGE = 143 << 23;
/** Where a float32's last bit is worth 2⁻²⁴, as binary16's subnormals are: adding ½ rounds to them. */
const HALF = 126 << 23;
/** What exponents differ by. */
const REBIAS = 112 << 23;
/** 2¹¹², by which a fraction shifted into place is too small. */
const UNBIAS = (239 << 23) | 0;
const INFINITE = 0x7f800000;

const bits32 = (bits: number) => i32x4.splat(i32.const(bits));
const SHIFT = i32.const(13), HIGH = i32.const(16);

/**
 * IEEE 754's binary16, rounded to the nearest, ties to even: 11 bits of fraction, from 6·10⁻⁸ to 65504.
 * Infinities stay; a NaN becomes the quiet NaN of its sign; what rounds to more than the largest becomes an
 * infinity, and what is below half the smallest a zero.
 */
export const fp16: Codec = halves({
  name: "fp16",
  code: 2,
  encode: (bits, magnitude) => {
    // The processor rounds the sum with ½.
    const subnormal = i32x4.subtract(f32x4.add(magnitude, bits32(HALF)), bits32(HALF));
    const stays = v128.and(i32x4.shiftRight(magnitude, SHIFT), bits32(1));
    const rounded = i32x4.add(i32x4.add(magnitude, bits32(0xfff - REBIAS)), stays);
    const isSubnormal = i32x4.greater(bits32(SMALLEST_NORMAL), magnitude);
    const finite = v128.select(subnormal, i32x4.shiftRight(rounded, SHIFT), isSubnormal);
    const isNan = i32x4.greater(magnitude, bits32(INFINITE));
    const endless = v128.select(bits32(0x7e00), bits32(0x7c00), isNan);
    const isFinite = i32x4.greater(bits32(TOO_LARGE), magnitude);
    const sign = v128.and(i32x4.shiftRight(bits, HIGH), bits32(0x8000));
    return v128.or(v128.select(finite, endless, isFinite), sign);
  },
  decode: (half, spare) => {
    const shifted = i32x4.shiftLeft(v128.and(half, bits32(0x7fff)), SHIFT);
    const isEndless = i32x4.greater(get(spare), bits32(TOO_LARGE - 1));
    const sign = i32x4.shiftLeft(v128.and(half, bits32(0x8000)), HIGH);
    return [
      ...set(spare, f32x4.multiply(shifted, bits32(UNBIAS))),
      ...v128.or(v128.or(get(spare), v128.and(isEndless, bits32(INFINITE))), sign),
    ];
  },
});
