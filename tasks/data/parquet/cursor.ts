/**
 * Bytes that are read one after the other.
 *
 * @module
 */

/** A place in bytes, which reading moves on; what would lie beyond their end is refused. */
export class Cursor {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #at = 0;

  /** At the beginning of bytes, which are not copied. */
  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#bytes = bytes;
  }

  /** Bytes before the end. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** The next bytes, which stay where they are. Throws Error where there are fewer. */
  take(count: number): Uint8Array<ArrayBuffer> {
    if (!(count >= 0 && count <= this.left)) {
      throw new Error(`a page is damaged: ${count} bytes are needed where ${this.left} are left`);
    }
    return this.#bytes.subarray(this.#at, this.#at += count);
  }

  /** The next byte. */
  byte(): number {
    return this.take(1)[0];
  }

  /** An unsigned number of some bytes, 4 at most, the lowest first. */
  little(bytes: number): number {
    return this.take(bytes).reduceRight((value, byte) => value * 256 + byte, 0);
  }

  /** An unsigned number of 7 bits a byte, the lowest first (LEB128). Throws Error for one beyond 2⁵³ − 1. */
  varint(): number {
    for (let value = 0, factor = 1;; factor *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * factor;
      if (!Number.isSafeInteger(value)) throw new Error("a page is damaged: a number has no end");
      if (byte < 0x80) return value;
    }
  }

  /** A number whose sign is its lowest bit. */
  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}

/** The numbers that bytes hold in so many bits each, 32 at most, the lowest bits first. */
export function* unpack(bytes: Uint8Array, width: number): Generator<number, undefined> {
  let held = 0, bits = 0;
  const modulus = 2 ** width;
  for (const byte of bytes) {
    held += byte * 2 ** bits;
    for (bits += 8; bits >= width; bits -= width) {
      yield held % modulus;
      held = Math.floor(held / modulus);
    }
  }
}
