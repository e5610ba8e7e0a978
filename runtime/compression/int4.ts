import { get, i16x8, i32, i32x4, i8x16, set, v128 } from "../base/wasm.ts";
import { type BlockScaled, blockScaled, FLOAT, POWER } from "./_block_scaled.ts";
import type { Codec } from "./codec.ts";

const bits32 = (bits: number) => i32x4.splat(i32.const(bits));

const NIBBLES: Pick<BlockScaled, "most" | "bits" | "pack" | "unpack"> = {
  most: 7,
  bits: 4,
  pack: (address, bytes, spare) => {
    const nibbles = v128.and(bytes, bits32(0x0f0f0f0f)), moved = i16x8.shiftRight;
    const pairs = v128.or(get(spare), moved(get(spare), i32.const(4)));
    return [
      ...set(spare, nibbles),
      ...set(spare, v128.and(pairs, bits32(0x00ff00ff))),
      ...v128.storeHalf(0, address, i8x16.narrowUnsigned(get(spare), get(spare))),
    ];
  },
  unpack: (address, spare) => {
    const sign = bits32(0x08080808), moved = i16x8.shiftLeft(get(spare), i32.const(4));
    const nibbles = v128.and(v128.or(get(spare), moved), bits32(0x0f0f0f0f));
    return [
      ...set(spare, i16x8.fromLowU8(v128.loadHalf(0, address))),
      ...i8x16.subtract(v128.xor(nibbles, sign), sign),
    ];
  },
};

/**
 * 128 numbers in a float32 scale and as many signed nibbles of at most ±7, the first of two in the low half of
 * a byte: 0.133 of float32's bytes, and an error of at most 1/14 of a block's largest magnitude.
 */
export const int4: Codec = blockScaled({
  ...NIBBLES,
  name: "int4",
  code: 4,
  block: 128,
  scale: FLOAT,
});

/**
 * 32 numbers in a power of two and as many signed nibbles of at most ±7: 0.133 of float32's bytes, and an error of at
 * most 1/8 of a block's largest magnitude, as a rule that of {@linkcode int4}. Sums of such numbers need no rounding.
 */
export const mxint4: Codec = blockScaled({
  ...NIBBLES,
  name: "mxint4",
  code: 8,
  block: 32,
  scale: POWER,
});
