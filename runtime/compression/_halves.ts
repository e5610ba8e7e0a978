/**
 * Codecs that write each number as 16 bits.
 *
 * @module
 */

import { type Code, op } from "./_assembler.ts";
import { type BlockFormat, blockFormat } from "./codec.ts";

/** What one of these codecs is made of; what its code takes and leaves is four lanes of 32 bits. */
export interface Halves {
  readonly name: string;
  readonly code: number;
  /** From the bits of four numbers, and those without their sign, to the 16 bits of each. */
  encode(bits: number, magnitude: number, spare: number): Code;
  /** And back. */
  decode(half: number, spare: number): Code;
}

const and = op.simd(0x4e), narrow = op.simd(0x86), widen = [op.simd(0xa9), op.simd(0xaa)];

/** Numbers that are written together. */
const BLOCK = 8;

/** 0.5 of float32's bytes, without a scale. */
export function halves({ name, code, encode, decode }: Halves): BlockFormat {
  const [from, to, end] = [0, 1, 2], [bits, magnitude, spare] = [3, 4, 5];
  const advance = (local: number, bytes: number) => [
    ...[...op.get(local), ...op.constant(bytes), ...op.add, ...op.set(local)],
  ];
  const shape = { parameters: 3, integers: 0, vectors: 3 };
  return blockFormat({
    name,
    code,
    block: BLOCK,
    bytes: (count) => 2 * count,
    kernels: {
      encode: {
        ...shape,
        name: `encode_${name}`,
        body: [op.repeat(
          op.get(to),
          ...[0, 16].map((offset) => [
            ...[...op.get(from), ...op.load(offset), ...op.tee(bits)],
            ...[...op.splat(0x7fffffff), ...and, ...op.set(magnitude)],
            ...encode(bits, magnitude, spare),
          ]),
          [...narrow, ...op.store()],
          advance(to, 2 * BLOCK),
          advance(from, 4 * BLOCK),
          [...op.get(from), ...op.get(end), ...op.lessThan],
        )],
      },
      decode: {
        ...shape,
        name: `decode_${name}`,
        body: [op.repeat(
          ...[0, 16].map((offset, half) => [
            ...[...op.get(from), ...op.load(), ...widen[half], ...op.set(bits)],
            ...[...op.get(to), ...decode(bits, spare), ...op.store(offset)],
          ]),
          advance(from, 2 * BLOCK),
          advance(to, 4 * BLOCK),
          [...op.get(to), ...op.get(end), ...op.lessThan],
        )],
      },
    },
  });
}
