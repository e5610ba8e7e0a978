/**
 * Rounds of weights that stay on their device: what leaves it and what comes to it are the bytes that travel.
 *
 * @module
 */

import type { EncodedNumbers, SumInput } from "../../runtime/algorithms/allreduce_compressed.ts";
import type { Range } from "../../runtime/algorithms/partition.ts";
import { codecOf } from "../../runtime/compression/registry.ts";
import type {
  Displacement,
  DisplacementState,
} from "../../runtime/devices/displacement/displacement.ts";
import { loadTensor, type StateDict } from "../run/checkpoint.ts";
import type { CompressedAverage, WeightAveraging } from "./averaging.ts";
import type { ArrivedAverage, PartExchange, PartMeeting } from "./part_exchange.ts";
import type { RoundParts } from "./round.ts";
import type { WeightsPart } from "./weights_part.ts";

/**
 * The exchange of a part whose weights can stay on their device; null if it needs them in this process's memory:
 * on a single rank; where averages come late, are stepped from or are weighed; where running statistics are
 * averaged with the weights; and where the device cannot follow them in the codec's bytes.
 */
export function deviceExchange(
  { algorithm, averaging, comm, weights }: RoundParts,
  { length, offset, trained }: WeightsPart,
  compression: CompressedAverage,
): PartExchange | null {
  const { outer, overlap, sends, timed } = algorithm;
  if (comm.size === 1 || outer || overlap || sends || timed?.weighs || length > trained) {
    return null;
  }
  const displacement = weights.follow(compression.compress, { offset, length: trained });
  const { rank } = comm, forAll = algorithm.undrawn === "waits";
  return displacement && new DeviceExchange(averaging, compression, displacement, { rank, forAll });
}

/** What `CompressedMean` computes, by the device. */
class DeviceExchange implements PartExchange {
  readonly onDevice = true;
  readonly #averaging: WeightAveraging;
  readonly #compression: CompressedAverage;
  readonly #displacement: Displacement;
  readonly #ranks: { readonly rank: number; readonly forAll: boolean };
  /** What the device has, if it has been read since the last round. */
  #state: DisplacementState | null = null;

  /** @param ranks this one; whether ranks that take no part go on from the average as well */
  constructor(
    averaging: WeightAveraging,
    compression: CompressedAverage,
    displacement: Displacement,
    ranks: { readonly rank: number; readonly forAll: boolean },
  ) {
    this.#averaging = averaging;
    this.#compression = compression;
    this.#displacement = displacement;
    this.#ranks = ranks;
  }

  start(): Promise<void> {
    return this.#displacement.startFrom();
  }

  async meet(
    _values: Float32Array | null,
    { participants, bound }: PartMeeting,
  ): Promise<ArrivedAverage> {
    const { rank, forAll } = this.#ranks, contributes = participants.includes(rank);
    const moves = contributes || forAll;
    const numbers = new DeviceNumbers(this.#displacement, this.#compression.compress, {
      by: participants.length,
      moves,
    });
    this.#state = null;
    await this.#averaging.sumEncoded(numbers, contributes);
    return { drift: moves ? numbers.drift : 0, bound };
  }

  takeOver(): Promise<null> {
    return Promise.resolve(null);
  }

  progress(): Promise<void> {
    return Promise.resolve();
  }

  /** Nothing is on its way; what has been lost is read, for those who ask how much it is. */
  async arrive(): Promise<null> {
    await this.#read();
    return null;
  }

  /** As `CompressedMean` saves it, which may go on from it. */
  async save(): Promise<StateDict> {
    const { reference, residual } = await this.#read();
    const dims = [reference.length];
    const tensors = [
      { name: "compress.reference", dims, data: reference },
      { name: "compress.residual", dims, data: residual },
    ];
    return { tensors, numbers: {} };
  }

  async restore(state: StateDict): Promise<void> {
    const { length } = this.#displacement;
    const reference = loadTensor(state, "compress.reference", length);
    const residual = loadTensor(state, "compress.residual", length);
    this.#compression.residual.set(residual);
    await this.#displacement.write({ reference, residual });
    this.#state = null;
  }

  async #read(): Promise<DisplacementState> {
    this.#state ??= await this.#displacement.read();
    this.#compression.residual.set(this.#state.residual);
    return this.#state;
  }
}

/** A displacement as numbers that ranks sum. */
class DeviceNumbers implements EncodedNumbers {
  readonly length: number;
  /** How far the weights were from what they, or those of the ranks that take part, have become. */
  drift = 0;
  readonly #displacement: Displacement;
  readonly #codec: { bytes(count: number): number };
  readonly #result: { readonly by: number; readonly moves: boolean };
  #encoded: Uint8Array = new Uint8Array();

  /** @param result what the sum is divided by, and whether the weights become that */
  constructor(
    displacement: Displacement,
    compress: string,
    result: { readonly by: number; readonly moves: boolean },
  ) {
    this.length = displacement.length;
    this.#displacement = displacement;
    this.#codec = codecOf(compress)!;
    this.#result = result;
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

  async read(encoded: Uint8Array): Promise<void> {
    const { by, moves } = this.#result;
    this.drift = await this.#displacement.apply(encoded, by, moves);
  }
}
