/**
 * Sums of what several ranks have written as integers times powers of two, without a rounding error: some of them may
 * be summed first, anywhere and in any order, and the rest afterwards; the result is the same.
 *
 * A partial sum has for each block the exponent of a unit, 255 for NaNs, the bits of an integer, and as many integers
 * times that unit, two's complement, the lowest bits first; the last byte of a block is filled up. Where a block's
 * exponents are so far apart that an integer would take more than 24 bits, there are 255, the number of inputs as 16
 * bits, and the block of each.
 *
 * @module
 */

import type { Codec } from "./codec.ts";
import { INTEGERS } from "./_integers.ts";
import { forTiles, read, type Tile, write } from "./tile.ts";

/** What one rank has written, or a partial sum. */
export interface ExactTerm {
  /** A rank's numbers as the codec writes them, or a sum as it is passed on. */
  readonly bytes: Uint8Array;
  /** Whether it is a partial sum. */
  readonly isPartial: boolean;
}

/** Of a unit in which all is NaN, and of a block of zeros. */
const NAN = 255, ZEROS = 0;
const MOST_BITS = 24, INPUTS = 255;
/** Bits that a float64 holds exactly, and where a float32 becomes infinite. */
const EXACT_BITS = 53, INFINITE = 255;

/** By their biased exponents; that of NaNs is NaN, and that of zeros 0. */
const UNITS = Float64Array.from(
  { length: 256 },
  (_, exponent) => exponent === NAN ? NaN : exponent === ZEROS ? 0 : 2 ** (exponent - 127),
);

/** Takes the integers of a block and the exponent of their unit. */
type Visit = (integers: Int32Array, exponent: number) => void;

/** Reads blocks one after the other. */
class Reader {
  readonly #codec: Codec;
  readonly #bytes: Uint8Array;
  readonly #bits: number;
  readonly #isPartial: boolean;
  readonly #integers: Int32Array;
  at = 0;

  constructor(codec: Codec, { bytes, isPartial }: ExactTerm) {
    this.#codec = codec;
    this.#bytes = bytes;
    this.#bits = codec.integerBits!;
    this.#isPartial = isPartial;
    this.#integers = new Int32Array(codec.block);
  }

  /** Whether all has been read, and no more than there is. */
  get isDone(): boolean {
    return this.at === this.#bytes.length;
  }

  /** Reads a tile's numbers into its values; whether they are exact as float32. */
  toValues(tile: Tile, count: number, exponents: Exponents): boolean {
    const { block } = this.#codec, { encoded, address: { values, encoded: from } } = tile;
    const most = this.#isPartial ? encoded.length : this.#codec.bytes(count);
    const bytes = this.#bytes.subarray(this.at, this.at + most);
    encoded.set(bytes);
    if (!this.#isPartial) {
      const whole = this.#codec.bytes(block);
      for (let k = 0, at = 0; k * block < count; k++, at += whole) {
        if (bytes[at] !== NAN) exponents.note(k, bytes[at], this.#bits);
      }
      this.#codec.decode(tile, count);
      this.at += this.#codec.bytes(count);
      return true;
    }
    const { unpack } = kernelsOf(tile);
    let at = 0;
    for (let k = 0; k * block < count; k++) {
      const length = Math.min(block, count - k * block), exponent = bytes[at], bits = bytes[at + 1];
      if (!(bits <= MOST_BITS) || exponent < NAN && exponent + bits > INFINITE) return false;
      unpack(from + at + 2, length, values + 4 * k * block, exponent, bits);
      if (exponent !== NAN) exponents.note(k, exponent, bits);
      at += 2 + Math.ceil(length * bits / 8);
    }
    this.at += at;
    return true;
  }

  next(count: number, visit: Visit): void {
    const exponent = this.#bytes[this.at++] ?? ZEROS;
    if (!this.#isPartial) return this.#read(count, exponent, this.#bits, visit);
    const bits = this.#bytes[this.at++] ?? 0;
    if (bits !== INPUTS) return this.#read(count, exponent, Math.min(bits, MOST_BITS), visit);
    const inputs = this.#bytes[this.at++] | this.#bytes[this.at++] << 8;
    for (let i = 0; i < inputs && this.at < this.#bytes.length; i++) {
      this.#read(count, this.#bytes[this.at++], this.#bits, visit);
    }
  }

  #read(count: number, exponent: number, bits: number, visit: Visit): void {
    const bytes = this.#bytes, integers = this.#integers, unused = 32 - bits;
    let { at } = this, word = 0, filled = 0;
    if (bits === 0) integers.fill(0);
    else {
      for (let i = 0; i < count; i++) {
        for (; filled < bits; filled += 8) word |= bytes[at++] << filled;
        integers[i] = word << unused >> unused;
        word >>>= bits;
        filled -= bits;
      }
    }
    this.at = at;
    visit(integers, exponent);
  }
}

/** The least exponent among the blocks of a tile and the greatest that a number there may have, zeros left out. */
class Exponents {
  readonly least: Uint8Array;
  readonly greatest: Uint8Array;

  constructor(blocks: number) {
    this.least = new Uint8Array(blocks).fill(NAN);
    this.greatest = new Uint8Array(blocks);
  }

