/**
 * Codecs that write a block as one scale and small integers.
 *
 * @module
 */

import {
  add,
  type Code,
  f32x4,
  type Func,
  get,
  i16x8,
  I32,
  i32,
  i32x4,
  i8x16,
  localsOf,
  repeat,
  set,
  V128,
  v128,
} from "../base/wasm.ts";
import { blockCodec, type Codec } from "./codec.ts";

/** What one of these codecs is made of. */
export interface BlockScaled {
  readonly name: string;
  readonly code: number;
  /** Numbers with one scale; a multiple of 16. */
  readonly block: number;
  /** The largest integer. */
  readonly most: number;
  /** Bits of an integer. */
  readonly bits: 8 | 4;
  readonly scale: Scale;
  /** Stores 16 signed bytes at an address. `spare` is a vector local. */
  pack(address: Code, bytes: Code, spare: number): Code;
  /** Loads them again. */
  unpack(address: Code, spare: number): Code;
}

/** How the scale of a block is chosen and written. */
interface Scale {
  readonly bytes: number;
  /** Four times the scale of a block, from four times the bits of its largest magnitude, which is finite. */
  of(largest: Code, most: number): Code;
  /** Writes the bits of a scale at an address. */
  store(address: Code, bits: Code): Code;
  /** Reads them. */
  load(address: Code): Code;
  /** Whether it is a power of two, so that sums of such numbers can do without rounding. */
  readonly isPower: boolean;
}

/** Bytes of 16 numbers. */
const STEP = 64;
/** Where the exponent of a float32 begins. */
const EXPONENT = i32.const(23);

const floatBits = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0];
/** Four times the same 32 bits. */
const bits32 = (bits: number) => i32x4.splat(i32.const(bits | 0));
/** Sixteen times the same signed byte. */
const bytes8 = (value: number) => bits32((value & 0xff) * 0x01010101);
const ZERO = bits32(0), INFINITY = bits32(0x7f800000), NAN = bits32(0x7fc00000);

/** s = max |x_i| / M, as float32. */
export const FLOAT: Scale = {
  bytes: 4,
  of: (largest, most) => f32x4.divide(largest, bits32(floatBits(most))),
  store: (address, bits) => i32.store(0, address, bits),
  load: (address) => i32.load(0, address),
  isPower: false,
};

/**
 * The power of two s = 2^(e − log₂(M + 1) + 1), where 2^e is the largest in max |x_i|, as its 8 bits of exponent in a
 * float32 (as in the OCP Microscaling Formats, 2023); 0 where that would be less than 2⁻¹²⁶. 255 is for a NaN.
 */
export const POWER: Scale = {
  bytes: 1,
  of(largest, most) {
    const exponent = i32x4.shiftRight(largest, EXPONENT), lower = bits32(Math.log2(most + 1) - 1);
    return i32x4.shiftLeft(i32x4.subtract(i32x4.max(exponent, lower), lower), EXPONENT);
  },
  store: (address, bits) => i32.store8(0, address, i32.shiftRight(bits, EXPONENT)),
  // An infinity for a NaN: 0 times that is one.
  load: (address) => i32.shiftLeft(i32.load8(0, address), EXPONENT),
  isPower: true,
};

/**
 * A block of numbers x_i becomes a scale s and q_i = x_i / s, rounded to the nearest integer, ties to even, and kept
 * within ±M; they are read as q_i · s. If s is 0, all q_i are 0. A block with a NaN or an infinity has s = NaN and
 * q_i = 0: it is read as NaNs, so that none is hidden.
 */
export function blockScaled(format: BlockScaled): Codec {
  const { name, code, block, bits, scale } = format;
  const blockBytes = scale.bytes + block * bits / 8;
  return blockCodec({
    name,
    code,
    block,
    bytes(count) {
      const rest = count % block;
      return Math.floor(count / block) * blockBytes +
        (rest === 0 ? 0 : scale.bytes + Math.ceil(rest * bits / 8));
    },
    integerBits: scale.isPower ? bits : undefined,
    encoder: encoder(format),
    decoder: decoder(format),
  });
}

