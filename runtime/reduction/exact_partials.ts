/**
 * Sums of some ranks' float32 inputs, in few bytes and without loss.
 *
 * A sum of N float32 values in float64 has no rounding error, in whatever order they are added, if all
 * are multiples of one power of two q and their magnitudes together stay below 2⁵³q. A float32 of
 * exponent e is a multiple of 2^(e−23), so 24 + ⌈log₂N⌉ bits more than the exponents are apart do. Of
 * 64 neighbouring elements on all ranks this is nearly always true; then partial sums may be made
 * anywhere, and the sum of them, rounded once, has the bits of the sum in the order of ranks.
 *
 * Such a partial sum is a whole multiple of q. Elements go in blocks of 64; a block takes 4, 5 or 6
 * bytes an element, as few as hold its multiples (5 as a rule), or the inputs themselves if more would
 * be needed. A block whose sum is not certainly exact is summed nevertheless: an element of it counts as
 * known if all that the rounding errors can come to leaves its float32 the same, and is asked for
 * otherwise. (The idea of a sum by exponents: Demmel and Nguyen, Parallel Reproducible Summation, IEEE
 * Trans. Comp. 64(7), 2015; theirs rounds every input first and so has other bits than a plain sum.)
 *
 * @module
 */

/** Elements of a block. */
export const BLOCK = 64;
/** Bytes of a block's head: format, greatest exponent field, least exponent field, marks. */
const HEAD_BYTES = 4;
/** Formats: nothing, since all is zero; multiples of 32, 40 or 48 bits; the inputs as they are. */
const ZERO = 0, BITS32 = 4, BITS40 = 5, BITS48 = 6, INPUTS = 7;
/** A mark: two words follow that say which elements are −0. */
const NEGATIVE_ZEROS = 1;
/** What a float32's exponent field of 1 and 0 stand for: multiples of 2^(1−150). */
const EXPONENT_OFFSET = 150;
/** The exponent field of infinities and NaN. */
const NOT_FINITE = 255;
/** Bits of a float32's significand, and of a float64's. */
const SINGLE_BITS = 24, DOUBLE_BITS = 53;
const WORD = 2 ** 32, ABOVE = 2 ** -32;

const ceilLog2 = (n: number) => 32 - Math.clz32(n - 1);
const roundUp = (bytes: number) => bytes + 3 & ~3;
/** 2ⁿ as a float64, for −1074 < n < 1024. */
const power = (n: number) => 2 ** n;

/** What is worked on; calls follow each other. */
const sums = new Float64Array(BLOCK);
let scratch = new Uint8Array(0);
/** Greatest and least magnitude other than zero of a block, as bits of a float32. */
let greatest = 0, least = 0;

/** Adds up a block of all inputs in `sums`; notes its magnitudes. */
function sumBlock(
  inputs: readonly Float32Array[],
  bits: readonly Int32Array[],
  start: number,
  length: number,
): void {
  let most = 0, fewest = 0x7fffffff;
  const acc = sums;
  for (let k = 0; k < inputs.length; k++) {
    const input = inputs[k], words = bits[k];
    for (let i = 0; i < length; i++) {
      const magnitude = words[start + i] & 0x7fffffff;
      if (magnitude > most) most = magnitude;
      if (magnitude < fewest && magnitude !== 0) fewest = magnitude;
    }
    if (k === 0) { for (let i = 0; i < length; i++) acc[i] = input[start + i]; }
    else for (let i = 0; i < length; i++) acc[i] += input[start + i];
  }
  greatest = most;
  least = fewest;
}

const bitsOf = (input: Float32Array) =>
  new Int32Array(input.buffer, input.byteOffset, input.length);

/**
 * Encodes the sum of some inputs of one length.
 *
 * @returns bytes that begin on a word of their buffer
 */
