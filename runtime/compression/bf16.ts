import { op } from "./_assembler.ts";
import { halves } from "./_halves.ts";
import type { BlockFormat } from "./codec.ts";

const and = op.simd(0x4e), or = op.simd(0x50), select = op.simd(0x52), isMore = op.simd(0x3b);
const add = op.simd(0xae), shiftLeft = op.simd(0xab), shiftRight = op.simd(0xad);

/**
 * The upper half of a float32, rounded to the nearest, ties to even: 8 bits of fraction and float32's range.
 * Infinities stay; a NaN becomes the quiet NaN of its sign; what is beyond the largest becomes an infinity.
 */
export const bf16: BlockFormat = halves({
  name: "bf16",
  code: 1,
  // bits + 0x7fff + (the lowest bit that stays), but for NaNs
  encode: (bits, magnitude, spare) => [
    ...[...op.get(bits), ...op.splat(0x7fff), ...add],
    ...[...op.get(bits), ...op.constant(16), ...shiftRight, ...op.splat(1), ...and, ...add],
    ...[...op.constant(16), ...shiftRight, ...op.set(spare)],
    ...[...op.get(bits), ...op.constant(16), ...shiftRight, ...op.splat(0x8000), ...and],
    ...[...op.splat(0x7fc0), ...or, ...op.get(spare)],
    ...[...op.get(magnitude), ...op.splat(0x7f800000), ...isMore, ...select],
  ],
  decode: (half) => [...op.get(half), ...op.constant(16), ...shiftLeft],
});