function encoder({ block, most, bits, scale: format, pack }: BlockScaled): Func {
  const [from, to, end, at, blockEnd, largest, scale, isScaled, spare] = localsOf(0, 9);
  // The bits of magnitudes are in the order of the magnitudes, infinity and NaNs last.
  const magnitude = (offset: number) => v128.and(v128.load(offset, get(at)), bits32(0x7fffffff));
  const integers = (offset: number) =>
    i32x4.fromF32(f32x4.nearest(f32x4.divide(v128.load(offset, get(at)), get(scale))));
  /** The largest of each number and that in the place that its own is given. */
  const withOther = (...places: number[]) => {
    const bytes = places.flatMap((place) => [0, 1, 2, 3].map((byte) => 4 * place + byte));
    return i32x4.max(get(largest), v128.shuffle(get(largest), get(largest), ...bytes));
  };
  return {
    name: "encode",
    takes: [I32, I32, I32],
    gives: [],
    locals: [I32, I32, V128, V128, V128, V128],
    body: [repeat([
      set(at, get(from)),
      set(blockEnd, i32.add(get(from), i32.const(4 * block))),
      set(largest, ZERO),
      repeat([
        ...[0, 16, 32, 48].map((offset) =>
          set(largest, i32x4.max(get(largest), magnitude(offset)))
        ),
        add(at, i32.const(STEP)),
      ], i32.below(get(at), get(blockEnd))),
      set(largest, withOther(2, 3, 0, 1)),
      set(largest, withOther(1, 0, 3, 2)),
      set(
        scale,
        v128.select(
          format.of(get(largest), most),
          NAN,
          i32x4.greater(INFINITY, get(largest)),
        ),
      ),
      set(isScaled, f32x4.greater(get(scale), ZERO)),
      format.store(get(to), i32x4.extract(get(scale), 0)),
      add(to, i32.const(format.bytes)),
      set(at, get(from)),
      repeat([
        pack(
          get(to),
          v128.and(
            i8x16.min(
              i8x16.max(
                i8x16.narrow(
                  i16x8.narrow(integers(0), integers(16)),
                  i16x8.narrow(integers(32), integers(48)),
                ),
                bytes8(-most),
              ),
              bytes8(most),
            ),
            get(isScaled),
          ),
          spare,
        ),
        add(to, i32.const(2 * bits)),
        add(at, i32.const(STEP)),
      ], i32.below(get(at), get(blockEnd))),
      set(from, get(at)),
    ], i32.below(get(from), get(end)))],
  };
}

function decoder({ block, bits, scale: format, unpack }: BlockScaled): Func {
  const [from, to, end, blockEnd, scale, bytes, spare] = localsOf(0, 7);
  const quarters = [i16x8.fromLowI8, i16x8.fromHighI8]
    .flatMap((half) => [i32x4.fromLowI16, i32x4.fromHighI16].map((of) => of(half(get(bytes)))));
  return {
    name: "decode",
    takes: [I32, I32, I32],
    gives: [],
    locals: [I32, V128, V128, V128],
    body: [repeat([
      set(blockEnd, i32.add(get(to), i32.const(4 * block))),
      set(scale, i32x4.splat(format.load(get(from)))),
      add(from, i32.const(format.bytes)),
      repeat([
        set(bytes, unpack(get(from), spare)),
        ...quarters.map((integers, i) =>
          v128.store(16 * i, get(to), f32x4.multiply(f32x4.fromI32(integers), get(scale)))
        ),
        add(from, i32.const(2 * bits)),
        add(to, i32.const(STEP)),
      ], i32.below(get(to), get(blockEnd))),
    ], i32.below(get(to), get(end)))],
  };
}
