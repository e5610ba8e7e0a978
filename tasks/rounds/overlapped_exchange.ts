/**
 * Overlapped averaging at work: the average that is on its way while the steps go on, see
 * `optimizers/rounds/overlap.ts`.
 *
 * @module
 */

import type { OuterStep, Overlap, StepSize } from "../../optimizers/mod.ts";
import { lateBound, takeOver } from "../../optimizers/rounds/overlap.ts";
import { loadNumber, loadTensor, type StateDict } from "../run/checkpoint.ts";
import { distance, type PendingAverage } from "./averaging.ts";
import { OuterOptimizer } from "./outer_optimizer.ts";
import {
  type ArrivedAverage,
  lostBy,
  merged,
  type PartExchange,
  type PartMean,
  type PartMeeting,
} from "./part_exchange.ts";

/** How averages are taken over late. */
export interface OverlappedParts {
  readonly mean: PartMean;
  /** The part's floats, all of them trained. */
  readonly length: number;
  readonly overlap: Overlap;
  /** The outer optimizer's step from each average; null: it stands. */
  readonly outer: OuterStep | null;
}

/**
 * The ranks go on while the average travels, and take it over later, in the part's next round at the latest.
 * It is of trained weights alone, among all ranks.
 */
export class OverlappedExchange implements PartExchange {
  readonly #parts: OverlappedParts;
  #outer: OuterOptimizer | null = null;
  /** The rank's own values when the round ended. */
  readonly #start: Float32Array;
  /** The same, turning into their average over the ranks, and where the outer optimizer goes from there. */
  readonly #average: Float32Array;
  /** Of the round whose average travels, or has been taken over last. */
  #bound: number | null = null;
  #size: StepSize | null = null;
  #pending: PendingAverage | null = null;
  #arrived: ArrivedAverage | null = null;

  constructor(parts: OverlappedParts) {
    this.#parts = parts;
    this.#start = new Float32Array(parts.length);
    this.#average = new Float32Array(parts.length);
  }

  start(initial: Float32Array): void {
    const { outer, mean } = this.#parts;
    this.#outer = outer && new OuterOptimizer(outer, initial);
    mean.startFrom(initial);
  }

  async meet(
    values: Float32Array | null,
    { bound, steps, size }: PartMeeting,
  ): Promise<ArrivedAverage | null> {
    if (!values) throw new TypeError("every rank takes part in overlapped averages");
    const arrived = await this.takeOver(values);
    this.#start.set(values);
    this.#average.set(values);
    this.#bound = lateBound(this.#parts.overlap, this.#bound, bound, steps);
    this.#size = size;
    this.#pending = await this.#parts.mean.begin(this.#average);
    return arrived;
  }

  async takeOver(values: Float32Array | null): Promise<ArrivedAverage | null> {
    const arrived = await this.arrive();
    if (arrived && values) takeOver(this.#parts.overlap, values, this.#average, this.#start);
    this.#arrived = null;
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
    this.#outer?.move(this.#average, this.#size!);
    this.#parts.mean.startFrom(this.#average);
    return this.#arrived = { drift, bound: this.#bound, ...lostBy(this.#parts.mean) };
  }

  /** What is still to be taken over, after waiting for it. Collective. */
  async save(): Promise<StateDict> {
    const arrived = await this.arrive();
    const { mean, overlap } = this.#parts;
    const numbers = {
      "overlap.arrived": arrived ? 1 : 0,
      "overlap.drift": arrived?.drift ?? 0,
      "overlap.bound": this.#bound ?? -1,
    };
    const dims = [this.#average.length];
    const tensors = overlap.mix === null
      ? [{ name: "overlap.correction", dims, data: correction(this.#average, this.#start) }]
      : [{ name: "overlap.average", dims, data: this.#average }];
    return merged([await this.#outer?.save(), { tensors, numbers }, await mean.save()]);
  }

  async restore(state: StateDict): Promise<void> {
    const { mean, overlap, length } = this.#parts;
    await this.#outer?.restore(state);
    const name = overlap.mix === null ? "overlap.correction" : "overlap.average";
    this.#average.set(loadTensor(state, name, length));
    // A correction is the way from zero to it.
    this.#start.fill(0);
    const bound = loadNumber(state, "overlap.bound");
    this.#bound = bound < 0 ? null : bound;
    this.#arrived = loadNumber(state, "overlap.arrived")
      ? { drift: loadNumber(state, "overlap.drift"), bound: this.#bound }
      : null;
    await mean.restore(state);
    if (this.#arrived) this.#arrived = { ...this.#arrived, ...lostBy(mean) };
  }
}

/** What an average that is taken over adds to the rank's weights. */
function correction(average: Float32Array, start: Float32Array): Float32Array {
  return average.map((x, i) => x - start[i]);
}
