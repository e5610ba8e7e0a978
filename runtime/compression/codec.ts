/**
 * What a codec is: how blocks of float32 numbers become fewer bytes, and numbers again.
 *
 * @module
 */

import type { Func } from "../base/wasm.ts";

/** Where a codec finds numbers, and where it leaves their bytes. */
export interface Desk {
  readonly values: Float32Array;
  /** The same memory, as bits. */
  readonly bits: Uint32Array;
  readonly encoded: Uint8Array;
  /**
   * Runs a kernel of a {@linkcode BlockFormat}, or of the arithmetic: from `values` to `encoded` or back, for
   * so many numbers, rounded up to whole blocks.
   */
  run(format: BlockFormat, way: "encode" | "decode", count: number): void;
  /** How many of the first `count` magnitudes, rounded up to 16, have bits that are at least `bits`. */
  countAtLeast(bits: number, count: number): number;
}

/** A way to write float32 numbers in fewer bytes. The same numbers give the same bytes everywhere. */
export interface Codec {
  /** As it is asked for: "int8", "topk:0.01". */
  readonly name: string;
  /** A number by which ranks compare what they were asked for. */
  readonly code: number;
  /** Numbers that are written together; every block but the last holds so many. */
  readonly block: number;
  /** Bytes of `count` numbers, the first of which begins a block. */
  bytes(count: number): number;
  /**
   * Writes the first `count` numbers of `values` into `encoded`; may overwrite them. Behind them there are
   * zeros up to the end of the block.
   */
  encode(desk: Desk, count: number): void;
  /** Reads `count` numbers from `encoded` into `values`. */
  decode(desk: Desk, count: number): void;
}

/** A codec whose blocks are written and read by kernels alone. */
export interface BlockFormat extends Codec {
  readonly kernels: {
    /** From the address of whole blocks of numbers, which end at an address, to that of their bytes. */
    readonly encode: Func;
    /** From the address of bytes to that of whole blocks of numbers, which end at an address. */
    readonly decode: Func;
  };
}

/** A codec of these kernels. */
export function blockFormat(
  format: Omit<BlockFormat, "encode" | "decode">,
): BlockFormat {
  const codec: BlockFormat = {
    ...format,
    encode: (desk, count) => desk.run(codec, "encode", count),
    decode: (desk, count) => desk.run(codec, "decode", count),
  };
  return codec;
}
