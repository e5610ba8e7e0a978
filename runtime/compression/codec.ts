/**
 * What a codec is: how blocks of float32 numbers become fewer bytes, and numbers again.
 *
 * @module
 */

import type { Func } from "../base/wasm.ts";

/** Kernels by their names; what they take are addresses and numbers. */
export type Kernels = Readonly<Record<string, (...parameters: number[]) => number>>;

/** Where a codec finds numbers, and where it leaves their bytes: memory that its kernels work in. */
export interface Desk {
  readonly values: Float32Array;
  readonly encoded: Uint8Array;
  /** Room for whatever, twice as long as `values`. What is in it stays until something else is encoded or decoded. */
  readonly spare: Uint32Array;
  /** Where these begin, for kernels. */
  readonly address: { readonly values: number; readonly encoded: number; readonly spare: number };
  /** These functions, compiled when they are first asked for. */
  kernels(functions: readonly Func[]): Kernels;
}

/** A way to write float32 numbers in fewer bytes. The same numbers give the same bytes everywhere. */
export interface Codec {
  /** As it is asked for: "int8", "topk:0.01". */
  readonly name: string;
  /** A number by which ranks compare what they were asked for. */
  readonly code: number;
  /** Numbers that are written together; every block but the last holds so many. */
  readonly block: number;
  /**
   * Bits of the integers of a codec that writes a block as the exponent of a power of two and integers: the numbers
   * are these times 2^(exponent − 127), NaNs if the exponent is 255.
   */
  readonly integerBits?: 8 | 4;
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

/** A codec whose blocks are written and read by two kernels alone. */
export interface BlockFormat extends Omit<Codec, "encode" | "decode"> {
  /** "encode", from the address of whole blocks of numbers, which end at an address, to that of their bytes. */
  readonly encoder: Func;
  /** "decode", from the address of bytes to that of whole blocks of numbers, which end at an address. */
  readonly decoder: Func;
}

/** A codec of these kernels. */
export function blockCodec({ encoder, decoder, ...format }: BlockFormat): Codec {
  const functions = [encoder, decoder];
  const bytesOf = (count: number) => 4 * format.block * Math.ceil(count / format.block);
  return {
    ...format,
    encode({ address: { values, encoded }, kernels }, count) {
      kernels(functions).encode(values, encoded, values + bytesOf(count));
    },
    decode({ address: { values, encoded }, kernels }, count) {
      kernels(functions).decode(encoded, values, values + bytesOf(count));
    },
  };
}
