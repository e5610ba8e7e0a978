/**
 * Damage to bytes, drawn from a seed: what a reader of anything from outside must survive.
 *
 * @module
 */

import { Random } from "../../runtime/base/random.ts";

/** Numbers at which sizes and counts go wrong. */
const EDGES = [
  0,
  1,
  2,
  0x7f,
  0x80,
  0xff,
  0x7fff,
  0x8000,
  0xffff,
  0x7fffffff,
  0x80000000,
  0xffffffff,
];

/** Texts at which JSON and text formats go wrong. */
const WORDS = [
  ...["null", "true", "-1", "0", "1e308", "-0.5", "9007199254740993", "{}", "[]", '""', ","],
  ...['"__proto__"', '"constructor"', '"\\ud800"', "\u2028", "\ufeff", "\0", "\r", "\n", "=", ":"],
].map((word) => new TextEncoder().encode(word));

/** Longest result: what memory a reader may take is another matter than what it reads. */
const LONGEST = 1 << 16;

/** Draws damaged copies of some files. */
export class Mutations {
  readonly #seeds: readonly Uint8Array[];
  readonly #random: Random;

  /**
   * @param seeds whole files
   * @param name of the sequence; each has its own
   */
  constructor(seeds: readonly Uint8Array[], seed: number, name: string) {
    this.#seeds = seeds;
    this.#random = new Random(seed, "fuzz", name);
  }

  /** The next damaged copy. */
  next(): Uint8Array<ArrayBuffer> {
    let bytes = Uint8Array.from(this.#pick(this.#seeds));
    for (let changes = 1 + this.#below(4); changes > 0; changes--) {
      bytes = this.#change(bytes).slice(0, LONGEST);
    }
    return bytes;
  }

  #below(limit: number): number {
    return Math.floor(this.#random.uniform() * limit);
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#below(list.length)];
  }

  #change(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const at = this.#below(bytes.length + 1);
    const end = Math.min(bytes.length, at + 1 + this.#below(16));
    const replace = (middle: Uint8Array, from = at, to = at) => {
      const result = new Uint8Array(from + middle.length + bytes.length - to);
      result.set(bytes.subarray(0, from));
      result.set(middle, from);
      result.set(bytes.subarray(to), from + middle.length);
      return result;
    };
    switch (this.#below(9)) {
      case 0: // a bit
        if (at < bytes.length) bytes[at] ^= 1 << this.#below(8);
        return bytes;
      case 1: // a byte
        if (at < bytes.length) bytes[at] = this.#below(256);
        return bytes;
      case 2: // a number of 1, 2, 4 or 8 bytes
        return replace(this.#edge(), at, end);
      case 3: // the end is missing
        return bytes.slice(0, at);
      case 4: // a part is missing
        return replace(new Uint8Array(), at, end);
      case 5: // a part is there twice
        return replace(bytes.slice(at, end));
      case 6: // a word of another meaning
        return replace(this.#pick(WORDS), at, this.#below(2) === 0 ? at : end);
      case 7: // a part of another file
        return this.#splice(bytes, at);
      default: // much of one byte
        return replace(new Uint8Array(1 + this.#below(64)).fill(this.#below(256)));
    }
  }

  #edge(): Uint8Array {
    const bytes = new Uint8Array(8), view = new DataView(bytes.buffer);
    const little = this.#below(2) === 0, value = this.#pick(EDGES);
    view.setUint32(little ? 0 : 4, value, little);
    if (this.#below(4) === 0) view.setUint32(little ? 4 : 0, this.#pick(EDGES), little);
    const width = this.#pick([1, 2, 4, 8]);
    return little ? bytes.subarray(0, width) : bytes.subarray(8 - width);
  }

  #splice(bytes: Uint8Array, at: number): Uint8Array<ArrayBuffer> {
    const other = this.#pick(this.#seeds), from = this.#below(other.length + 1);
    const result = new Uint8Array(at + other.length - from);
    result.set(bytes.subarray(0, at));
    result.set(other.subarray(from), at);
    return result;
  }
}
