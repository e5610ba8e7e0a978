import { op } from "./_assembler.ts";
import { blockScaled } from "./_block_scaled.ts";
import type { BlockFormat } from "./codec.ts";

const and = op.simd(0x4e), or = op.simd(0x50), xor = op.simd(0x51), subtractBytes = op.simd(0x71);
const shiftLeft16 = op.simd(0x8b), shiftRight16 = op.simd(0x8d), narrow16 = op.simd(0x66);
const widenLow8 = op.simd(0x89);

/**
 * 128 numbers in a float32 scale and as many signed nibbles of at most ±7, the first of two in the low half of
 * a byte: 0.133 of float32's bytes, and an error of at most 1/14 of a block's largest magnitude.
 */
export const int4: BlockFormat = blockScaled({
  name: "int4",
  code: 4,
  block: 128,
  most: 7,
  bits: 4,
  pack: (spare) => [
    ...[...op.splat(0x0f0f0f0f), ...and, ...op.tee(spare)],
    ...[...op.get(spare), ...op.constant(4), ...shiftRight16, ...or],
    ...[...op.splat(0x00ff00ff), ...and, ...op.tee(spare), ...op.get(spare), ...narrow16],
    ...op.storeHalf(),
  ],
  unpack: (spare) => [
    ...[...op.loadHalf(), ...widenLow8, ...op.tee(spare)],
    ...[
      ...op.get(spare),
      ...op.constant(4),
      ...shiftLeft16,
      ...or,
      ...op.splat(0x0f0f0f0f),
      ...and,
    ],
    ...[...op.splat(0x08080808), ...xor, ...op.splat(0x08080808), ...subtractBytes],
  ],
});
