/**
 * Texts as numbers of tokens, which need not be in memory.
 *
 * @module
 */

/** A text's tokens, by range. An `Int32Array` is one. */
export interface Tokens {
  /** How many there are. */
  readonly length: number;
  /** The tokens from `start` up to, but not, `end`; the array is the caller's. */
  slice(start: number, end: number): Int32Array;
}

/** A text in three splits. */
export interface TokenSplits<T extends Tokens = Tokens> {
  /** What is trained on. */
  readonly train: T;
  /** What decisions while training go by. */
  readonly valid: T;
  /** What is reported at the end. */
  readonly test: T;
}

/** The first `count` tokens of a text, or all if there are fewer. */
export function firstTokens(tokens: Tokens, count: number): Tokens {
  if (count >= tokens.length) return tokens;
  return {
    length: count,
    slice: (start, end) => tokens.slice(start, Math.min(end, count)),
  };
}

/** Writes tokens one after another to a file, in 2 bytes each where the numbers allow it, else in 4. */
export class TokenWriter {
  readonly #file: Deno.FsFile;
  readonly #two: boolean;
  #count = 0;

  /**
   * Writes from the beginning of a file, which stays the caller's.
   *
   * @param vocabulary no token's number reaches it
   */
  constructor(file: Deno.FsFile, vocabulary: number) {
    this.#file = file;
    this.#two = vocabulary <= 2 ** 16;
  }

  /** How many have been written. */
  get count(): number {
    return this.#count;
  }

  /** Writes the next tokens. */
  async write(tokens: ArrayLike<number>): Promise<void> {
    const numbers = this.#two ? Uint16Array.from(tokens) : Int32Array.from(tokens);
    this.#count += numbers.length;
    let bytes = new Uint8Array(numbers.buffer);
    while (bytes.length > 0) bytes = bytes.subarray(await this.#file.write(bytes));
  }
}

/** Tokens that a {@linkcode TokenWriter} has written, read as they are asked for. */
export class FileTokens implements Tokens {
  /** How many there are. */
  readonly length: number;
  readonly #file: Deno.FsFile;
  readonly #first: number;
  readonly #two: boolean;

  /**
   * The tokens of a file from `first` up to, but not, `end`.
   *
   * @param file stays the caller's, who closes it when nobody reads any more
   * @param vocabulary as it was written with
   */
  constructor(file: Deno.FsFile, vocabulary: number, [first, end]: readonly [number, number]) {
    this.#file = file;
    this.#two = vocabulary <= 2 ** 16;
    this.#first = first;
    this.length = end - first;
  }

  /** Reads the tokens from `start` up to, but not, `end`. Throws Error if the file has become shorter. */
  slice(start: number, end: number): Int32Array {
    const count = Math.max(0, Math.min(end, this.length) - start);
    const numbers = this.#two ? new Uint16Array(count) : new Int32Array(count);
    const bytes = new Uint8Array(numbers.buffer);
    this.#file.seekSync((this.#first + start) * numbers.BYTES_PER_ELEMENT, Deno.SeekMode.Start);
    for (let at = 0; at < bytes.length;) {
      const read = this.#file.readSync(bytes.subarray(at));
      if (read === null) throw new Error("a file of tokens has become shorter while it is read");
      at += read;
    }
    return numbers instanceof Int32Array ? numbers : Int32Array.from(numbers);
  }
}
