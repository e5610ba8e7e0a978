/**
 * What one rank forms the sums of, in a codec's bytes, and what ranks of one host send for it as one.
 *
 * @module
 */

import { joined } from "../base/datatypes.ts";
import { type ExactTerm, partialSum } from "../compression/exact_sum.ts";
import type { EncodedSum, SumInput } from "./encoded_numbers.ts";
import { chunks, type Range } from "./partition.ts";

/** What some ranks of one host have written, made by {@linkcode EncodedSlices.bundle}. */
export interface Bundle {
  /** All ranks of that host. */
  readonly ranks: readonly number[];
  readonly bytes: Uint8Array;
}

/** For each sum its partial sum, or what ranks have written. */
interface Opened {
  readonly partials: ExactTerm[][];
  readonly inputs: [rank: number, bytes: Uint8Array][][];
}

/** What a slice has of one of the sums: which of its numbers, and where. */
interface SlicePart {
  readonly sum: EncodedSum;
  readonly chunk: Range;
  readonly from: number;
  readonly to: number;
}

/** Several sums as one slice for each rank, which holds the bytes of one sum after those of the other. */
export class EncodedSlices {
  readonly #sums: readonly EncodedSum[];
  readonly #parts: readonly (readonly SlicePart[])[];
  /** The slices of all ranks, in their order. */
  readonly #bytes: Uint8Array;
  readonly #ends: readonly number[];

  constructor(sums: readonly EncodedSum[], ranks: number) {
    const cut = sums.map(({ codec, numbers }) => chunks(numbers.length, ranks, codec.block));
    let end = 0;
    this.#sums = sums;
    this.#parts = Array.from({ length: ranks }, (_, owner) => {
      let to = 0;
      return sums.map((sum, i) => {
        const chunk = cut[i][owner], from = to;
        to += sum.codec.bytes(chunk.end - chunk.start);
        return { sum, chunk, from, to };
      });
    });
    this.#ends = this.#parts.map((parts) => end += parts.at(-1)!.to);
    this.#bytes = new Uint8Array(end);
  }

  /** The slice of a rank. */
  of(owner: number): Uint8Array {
    return this.#bytes.subarray(this.#ends[owner - 1] ?? 0, this.#ends[owner]);
  }

  async prepare(own: number): Promise<void> {
    for (const { sum, chunk } of this.#parts[own]) await sum.numbers.prepare(chunk);
  }

  /** Writes the slice of another rank. */
  write(owner: number): void {
    const slice = this.of(owner);
    for (const { sum, chunk, from, to } of this.#parts[owner]) {
      sum.numbers.write(chunk, slice.subarray(from, to));
    }
  }

  /**
   * Writes this rank's own, from what all have written.
   *
   * @param inputs of each rank; null for those that contribute nothing or are in a bundle
   */
  async sum(
    own: number,
    inputs: readonly SumInput[],
    bundles: readonly Bundle[] = [],
  ): Promise<void> {
    const slice = this.of(own), opened = bundles.map((bundle) => this.#open(own, bundle));
    for (const [i, { sum, chunk, from, to }] of this.#parts[own].entries()) {
      const written = inputs.map((each) =>
        each instanceof Uint8Array ? each.subarray(from, to) : each
      );
      const into = slice.subarray(from, to);
      if (sum.codec.integerBits) {
        const terms = opened.flatMap(({ partials }) => partials[i] ?? []);
        for (const bytes of written) {
          if (bytes instanceof Uint8Array) terms.push({ bytes, isPartial: false });
        }
        await sum.numbers.sumExactly!(chunk, terms, written[own] === "own", into);
        continue;
      }
      for (const { inputs } of opened) {
        for (const [rank, bytes] of inputs[i]) written[rank] = bytes;
      }
      await sum.numbers.sum(chunk, written, into);
    }
  }

  /**
   * What the ranks of a host have written of a rank's slice as one: for each of them whether it contributes, then of
   * each sum the partial one, its length before it, or where rounding would show what each has written. Nothing if
   * nobody contributes.
   */
  bundle(owner: number, inputs: readonly (Uint8Array | null)[]): Uint8Array {
    const written = inputs.filter((input) => input !== null);
    if (written.length === 0) return new Uint8Array();
    const pieces: Uint8Array[] = [Uint8Array.from(inputs, (input) => input === null ? 0 : 1)];
    for (const { sum: { codec }, chunk, from, to } of this.#parts[owner]) {
      const each = written.map((input) => input.subarray(from, to));
      if (!codec.integerBits) pieces.push(...each);
      else {
        const partial = partialSum(codec, each, chunk.end - chunk.start);
        pieces.push(new Uint8Array(Uint32Array.of(partial.length).buffer), partial);
      }
    }
    return joined(pieces);
  }

  /** Takes a bundle apart. @throws RangeError if it is no bundle of these ranks */
  #open(owner: number, { ranks, bytes }: Bundle): Opened {
    const opened: Opened = { partials: [], inputs: [] };
    const contributing = ranks.filter((_, i) => bytes[i] === 1);
    let at = ranks.length;
    const take = (length: number) => bytes.subarray(at, at += length);
    for (const { sum: { codec }, from, to } of this.#parts[owner]) {
      const inputs: Opened["inputs"][number] = [], partials: ExactTerm[] = [];
      opened.inputs.push(inputs);
      opened.partials.push(partials);
      if (bytes.length === 0) continue;
      if (codec.integerBits) {
        const length = take(4);
        const partial = length.length === 4 ? new Uint32Array(length.slice().buffer)[0] : 0;
        partials.push({ bytes: take(partial), isPartial: true });
      } else for (const rank of contributing) inputs.push([rank, take(to - from)]);
    }
    if (bytes.length > 0 && at !== bytes.length) {
      throw new RangeError(
        `a bundle of the slice of rank ${owner} by ranks ${
          ranks.join(", ")
        } has ${bytes.length} bytes, ` +
          `but says ${at}`,
      );
    }
    return opened;
  }

  /** Takes the sums over when all slices are here. */
  async read(): Promise<void> {
    if (this.#sums.length === 1) return await this.#sums[0].numbers.read(this.#bytes);
    for (const [i, { codec, numbers }] of this.#sums.entries()) {
      const encoded = new Uint8Array(codec.bytes(numbers.length));
      let at = 0;
      for (const [owner, parts] of this.#parts.entries()) {
        const { from, to } = parts[i];
        encoded.set(this.of(owner).subarray(from, to), at);
        at += to - from;
      }
      await numbers.read(encoded);
    }
  }
}
