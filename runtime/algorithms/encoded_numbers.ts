/**
 * Numbers that are summed over the ranks in a codec's bytes.
 *
 * @module
 */

import type { Codec } from "../compression/codec.ts";
import { type ExactTerm, sumExactly } from "../compression/exact_sum.ts";
import { decode, encode, sumEncoded } from "../compression/tile.ts";
import type { Range } from "./partition.ts";

/** What a rank has written of some numbers; "own" is this rank, whose numbers are added as they are. */
export type SumInput = Uint8Array | "own" | null;

/**
 * Numbers that are summed over the ranks, wherever they lie, and what is lost of them. A codec's bytes are written
 * and read by whoever has them.
 */
export interface EncodedNumbers {
  /** How many. */
  readonly length: number;
  /** Called first where this rank's numbers count, with those whose sum it will form. */
  prepare(own: Range): void | Promise<void>;
  /** Writes some others of them. */
  write(range: Range, into: Uint8Array): void;
  /**
   * Writes the sum of what the ranks have written, in their order, of the numbers whose sum this rank forms.
   *
   * @param inputs null for a rank that contributes nothing
   */
  sum(own: Range, inputs: readonly SumInput[], into: Uint8Array): void | Promise<void>;
  /**
   * Writes the same sum where the codec's numbers can be added without rounding, see {@linkcode Codec.integerBits};
   * what has no such codec needs none.
   *
   * @param terms what others have written, or sums of some of these
   */
  sumExactly?(
    own: Range,
    terms: readonly ExactTerm[],
    contributes: boolean,
    into: Uint8Array,
  ): void | Promise<void>;
  /** Takes over the sum of all numbers. */
  read(encoded: Uint8Array): void | Promise<void>;
}

/** Numbers that are to be summed, and how they travel. */
export interface EncodedSum {
  readonly codec: Codec;
  readonly numbers: EncodedNumbers;
}

/** Sums that are to travel in fewer bytes, together. */
export interface CompressedSum {
  readonly sums: readonly EncodedSum[];
  /** Whether this rank's numbers count. */
  readonly contributes: boolean;
}

/** Numbers in this process's memory, which become their sum. */
export class HostNumbers implements EncodedNumbers {
  readonly length: number;
  readonly #codec: Codec;
  readonly #values: Float32Array;
  readonly #residual: Float32Array | undefined;

  /** @param residual what this rank has lost so far, as many numbers; becomes what it has lost then */
  constructor(codec: Codec, values: Float32Array, residual?: Float32Array) {
    this.length = values.length;
    this.#codec = codec;
    this.#values = values;
    this.#residual = residual;
  }

  prepare({ start, end }: Range): void {
    const own = this.#values.subarray(start, end), owed = this.#residual?.subarray(start, end);
    if (!owed) return;
    for (let i = 0; i < own.length; i++) own[i] += owed[i];
  }

  write({ start, end }: Range, into: Uint8Array): void {
    const values = this.#values.subarray(start, end);
    encode(this.#codec, values, into, this.#residual?.subarray(start, end));
  }

  sum(own: Range, inputs: readonly SumInput[], into: Uint8Array): void {
    this.#form(own, inputs.includes("own"), (values, loss) => {
      const terms = inputs.map((input) => input === "own" ? values : input);
      sumEncoded(this.#codec, terms, values.length, into, loss);
    });
  }

  sumExactly(
    own: Range,
    terms: readonly ExactTerm[],
    contributes: boolean,
    into: Uint8Array,
  ): void {
    this.#form(own, contributes, (values, loss) => {
      sumExactly(this.#codec, terms, contributes ? values : null, values.length, into, loss);
    });
  }

  /** What is lost when a sum is written is owed by this rank. */
  #form(
    { start, end }: Range,
    contributes: boolean,
    write: (values: Float32Array, loss?: Float32Array) => void,
  ): void {
    const own = this.#values.subarray(start, end), owed = this.#residual?.subarray(start, end);
    const loss = owed && new Float32Array(own.length);
    write(own, loss);
    if (!owed || !loss) return;
    if (contributes) owed.set(loss);
    else for (let i = 0; i < owed.length; i++) owed[i] += loss[i];
  }

  read(encoded: Uint8Array): void {
    decode(this.#codec, encoded, this.#values);
  }

  /** On a single rank nothing travels, and nothing is lost. */
  stay(contributes: boolean): void {
    if (!contributes) return void this.#values.fill(0);
    this.prepare({ start: 0, end: this.length });
    this.#residual?.fill(0);
  }
}
