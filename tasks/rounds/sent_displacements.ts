/**
 * Rounds in which each rank sends all others a part of what it owes (SparseLoCo), see `SentDisplacements` of
 * `optimizers/algorithm.ts`.
 *
 * @module
 */

import type { SentDisplacements } from "../../optimizers/mod.ts";
import { codecOf } from "../../runtime/compression/registry.ts";
import { decode, encode } from "../../runtime/compression/tile.ts";
import { loadTensor, type StateDict } from "../run/checkpoint.ts";
import type { PendingAverage, WeightAveraging } from "./averaging.ts";
import { type PartMean, plainMean } from "./part_exchange.ts";

/**
 * With r the point that all ranks have alike, and e_i what this rank owes, zero at first:
 *
 *     e_i ← β e_i + x^i − r,     x^i ← r + (1/N) Σ_j C(e_j),     e_i ← e_i − C(e_i)
 *
 * The sum is in the order of ranks, in float64, and rounded once, so that all ranks have the same bits. Running
 * statistics travel as they are.
 */
export class SentMean implements PartMean {
  readonly #averaging: WeightAveraging;
  readonly #sends: SentDisplacements;
  readonly #statistics: PartMean;
  readonly #hasStatistics: boolean;
  /** r */
  readonly #reference: Float32Array;
  /** e_i */
  readonly #owed: Float32Array;

  /**
   * @param owed e_i, as many floats as are trained; becomes the object's
   * @param length of the part, with the running statistics that are averaged
   */
  constructor(
    averaging: WeightAveraging,
    sends: SentDisplacements,
    owed: Float32Array,
    length: number,
  ) {
    this.#averaging = averaging;
    this.#sends = sends;
    this.#statistics = plainMean(averaging);
    this.#hasStatistics = length > owed.length;
    this.#reference = new Float32Array(owed.length);
    this.#owed = owed;
  }

  get residual(): Float32Array {
    return this.#owed;
  }

  startFrom(values: Float32Array): void {
    this.#reference.set(values.subarray(0, this.#reference.length));
  }

  async average(values: Float32Array | null, participants: readonly number[]): Promise<void> {
    if (!values) throw new TypeError("every rank takes part where ranks send what they owe");
    const owed = this.#owed, reference = this.#reference, { compress, decay } = this.#sends;
    const moved = new Float32Array(owed.length), codec = codecOf(compress);
    if (!codec) throw new RangeError(`ranks cannot send what they owe with compression "none"`);
    for (let i = 0; i < moved.length; i++) {
      owed[i] *= decay;
      moved[i] = values[i] - reference[i];
    }
    const own = new Uint8Array(codec.bytes(moved.length));
    encode(codec, moved, own, owed);
    const sent = await this.#averaging.gather(own, moved.byteLength),
      sum = new Float64Array(moved.length);
    for (let from = 0; from < sent.length; from += own.length) {
      decode(codec, sent.subarray(from, from + own.length), moved);
      for (let i = 0; i < sum.length; i++) sum[i] += moved[i];
    }
    const ranks = participants.length;
    for (let i = 0; i < sum.length; i++) values[i] = reference[i] + Math.fround(sum[i] / ranks);
    if (this.#hasStatistics) {
      await this.#statistics.average(values.subarray(moved.length), participants, 1);
    }
  }

  begin(): Promise<PendingAverage> {
    return Promise.reject(new TypeError("what ranks owe is waited for"));
  }

  /** Where all ranks stood alike, and what this one owes. */
  save(): Promise<StateDict> {
    const dims = [this.#reference.length];
    const tensors = [
      { name: "sends.reference", dims, data: this.#reference },
      { name: "sends.owed", dims, data: this.#owed },
    ];
    return Promise.resolve({ tensors, numbers: {} });
  }

  /** Goes on from there. */
  restore(state: StateDict): Promise<void> {
    this.#reference.set(loadTensor(state, "sends.reference", this.#reference.length));
    this.#owed.set(loadTensor(state, "sends.owed", this.#owed.length));
    return Promise.resolve();
  }
}