  note(k: number, exponent: number, bits = 1): void {
    if (exponent === ZEROS) return;
    if (exponent < this.least[k]) this.least[k] = exponent;
    const greatest = Math.min(INFINITE, exponent + bits - 1);
    if (greatest > this.greatest[k]) this.greatest[k] = greatest;
  }
}

/** Kernels of the integers of a block. */
const kernelsOf = (tile: Tile) => tile.kernels(INTEGERS);

/**
 * The partial sum of what some ranks have written.
 *
 * @param inputs `codec.bytes(length)` bytes each, of at most 65,535 ranks
 */
export function partialSum(
  codec: Codec,
  inputs: readonly Uint8Array[],
  length: number,
): Uint8Array {
  const { block } = codec, carry = Math.ceil(Math.log2(inputs.length));
  const most = Math.max(2 + block * MOST_BITS / 8, 4 + inputs.length * codec.bytes(block));
  const out = new Uint8Array(Math.ceil(length / block) * most + 4);
  let to = 0;
  forTiles(length, (tile, start, end) => {
    const blocks = Math.ceil((end - start) / block), exponents = new Exponents(blocks);
    inputs.forEach((input, i) => {
      read(codec, tile, input, start, end);
      tile.accumulate(end - start, i === 0);
      let at = codec.bytes(start);
      for (let k = 0; k < blocks; k++, at += codec.bytes(block)) exponents.note(k, input[at]);
    });
    const { values, sums, spare } = tile.address, { pack } = kernelsOf(tile);
    const written = new Uint8Array(tile.spare.buffer, spare, tile.spare.byteLength);
    for (let k = 0; k < blocks; k++) {
      const least = exponents.least[k], greatest = exponents.greatest[k];
      const from = start + k * block, count = Math.min(block, end - from);
      if (greatest === NAN || greatest === ZEROS) {
        out.set([greatest, 0], to);
        to += 2;
      } else if (greatest - least + codec.integerBits! + carry <= MOST_BITS) {
        const bytes = pack(sums + 8 * k * block, count, spare, least, values, 1 / UNITS[least]);
        out.set(written.subarray(0, bytes - spare), to);
        to += bytes - spare;
      } else {
        out.set([0, INPUTS, inputs.length & 255, inputs.length >> 8], to);
        to += 4;
        for (const input of inputs) {
          const bytes = input.subarray(codec.bytes(from), codec.bytes(from + count));
          out.set(bytes, to);
          to += bytes.length;
        }
      }
    }
  });
  return out.subarray(0, to);
}

/**
 * Adds what others have written without a rounding error, rounds to float64, adds a rank's own numbers as they are,
 * rounds to float32, and writes the sum.
 *
 * @param terms of the others; the same numbers give the same bytes, however they are divided into partial sums
 * @param own null if this rank contributes nothing
 * @param out `codec.bytes(length)` bytes
 * @param loss becomes what is lost when the sum is written
 * @throws RangeError if a term is longer or shorter than what it says
 */
export function sumExactly(
  codec: Codec,
  terms: readonly ExactTerm[],
  own: Float32Array | null,
  length: number,
  out: Uint8Array,
  loss?: Float32Array,
): void {
  const readers = terms.map((term) => new Reader(codec, term));
  forTiles(length, (tile, start, end) => {
    const count = end - start, before = readers.map((reader) => reader.at);
    tile.sums.fill(0, 0, roundUp(count, STEP));
    if (!addAsFloats(codec, tile, readers, count)) {
      readers.forEach((reader, i) => reader.at = before[i]);
      addAsIntegers(codec, tile, readers, count);
    }
    if (own) {
      tile.values.set(own.subarray(start, end));
      tile.accumulate(count, false);
    }
    tile.round(count);
    write(codec, tile, count, out.subarray(codec.bytes(start)), loss?.subarray(start, end));
  });
  const wrong = readers.findIndex((reader) => !reader.isDone);
  if (wrong < 0) return;
  throw new RangeError(
    `a sum of ${length} numbers takes terms as long as they say, found one of ` +
      `${terms[wrong].bytes.length} bytes that would end at ${readers[wrong].at}`,
  );
}

/** Numbers that kernels take at once. */
const STEP = 16;
const roundUp = (count: number, to: number) => Math.ceil(count / to) * to;

/** Adds a tile's numbers in float64; whether that is exact, and nothing had to be left out. */
function addAsFloats(
  codec: Codec,
  tile: Tile,
  readers: readonly Reader[],
  count: number,
): boolean {
  const exponents = new Exponents(Math.ceil(count / codec.block));
  for (const reader of readers) {
    if (!reader.toValues(tile, count, exponents)) return false;
    tile.accumulate(count, false);
  }
  const carry = Math.log2(Math.max(1, readers.length));
  return exponents.greatest.every((greatest, k) =>
    greatest - exponents.least[k] + carry < EXACT_BITS
  );
}

/** Adds a tile's numbers as integers of any length. */
function addAsIntegers(
  { block }: Codec,
  tile: Tile,
  readers: readonly Reader[],
  count: number,
): void {
  for (let start = 0; start < count; start += block) {
    const length = Math.min(block, count - start), sums = new Array<bigint>(length).fill(0n);
    let isNaN = false;
    for (const reader of readers) {
      reader.next(length, (integers, exponent) => {
        isNaN ||= exponent === NAN;
        if (exponent === ZEROS) return;
        for (let i = 0; i < length; i++) sums[i] += BigInt(integers[i]) << BigInt(exponent);
      });
    }
    for (let i = 0; i < length; i++) {
      tile.sums[start + i] = isNaN ? NaN : Number(sums[i]) * 2 ** -127;
    }
  }
}
