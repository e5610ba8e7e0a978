/**
 * The exchange of one part of the weights, from round to round. Two things about it can differ, each by
 * itself: how the mean over the ranks is formed (as it is, or compressed), which is a {@linkcode PartMean},
 * and when the ranks take it over (in the round itself, or later), which is a {@linkcode PartExchange}
 * around one. Neither knows which part of the weights it works on: it is given the part's floats in one
 * piece, and what it keeps from round to round is saved under the part's name.
 *
 * @module
 */

import type { OuterStep, StepSize } from "../../optimizers/mod.ts";
import type { StateDict, Stateful } from "../run/checkpoint.ts";
import { distance, norm, type PendingAverage, type WeightAveraging } from "./averaging.ts";
import { OuterOptimizer } from "./outer_optimizer.ts";

/** Forms the mean of one part of the weights. Every rank makes the same calls in the same order. */
export interface PartMean extends Stateful {
  /**
   * Replaces values by their mean over some ranks, in place, the same bits on each. Collective over all ranks.
   *
   * @param values null on a rank that takes no part
   * @param participants in increasing order, the same on every rank
   * @param weight how much this rank counts for; in the mean over those that take part, 1
   */
  average(
    values: Float32Array | null,
    participants: readonly number[],
    weight: number,
  ): Promise<void>;
  /** Begins to replace values by their mean over all ranks; they are the exchange's until then. Collective. */
  begin(values: Float32Array): Promise<PendingAverage>;
  /**
   * Says where those ranks that took part go on from, alike: the initial weights, or what a round came to. The
   * values are the caller's.
   */
  startFrom(values: Float32Array): void;
  /** What this rank has lost of what it sent and not yet made up for, one float for each trained weight. */
  readonly residual?: Float32Array;
}

/** What a part's round is held with. */
export interface PartMeeting {
  /** The ranks that take part, in increasing order. */
  readonly participants: readonly number[];
  /** η and γ of the last step. */
  readonly size: StepSize;
  /** What is proven that no rank's distance to the average exceeds; null where nothing is. */
  readonly bound: number | null;
  /** Steps from the part's round before to this one, at most. */
  readonly steps: number;
  /** How much this rank counts for in the mean; over those that take part, 1 in the mean. */
  readonly weight: number;
}

/** An average that a rank has taken over, or that has arrived. */
export interface ArrivedAverage {
  /** Distance ‖x̄ − x_i‖₂ of this rank's trained weights to it when the round began. */
  readonly drift: number;
  /** What is proven that it cannot exceed; null where nothing is. */
  readonly bound: number | null;
  /** ‖e_i‖₂ of what this rank has lost of the part and not yet made up for; absent where nothing is lost. */
  readonly residualNorm?: number;
}

/** Exchanges one part of the weights. Every rank makes the same calls in the same order. */
export interface PartExchange extends Stateful {
  /** Whether the weights stay on their device: it is given none, and moves them there. */
  readonly onDevice?: boolean;
  /** Takes note of the initial weights, which all ranks have alike. To be called first. */
  start(initial: Float32Array): void | Promise<void>;
  /**
   * A round of the part. Collective.
   *
   * @param values the rank's own, trained weights first; become what it goes on from. Null on a rank that
   * takes no part
   * @returns the average that the rank has taken over; null if there was none
   */
  meet(values: Float32Array | null, meeting: PartMeeting): Promise<ArrivedAverage | null>;
  /**
   * Takes over an average that is on its way, before the part's next round, and waits for it.
   *
   * @param values as in {@linkcode meet}; null where they stay on their device
   * @returns null if there is none
   */
  takeOver(values: Float32Array | null): Promise<ArrivedAverage | null>;
  /** Lets an average move on that is on its way: a turn of the event loop. */
  progress(): Promise<void>;
  /** Waits for an average that is on its way; null if there is none. Collective. */
  arrive(): Promise<ArrivedAverage | null>;
}

/**
 * The mean as it is, in float32.
 *
 * @param forAll whether the ranks that take no part get it too; they then give the values that it replaces
 */
export function plainMean(averaging: WeightAveraging, forAll = false): PartMean {
  return {
    async average(values, participants, weight) {
      if (forAll && values) await averaging.averageForAll(values, participants);
      else await averaging.average(values, participants, null, weight);
    },
    begin: (values) => averaging.begin(values),
    startFrom() {},
    save: () => Promise.resolve({ tensors: [], numbers: {} }),
    restore: () => Promise.resolve(),
  };
}

/** The ranks wait for the average in the round itself: x^i ← x̄, and the outer optimizer's step from there. */
export class WaitedExchange implements PartExchange {
  readonly #mean: PartMean;
  readonly #outerStep: OuterStep | null;
  #outer: OuterOptimizer | null = null;
  /** This rank's trained weights before they are averaged. */
  readonly #before: Float32Array;

  /** @param trained how many of the part's floats are */
  constructor(mean: PartMean, trained: number, outer: OuterStep | null) {
    this.#mean = mean;
    this.#outerStep = outer;
    this.#before = new Float32Array(trained);
  }

  start(initial: Float32Array): void {
    const trained = initial.subarray(0, this.#before.length);
    this.#outer = this.#outerStep && new OuterOptimizer(this.#outerStep, trained);
    this.#mean.startFrom(initial);
  }

  async meet(
    values: Float32Array | null,
    { participants, size, bound, weight }: PartMeeting,
  ): Promise<ArrivedAverage> {
    const trained = values?.subarray(0, this.#before.length);
    if (trained) this.#before.set(trained);
    await this.#mean.average(values, participants, weight);
    if (!values || !trained) return { drift: 0, bound };
    const drift = distance(this.#before, trained);
    this.#outer?.move(trained, size);
    this.#mean.startFrom(values);
    return { drift, bound, ...lostBy(this.#mean) };
  }

  takeOver(): Promise<null> {
    return Promise.resolve(null);
  }

  progress(): Promise<void> {
    return Promise.resolve();
  }

  arrive(): Promise<null> {
    return Promise.resolve(null);
  }

  async save(): Promise<StateDict> {
    return merged([await this.#outer?.save(), await this.#mean.save()]);
  }

  async restore(state: StateDict): Promise<void> {
    await this.#outer?.restore(state);
    await this.#mean.restore(state);
  }
}

/** What a mean's compression has left of this rank's own. */
export function lostBy({ residual }: PartMean): Pick<ArrivedAverage, "residualNorm"> {
  return residual ? { residualNorm: norm(residual) } : {};
}

/** What several have saved, as one. */
export function merged(states: readonly (StateDict | undefined)[]): StateDict {
  const present = states.filter((each) => each !== undefined);
  return {
    tensors: present.flatMap(({ tensors }) => tensors),
    numbers: Object.assign({}, ...present.map(({ numbers }) => numbers)),
  };
}