export function encodePartial(inputs: readonly Float32Array[]): Uint8Array<ArrayBuffer> {
  const { length } = inputs[0], ranks = inputs.length, bits = inputs.map(bitsOf);
  const blocks = Math.ceil(length / BLOCK);
  const most = blocks * (HEAD_BYTES + 8 + BLOCK * Math.max(6, 4 * ranks));
  if (scratch.length < most) scratch = new Uint8Array(most);
  const bytes = scratch,
    words = new Uint32Array(bytes.buffer),
    signed = new Int32Array(bytes.buffer);
  let at = blocks * HEAD_BYTES;
  for (let block = 0, start = 0; block < blocks; block++, start += BLOCK) {
    const size = Math.min(BLOCK, length - start);
    sumBlock(inputs, bits, start, size);
    const high = greatest >>> 23, low = greatest === 0 ? 0 : Math.max(1, least >>> 23);
    const needed = 1 + SINGLE_BITS + ceilLog2(ranks) + Math.max(1, high) - low;
    let format = INPUTS, marks = 0;
    if (greatest === 0) format = ZERO;
    else if (ranks > 1 && high < NOT_FINITE) {
      format = needed <= 32 ? BITS32 : needed <= 40 ? BITS40 : needed <= 48 ? BITS48 : INPUTS;
    }
    if (format === INPUTS) {
      for (const input of inputs) {
        bytes.set(new Uint8Array(input.buffer, input.byteOffset + 4 * start, 4 * size), at);
        at += 4 * size;
      }
    } else {
      let first = 0, second = 0;
      for (let i = 0; i < size; i++) {
        if (sums[i] !== 0 || 1 / sums[i] > 0) continue;
        if (i < 32) first |= 1 << i;
        else second |= 1 << i - 32;
      }
      if ((first | second) !== 0) {
        marks = NEGATIVE_ZEROS;
        signed[at >> 2] = first;
        signed[(at >> 2) + 1] = second;
        at += 8;
      }
      if (format !== ZERO) at = putMultiples(bytes, words, signed, at, size, format, low);
    }
    bytes[HEAD_BYTES * block] = format;
    bytes[HEAD_BYTES * block + 1] = high;
    bytes[HEAD_BYTES * block + 2] = low;
    bytes[HEAD_BYTES * block + 3] = marks;
  }
  return bytes.slice(0, at);
}

/** Writes `sums` as multiples of the unit of an exponent field: low words first, then what is above. */
function putMultiples(
  bytes: Uint8Array,
  words: Uint32Array,
  signed: Int32Array,
  at: number,
  size: number,
  format: number,
  low: number,
): number {
  // Stores into words keep the low bits (ECMA-262, ToUint32): two's complement.
  const scale = power(EXPONENT_OFFSET - low), word = at >> 2, multiples = sums;
  if (format === BITS32) {
    for (let i = 0; i < size; i++) signed[word + i] = multiples[i] * scale;
    return at + 4 * size;
  }
  const above = at + 4 * size;
  if (format === BITS40) {
    for (let i = 0; i < size; i++) {
      const multiple = multiples[i] * scale;
      words[word + i] = multiple;
      bytes[above + i] = Math.floor(multiple * ABOVE);
    }
    return roundUp(above + size);
  }
  for (let i = 0; i < size; i++) {
    const multiple = multiples[i] * scale, top = Math.floor(multiple * ABOVE);
    words[word + i] = multiple;
    bytes[above + 2 * i] = top;
    bytes[above + 2 * i + 1] = top >> 8;
  }
  return roundUp(above + 2 * size);
}

/** A partial sum that is read block by block. */
class PartialReader {
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #signed: Int32Array;
  readonly #floats: Float32Array;
  readonly #ranks: number;
  #at: number;

  constructor(partial: Uint8Array, length: number, ranks: number) {
    const { buffer, byteOffset } = partial, words = partial.length >> 2;
    this.#bytes = partial;
    this.#words = new Uint32Array(buffer, byteOffset, words);
    this.#signed = new Int32Array(buffer, byteOffset, words);
    this.#floats = new Float32Array(buffer, byteOffset, words);
    this.#ranks = ranks;
    this.#at = HEAD_BYTES * Math.ceil(length / BLOCK);
  }

  high(block: number): number {
    return this.#bytes[HEAD_BYTES * block + 1];
  }

  low(block: number): number {
    return this.#bytes[HEAD_BYTES * block + 2];
  }

