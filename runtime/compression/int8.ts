import { v128 } from "../base/wasm.ts";
import { type BlockScaled, blockScaled, FLOAT, POWER } from "./_block_scaled.ts";
import type { Codec } from "./codec.ts";

const BYTES: Pick<BlockScaled, "most" | "bits" | "pack" | "unpack"> = {
  most: 127,
  bits: 8,
  pack: (address, bytes) => v128.store(0, address, bytes),
  unpack: (address) => v128.load(0, address),
};

/**
 * 256 numbers in a float32 scale and as many signed bytes of at most ±127: 0.254 of float32's bytes, and an
 * error of at most 1/254 of a block's largest magnitude.
 */
export const int8: Codec = blockScaled({
  ...BYTES,
  name: "int8",
  code: 3,
  block: 256,
  scale: FLOAT,
});

/**
 * 32 numbers in a power of two and as many signed bytes of at most ±127: 0.258 of float32's bytes, and an error of at
 * most 1/128 of a block's largest magnitude, as a rule that of {@linkcode int8}. Sums of such numbers need no rounding.
 */
export const mxint8: Codec = blockScaled({
  ...BYTES,
  name: "mxint8",
  code: 7,
  block: 32,
  scale: POWER,
});
