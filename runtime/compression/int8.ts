import { v128 } from "../base/wasm.ts";
import { blockScaled } from "./_block_scaled.ts";
import type { Codec } from "./codec.ts";

/**
 * 256 numbers in a float32 scale and as many signed bytes of at most ±127: 0.254 of float32's bytes, and an
 * error of at most 1/254 of a block's largest magnitude.
 */
export const int8: Codec = blockScaled({
  name: "int8",
  code: 3,
  block: 256,
  most: 127,
  bits: 8,
  pack: (address, bytes) => v128.store(0, address, bytes),
  unpack: (address) => v128.load(0, address),
});
