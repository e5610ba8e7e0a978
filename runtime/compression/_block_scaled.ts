/**
 * Codecs that write a block as one float32 scale and small integers.
 *
 * @module
 */

import { type Code, type Kernel, op } from "./_assembler.ts";
import { type BlockFormat, blockFormat } from "./codec.ts";

/** What one of these codecs is made of. */
export interface BlockScaled {
  readonly name: string;
  readonly code: number;
  /** Numbers with one scale; a multiple of 16. */
  readonly block: number;
  /** The largest integer. */
  readonly most: number;
  /** Bits of an integer, a divisor of 8. */
  readonly bits: number;
  /** Stores 16 signed bytes: an address, then a vector, are on the stack. `spare` is a vector local. */
  pack(spare: number): Code;
  /** Loads 16 signed bytes from the address on the stack. `spare` is a vector local. */
  unpack(spare: number): Code;
}

const SCALE_BYTES = 4;

const and = op.simd(0x4e), maxSigned = op.simd(0xb8), select = op.simd(0x52);
const isMore = op.simd(0x3b), isPositive = op.simd(0x44);
const multiply = op.simd(0xe6), divide = op.simd(0xe7), nearest = op.simd(0x6a);
const toIntegers = op.simd(0xf8), toFloats = op.simd(0xfa);
const narrow32 = op.simd(0x85), narrow16 = op.simd(0x65), maxBytes = op.simd(0x78);
const splatF32 = op.simd(0x13);
const widenLow8 = op.simd(0x87), widenHigh8 = op.simd(0x88);
const widenLow16 = op.simd(0xa7), widenHigh16 = op.simd(0xa8);
const bytesSplat = (byte: number) => op.splat((byte & 0xff) * 0x01010101);
const floatBits = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0];
/** The 32-bit lanes of a vector in another order. */
const lanes = (...order: number[]) =>
  op.simd(0x0d, ...order.flatMap((from) => [0, 1, 2, 3].map((byte) => 4 * from + byte)));

/**
 * A block of numbers x_i becomes s = max |x_i| / M, rounded to float32, and q_i = x_i / s, rounded to the
 * nearest integer, ties to even, and kept within ±M; they are read as q_i · s. If s is 0, all q_i are 0.
 * A block with a NaN or an infinity has s = NaN and q_i = 0: it is read as NaNs, so that none is hidden.
 */
export function blockScaled(format: BlockScaled): BlockFormat {
  const { name, code, block, bits } = format;
  const blockBytes = SCALE_BYTES + block * bits / 8;
  return blockFormat({
    name,
    code,
    block,
    bytes(count) {
      const rest = count % block;
      return Math.floor(count / block) * blockBytes +
        (rest === 0 ? 0 : SCALE_BYTES + Math.ceil(rest * bits / 8));
    },
    kernels: { encode: encoder(format), decode: decoder(format) },
  });
}

function encoder({ name, block, most, bits, pack }: BlockScaled): Kernel {
  const [from, to, end, at, blockEnd] = [0, 1, 2, 3, 4];
  const [largest, scale, isScaled, spare] = [5, 6, 7, 8];
  const advance = (local: number, bytes: number) => [
    ...[...op.get(local), ...op.constant(bytes), ...op.add, ...op.set(local)],
  ];
  const magnitude = (offset: number) => [
    ...[...op.get(at), ...op.load(offset), ...op.splat(0x7fffffff), ...and],
  ];
  const swapped = (...order: number[]) => [
    ...[...op.get(largest), ...op.get(largest), ...op.get(largest), ...lanes(...order)],
    ...[...maxSigned, ...op.set(largest)],
  ];
  const integers = (offset: number) => [
    ...[...op.get(at), ...op.load(offset), ...op.get(scale), ...divide, ...nearest, ...toIntegers],
  ];
  return {
    name: `encode_${name}`,
    parameters: 3,
    integers: 2,
    vectors: 4,
    body: [
      op.repeat(
        [...op.get(from), ...op.tee(at), ...op.constant(4 * block), ...op.add, ...op.set(blockEnd)],
        // The bits of magnitudes are in the order of the magnitudes, infinity and NaNs last.
        [...op.splat(0), ...op.set(largest)],
        op.repeat(
          [...op.get(largest), ...magnitude(0), ...magnitude(16), ...maxSigned, ...maxSigned],
          [...magnitude(32), ...magnitude(48), ...maxSigned, ...maxSigned, ...op.set(largest)],
          advance(at, 64),
          [...op.get(at), ...op.get(blockEnd), ...op.lessThan],
        ),
        swapped(2, 3, 0, 1),
        swapped(1, 0, 3, 2),
        // NaN where the largest is infinite or NaN.
        [...op.splat(0x7fc00000), ...op.get(largest), ...op.splat(floatBits(most)), ...divide],
        [...op.get(largest), ...op.splat(0x7f7fffff), ...isMore, ...select, ...op.set(scale)],
        [...op.get(scale), ...op.splat(0), ...isPositive, ...op.set(isScaled)],
        [...op.get(to), ...op.get(scale), ...op.simd(0x1f, 0), ...op.storeF32],
        advance(to, SCALE_BYTES),
        [...op.get(from), ...op.set(at)],
        op.repeat(
          op.get(to),
          [...integers(0), ...integers(16), ...narrow32],
          [...integers(32), ...integers(48), ...narrow32, ...narrow16],
          [...bytesSplat(-most), ...maxBytes],
          [...op.get(isScaled), ...and],
          pack(spare),
          advance(to, 2 * bits),
          advance(at, 64),
          [...op.get(at), ...op.get(blockEnd), ...op.lessThan],
        ),
        [...op.get(at), ...op.tee(from), ...op.get(end), ...op.lessThan],
      ),
    ],
  };
}

function decoder({ name, block, bits, unpack }: BlockScaled): Kernel {
  const [from, to, end, blockEnd] = [0, 1, 2, 3];
  const [scale, integers, half, spare] = [4, 5, 6, 7];
  const advance = (local: number, bytes: number) => [
    ...[...op.get(local), ...op.constant(bytes), ...op.add, ...op.set(local)],
  ];
  const storeFour = (widen: Code, offset: number) => [
    ...[...op.get(to), ...op.get(half), ...widen, ...toFloats, ...op.get(scale), ...multiply],
    ...op.store(offset),
  ];
  return {
    name: `decode_${name}`,
    parameters: 3,
    integers: 1,
    vectors: 4,
    body: [
      op.repeat(
        [...op.get(to), ...op.constant(4 * block), ...op.add, ...op.set(blockEnd)],
        [...op.get(from), ...op.loadF32, ...splatF32, ...op.set(scale)],
        advance(from, SCALE_BYTES),
        op.repeat(
          [...op.get(from), ...unpack(spare), ...op.set(integers)],
          [...op.get(integers), ...widenLow8, ...op.set(half)],
          storeFour(widenLow16, 0),
          storeFour(widenHigh16, 16),
          [...op.get(integers), ...widenHigh8, ...op.set(half)],
          storeFour(widenLow16, 32),
          storeFour(widenHigh16, 48),
          advance(from, 2 * bits),
          advance(to, 64),
          [...op.get(to), ...op.get(blockEnd), ...op.lessThan],
        ),
        [...op.get(to), ...op.get(end), ...op.lessThan],
      ),
    ],
  };
}
