/**
 * Overlapped averaging at work: the average that is on its way while the steps go on, see
 * `optimizers/overlap.ts`.
 *
 * @module
 */

import { correction } from "../../optimizers/overlap.ts";
import { loadNumber, loadTensor, type StateDict, type Stateful } from "../run/checkpoint.ts";
import { distance, type PendingAverage, type WeightAveraging } from "./averaging.ts";

/** What is known of a round when its average has arrived. */
export interface LateAverage {
  /** Distance ‖x̄_k − x_k^i‖₂ of this rank's weights to the average when the round ended. */
  readonly drift: number;
  /** What is proven that it cannot exceed; null where nothing is. */
  readonly bound: number | null;
}

/** One rank's end of an average on its way. Every rank makes the same calls in the same order. */
export class OverlappedAveraging implements Stateful {
  readonly #averaging: WeightAveraging;
  /** The rank's own values when the round ended. */
  readonly #start: Float32Array;
  /** The same, turning into their average over the ranks, and then into what is to be added. */
  readonly #average: Float32Array;
  #bound: number | null = null;
  #pending: PendingAverage | null = null;
  #arrived: LateAverage | null = null;

  /** @param length of the trained weights */
  constructor(averaging: WeightAveraging, length: number) {
    this.#averaging = averaging;
    this.#start = new Float32Array(length);
    this.#average = new Float32Array(length);
  }

  /** Ends a round: a copy of the values is averaged while the caller goes on. Collective. */
  async begin(values: Float32Array, bound: number | null): Promise<void> {
    this.#start.set(values);
    this.#average.set(values);
    this.#bound = bound;
    this.#pending = await this.#averaging.begin(this.#average);
  }

  /** Lets the average move on while nothing else does: a turn of the event loop. */
  async progress(): Promise<void> {
    await this.#pending?.progress();
  }

  /** Waits for the average of the last round; null if there was none. Collective. */
  async arrive(): Promise<LateAverage | null> {
    if (!this.#pending) return this.#arrived;
    await this.#pending.wait();
    this.#pending = null;
    const drift = distance(this.#start, this.#average);
    correction(this.#average, this.#start);
    return this.#arrived = { drift, bound: this.#bound };
  }

  /** Makes up for an average that has arrived, in place: x ← x + (x̄_k − x_k). */
  apply(values: Float32Array): void {
    for (let i = 0; i < values.length; i++) values[i] += this.#average[i];
    this.#arrived = null;
  }

  /** What is still to be added, after waiting for it. Collective. */
  async save(): Promise<StateDict> {
    const arrived = await this.arrive();
    const { drift = 0, bound = null } = arrived ?? {};
    const numbers = {
      "overlap.arrived": arrived ? 1 : 0,
      "overlap.drift": drift,
      "overlap.bound": bound ?? -1,
    };
    const dims = [this.#average.length];
    return { tensors: [{ name: "overlap.correction", dims, data: this.#average }], numbers };
  }

  /** Goes on from there. */
  restore(state: StateDict): Promise<void> {
    this.#average.set(loadTensor(state, "overlap.correction", this.#average.length));
    const bound = loadNumber(state, "overlap.bound");
    this.#arrived = loadNumber(state, "overlap.arrived")
      ? { drift: loadNumber(state, "overlap.drift"), bound: bound < 0 ? null : bound }
      : null;
    return Promise.resolve();
  }
}
