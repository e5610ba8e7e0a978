/**
 * The mean of one part of the weights, compressed: what travels is how far each rank has moved since all
 * last stood at one point.
 *
 * @module
 */

import { loadTensor, type StateDict } from "../run/checkpoint.ts";
import type { CompressedAverage, PendingAverage, WeightAveraging } from "./averaging.ts";
import type { PartMean } from "./part_exchange.ts";

/**
 * With r the point that all ranks have alike, and e_i what this rank has lost so far, zero at first:
 *
 *     x^i ← r + (1/N) Σ_j Q(x^j − r + e_j),     e_i ← what is lost of it
 *
 * where the sum is compressed as well, by the rank that forms it (`runtime/algorithms/allreduce_compressed.ts`).
 * A rank that counts for more than others has its displacement multiplied by that. The next r is where all ranks
 * go on from. A rank that takes no part sends nothing, but gets the sum, so that it has r alike; its e_i waits.
 * Running statistics are few, and travel with it as they are.
 */
export class CompressedMean implements PartMean {
  readonly #averaging: WeightAveraging;
  /** With e_i. */
  readonly #compression: CompressedAverage;
  /** r */
  readonly #reference: Float32Array;
  /** x^i − r, then what comes of it. */
  readonly #moved: Float32Array;
  /** The rank's own, then their mean. */
  readonly #statistics: Float32Array;

  /**
   * @param compression how, for its trained floats; the object's
   * @param length of the part, with the running statistics that are averaged
   */
  constructor(averaging: WeightAveraging, compression: CompressedAverage, length: number) {
    const trained = compression.residual.length;
    this.#averaging = averaging;
    this.#compression = compression;
    this.#statistics = new Float32Array(length - trained);
    this.#reference = new Float32Array(trained);
    this.#moved = new Float32Array(trained);
  }

  get residual(): Float32Array {
    return this.#compression.residual;
  }

  startFrom(values: Float32Array): void {
    this.#reference.set(values.subarray(0, this.#reference.length));
  }

  async average(
    values: Float32Array | null,
    participants: readonly number[],
    weight: number,
  ): Promise<void> {
    const exact = this.#statistics, statistics = values?.subarray(this.#reference.length);
    if (values) this.#leave(values, weight);
    if (statistics) exact.set(statistics.map((value) => weight * value));
    const mixed = { ...this.#compression, exact };
    const taken = await this.#averaging.averageForAll(this.#moved, participants, mixed);
    if (!taken) return;
    this.#arrive(values ?? this.#reference);
    statistics?.set(exact);
  }

  async begin(values: Float32Array): Promise<PendingAverage> {
    this.#leave(values);
    const pending = await this.#averaging.begin(this.#moved, this.#compression);
    return {
      progress: () => pending.progress(),
      wait: async () => {
        await pending.wait();
        this.#arrive(values);
      },
    };
  }

  #leave(values: Float32Array, weight = 1): void {
    const moved = this.#moved, reference = this.#reference;
    for (let i = 0; i < moved.length; i++) moved[i] = weight * (values[i] - reference[i]);
  }

  #arrive(values: Float32Array): void {
    const moved = this.#moved, reference = this.#reference;
    for (let i = 0; i < moved.length; i++) values[i] = reference[i] + moved[i];
  }

  /** Where all ranks stood alike, and what this one has lost. */
  save(): Promise<StateDict> {
    const dims = [this.#reference.length];
    const tensors = [
      { name: "compress.reference", dims, data: this.#reference },
      { name: "compress.residual", dims, data: this.#compression.residual },
    ];
    return Promise.resolve({ tensors, numbers: {} });
  }

  /** Goes on from there. */
  restore(state: StateDict): Promise<void> {
    const { length } = this.#reference;
    this.#reference.set(loadTensor(state, "compress.reference", length));
    this.#compression.residual.set(loadTensor(state, "compress.residual", length));
    return Promise.resolve();
  }
}
