/**
 * Overlapped averaging at work: the average that is on its way while the steps go on, see
 * `optimizers/overlap.ts`.
 *
 * @module
 */

import { correction } from "../../optimizers/overlap.ts";
import { loadNumber, loadTensor, type StateDict } from "../run/checkpoint.ts";
import { distance, type PendingAverage } from "./averaging.ts";
import {
  type ArrivedAverage,
  merged,
  type PartExchange,
  type PartMean,
  type PartMeeting,
} from "./part_exchange.ts";

/**
 * The ranks go on while the average travels, and catch up with it in the part's next round. It is of trained
 * weights alone, among all ranks.
 */
export class OverlappedExchange implements PartExchange {
  readonly #mean: PartMean;
  /** The rank's own values when the round ended. */
  readonly #start: Float32Array;
  /** The same, turning into their average over the ranks, and then into what is to be added. */
  readonly #average: Float32Array;
  #bound: number | null = null;
  #pending: PendingAverage | null = null;
  #arrived: ArrivedAverage | null = null;

  /** @param trained the part's floats */
  constructor(mean: PartMean, trained: number) {
    this.#mean = mean;
    this.#start = new Float32Array(trained);
    this.#average = new Float32Array(trained);
  }

  start(initial: Float32Array): void {
    this.#mean.startFrom(initial);
  }

  async meet(
    values: Float32Array | null,
    { bound }: PartMeeting,
  ): Promise<ArrivedAverage | null> {
    if (!values) throw new TypeError("every rank takes part in overlapped averages");
    const arrived = await this.arrive();
    // Makes up for the average: x ← x + (x̄_k − x_k).
    if (arrived) { for (let i = 0; i < values.length; i++) values[i] += this.#average[i]; }
    this.#arrived = null;
    this.#start.set(values);
    this.#average.set(values);
    this.#bound = bound;
    this.#pending = await this.#mean.begin(this.#average);
    return arrived;
  }

  async progress(): Promise<void> {
    await this.#pending?.progress();
  }

  async arrive(): Promise<ArrivedAverage | null> {
    if (!this.#pending) return this.#arrived;
    await this.#pending.wait();
    this.#pending = null;
    const drift = distance(this.#start, this.#average);
    this.#mean.startFrom(this.#average);
    correction(this.#average, this.#start);
    return this.#arrived = { drift, bound: this.#bound };
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
    const tensors = [{ name: "overlap.correction", dims, data: this.#average }];
    return merged([{ tensors, numbers }, await this.#mean.save()]);
  }

  async restore(state: StateDict): Promise<void> {
    this.#average.set(loadTensor(state, "overlap.correction", this.#average.length));
    const bound = loadNumber(state, "overlap.bound");
    this.#arrived = loadNumber(state, "overlap.arrived")
      ? { drift: loadNumber(state, "overlap.drift"), bound: bound < 0 ? null : bound }
      : null;
    await this.#mean.restore(state);
  }
}