  /** Adds the next block to `sums`. */
  add(block: number, size: number): void {
    const bytes = this.#bytes, format = bytes[HEAD_BYTES * block];
    if (format === INPUTS) {
      for (let k = 0; k < this.#ranks; k++) {
        const word = this.#at >> 2;
        for (let i = 0; i < size; i++) sums[i] += this.#floats[word + i];
        this.#at += 4 * size;
      }
      return;
    }
    // What is −0 here is added to nothing; what is 0 makes 0 of a −0.
    let first = 0, second = 0;
    if (bytes[HEAD_BYTES * block + 3] === NEGATIVE_ZEROS) {
      first = this.#signed[this.#at >> 2];
      second = this.#signed[(this.#at >> 2) + 1];
      this.#at += 8;
    }
    const marked = (i: number) => ((i < 32 ? first >>> i : second >>> i - 32) & 1) === 1;
    const none = (first | second) === 0;
    const unit = power(this.low(block) - EXPONENT_OFFSET), word = this.#at >> 2;
    const above = this.#at + 4 * size;
    if (none && format === BITS40) {
      const acc = sums, words = this.#words;
      for (let i = 0; i < size; i++) {
        acc[i] += ((bytes[above + i] << 24 >> 24) * WORD + words[word + i]) * unit;
      }
      this.#at = roundUp(above + size);
      return;
    }
    switch (format) {
      case ZERO:
        for (let i = 0; i < size; i++) if (none || !marked(i)) sums[i] += 0;
        return;
      case BITS32:
        for (let i = 0; i < size; i++) {
          if (none || !marked(i)) sums[i] += this.#signed[word + i] * unit;
        }
        this.#at = above;
        return;
      case BITS40:
        for (let i = 0; i < size; i++) {
          const top = bytes[above + i] << 24 >> 24;
          if (none || !marked(i)) sums[i] += (top * WORD + this.#words[word + i]) * unit;
        }
        this.#at = roundUp(above + size);
        return;
      default:
        for (let i = 0; i < size; i++) {
          const top = (bytes[above + 2 * i] | bytes[above + 2 * i + 1] << 8) << 16 >> 16;
          if (none || !marked(i)) sums[i] += (top * WORD + this.#words[word + i]) * unit;
        }
        this.#at = roundUp(above + 2 * size);
    }
  }
}

/** A partial sum of some ranks. */
export interface Partial {
  /** What {@linkcode encodePartial} has made, beginning on a word of its buffer. */
  readonly bytes: Uint8Array;
  /** How many inputs are in it. */
  readonly ranks: number;
}

/**
 * Adds inputs and partial sums and rounds once: the bits of the sum of all ranks' inputs in their order,
 * in float64, rounded once.
 *
 * @param out may be one of `inputs`
 * @returns numbers of the blocks for which that is not certain; there `out` is as it was
 */
export function sumPartials(
  inputs: readonly Float32Array[],
  partials: readonly Partial[],
  out: Float32Array,
): number[] {
  const { length } = out, bits = inputs.map(bitsOf), doubtful: number[] = [];
  const readers = partials.map(({ bytes, ranks }) => new PartialReader(bytes, length, ranks));
  const all = partials.reduce((sum, { ranks }) => sum + ranks, inputs.length);
  const mostApart = DOUBLE_BITS - SINGLE_BITS - ceilLog2(all);
  for (let block = 0, start = 0; start < length; block++, start += BLOCK) {
    const size = Math.min(BLOCK, length - start);
    sumBlock(inputs, bits, start, size);
    let high = Math.max(1, greatest >>> 23);
    let low = greatest === 0 ? NOT_FINITE : Math.max(1, least >>> 23);
    for (const reader of readers) {
      reader.add(block, size);
      high = Math.max(high, reader.high(block));
      if (reader.low(block) > 0) low = Math.min(low, reader.low(block));
    }
    if (high < NOT_FINITE && high - low <= mostApart) {
      for (let i = 0; i < size; i++) out[start + i] = sums[i];
    } else if (high === NOT_FINITE || !isCertain(size, error(all, high))) {
      doubtful.push(block);
    } else {
      for (let i = 0; i < size; i++) out[start + i] = sums[i];
    }
  }
  return doubtful;
}

/**
 * What two sums of N values in different orders can differ by: each addition is wrong by 2⁻⁵³ of a sum
 * that is below N · 2^(e+1); twice that, to be on the safe side.
 */
function error(ranks: number, high: number): number {
  return ranks * ranks * power(high - 126 - 51);
}

/** Whether all of `sums` round to the same float32, wherever the true values are within the error. */
function isCertain(size: number, error: number): boolean {
  for (let i = 0; i < size; i++) {
    const below = Math.fround(sums[i] - error);
    if (below !== Math.fround(sums[i] + error) || below === 0) return false;
  }
  return true;
}
