/**
 * Codecs that write each number as 16 bits.
 *
 * @module
 */

import {
  add,
  type Code,
  get,
  i16x8,
  I32,
  i32,
  i32x4,
  localsOf,
  repeat,
  set,
  V128,
  v128,
} from "../base/wasm.ts";
import { blockCodec, type Codec } from "./codec.ts";

/** What one of these codecs is made of; its code takes and leaves four numbers of 32 bits. */
export interface Halves {
  readonly name: string;
  readonly code: number;
  /** From the bits of four numbers, and those without their sign, to the 16 bits of each. */
  encode(bits: Code, magnitude: Code): Code;
  /** And back. `spare` is a vector local. */
  decode(half: Code, spare: number): Code;
}

/** Numbers that are written together. */
const BLOCK = 8;

/** 0.5 of float32's bytes, without a scale. */
export function halves({ name, code, encode, decode }: Halves): Codec {
  const [from, to, end, bits, magnitude, half] = localsOf(0, 6);
  const encoded = (offset: number): Code => [
    ...set(bits, v128.load(offset, get(from))),
    ...set(magnitude, v128.and(get(bits), i32x4.splat(i32.const(0x7fffffff)))),
    ...encode(get(bits), get(magnitude)),
  ];
  const decoded = (widen: (...vector: Code[]) => Code): Code => [
    ...set(half, widen(v128.load(0, get(from)))),
    ...decode(get(half), bits),
  ];
  const shape = { takes: [I32, I32, I32], gives: [], locals: [V128, V128, V128] };
  return blockCodec({
    name,
    code,
    block: BLOCK,
    bytes: (count) => 2 * count,
    encoder: {
      ...shape,
      name: "encode",
      body: [repeat([
        v128.store(0, get(to), i16x8.narrowUnsigned(encoded(0), encoded(16))),
        add(to, i32.const(2 * BLOCK)),
        add(from, i32.const(4 * BLOCK)),
      ], i32.below(get(from), get(end)))],
    },
    decoder: {
      ...shape,
      name: "decode",
      body: [repeat([
        v128.store(0, get(to), decoded(i32x4.fromLowU16)),
        v128.store(16, get(to), decoded(i32x4.fromHighU16)),
        add(from, i32.const(2 * BLOCK)),
        add(to, i32.const(4 * BLOCK)),
      ], i32.below(get(to), get(end)))],
    },
  });
}
