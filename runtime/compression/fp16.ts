import { op } from "./_assembler.ts";
import { halves } from "./_halves.ts";
import type { BlockFormat } from "./codec.ts";

const and = op.simd(0x4e), or = op.simd(0x50), select = op.simd(0x52), isMore = op.simd(0x3b);
const add = op.simd(0xae), subtract = op.simd(0xb1), shiftLeft = op.simd(0xab);
const shiftRight = op.simd(0xad), addFloats = op.simd(0xe4), multiply = op.simd(0xe6);

/** The exponent of binary16's smallest normal number, 2⁻¹⁴, and that beyond its largest, 2¹⁶. */
const SMALLEST_NORMAL = 113 << 23, TOO_LARGE = 143 << 23;
/** Where a float32's last bit is worth 2⁻²⁴, as binary16's subnormals are: adding ½ rounds to them. */
const HALF = 126 << 23;
/** What exponents differ by. */
const REBIAS = 112 << 23;
/** 2¹¹², by which a fraction shifted into place is too small. */
const UNBIAS = 239 << 23;

/**
 * IEEE 754's binary16, rounded to the nearest, ties to even: 11 bits of fraction, from 6·10⁻⁸ to 65504.
 * Infinities stay; a NaN becomes the quiet NaN of its sign; what rounds to more than the largest becomes an
 * infinity, and what is below half the smallest a zero.
 */
export const fp16: BlockFormat = halves({
  name: "fp16",
  code: 2,
  encode: (bits, magnitude, spare) => [
    // Subnormal: the processor rounds the sum with ½.
    ...[...op.get(magnitude), ...op.splat(HALF), ...addFloats, ...op.splat(HALF), ...subtract],
    // Normal: bits + 0xfff + (the lowest bit that stays), the exponent moved.
    ...[...op.get(magnitude), ...op.constant(13), ...shiftRight, ...op.splat(1), ...and],
    ...[...op.get(magnitude), ...op.splat(0xfff - REBIAS), ...add, ...add],
    ...[...op.constant(13), ...shiftRight],
    ...[...op.splat(SMALLEST_NORMAL), ...op.get(magnitude), ...isMore, ...select, ...op.set(spare)],
    // Infinite, or NaN.
    ...[...op.splat(0x7e00), ...op.splat(0x7c00)],
    ...[...op.get(magnitude), ...op.splat(0x7f800000), ...isMore, ...select],
    ...[...op.get(spare), ...op.get(magnitude), ...op.splat(TOO_LARGE - 1), ...isMore, ...select],
    ...[...op.get(bits), ...op.constant(16), ...shiftRight, ...op.splat(0x8000), ...and, ...or],
  ],
  decode: (half, spare) => [
    ...[...op.get(half), ...op.splat(0x7fff), ...and, ...op.constant(13), ...shiftLeft],
    ...[...op.splat(UNBIAS), ...multiply, ...op.set(spare)],
    ...[...op.get(spare), ...op.splat(TOO_LARGE - 1), ...isMore, ...op.splat(0x7f800000), ...and],
    ...[...op.get(spare), ...or],
    ...[...op.get(half), ...op.splat(0x8000), ...and, ...op.constant(16), ...shiftLeft, ...or],
  ],
});
