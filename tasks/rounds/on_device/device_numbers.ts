import type { EncodedNumbers, SumInput } from "../../../runtime/algorithms/encoded_numbers.ts";
import type { Range } from "../../../runtime/algorithms/partition.ts";
import type { Codec } from "../../../runtime/compression/codec.ts";
import { type ExactTerm, sumExactly } from "../../../runtime/compression/exact_sum.ts";
import { codecOf } from "../../../runtime/compression/registry.ts";
import type {
  AppliedSum,
  Displacement,
} from "../../../runtime/devices/displacement/displacement.ts";

/** What becomes of a sum. */
export interface SumUse {
  /** What it is divided by. */
  readonly by: number;
  /** Whether the weights become what it leads to. */
  readonly moves: boolean;
}

/** A displacement on a device as numbers that ranks sum. */
export class DeviceNumbers implements EncodedNumbers {
  readonly length: number;
  /** What the sum has come to, when there is one. */
  applied: AppliedSum = { way: 0, residual: 0 };
  /** The sum as it has travelled. */
  sent: Uint8Array = new Uint8Array();
  readonly #displacement: Displacement;
  readonly #codec: Codec;
  readonly #use: SumUse;
  #encoded: Uint8Array = new Uint8Array();

  /** @param compress as in `--compress`, the codec whose bytes the device writes */
  constructor(displacement: Displacement, compress: string, use: SumUse) {
    this.length = displacement.length;
    this.#displacement = displacement;
    this.#codec = codecOf(compress)!;
    this.#use = use;
  }

  async prepare({ start, end }: Range): Promise<void> {
    this.#encoded = await this.#displacement.encode({ offset: start, length: end - start });
  }

  write({ start }: Range, into: Uint8Array): void {
    const from = this.#codec.bytes(start);
    into.set(this.#encoded.subarray(from, from + into.length));
  }

  async sum(
    { start, end }: Range,
    inputs: readonly SumInput[],
    into: Uint8Array,
  ): Promise<void> {
    into.set(await this.#displacement.sum({ offset: start, length: end - start }, inputs));
  }

  /** By the processor, which alone can add without rounding. */
  async sumExactly(
    { start, end }: Range,
    terms: readonly ExactTerm[],
    contributes: boolean,
    into: Uint8Array,
  ): Promise<void> {
    const range = { offset: start, length: end - start }, loss = new Float32Array(range.length);
    const own = contributes ? await this.#displacement.reveal(range) : null;
    sumExactly(this.#codec, terms, own, range.length, into, loss);
    await this.#displacement.lose(range, loss, !contributes);
  }

  async read(encoded: Uint8Array): Promise<void> {
    const { by, moves } = this.#use;
    this.sent = encoded;
    this.applied = await this.#displacement.apply(encoded, by, moves);
  }
}
