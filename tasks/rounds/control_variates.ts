/**
 * Control variates at work, see `ControlVariates` of `optimizers/algorithm.ts`: each rank keeps its own c_i and
 * the common c, and the step's correction is c − c_i.
 *
 * Where a run goes on with another number of ranks, each of them gets the mean of all c_i, which is c: steps
 * are then corrected by nothing until a rank has gradients of its own. Where ranks leave and come while a run goes
 * on, those that stay keep theirs, one that comes begins with c, and at the next renewal c is the mean of those
 * there are.
 *
 * @module
 */

import type { ControlVariates } from "../../optimizers/mod.ts";
import { loadTensor, type StateDict, type Stateful } from "../run/checkpoint.ts";
import { type CompressedAverage, norm, type WeightAveraging } from "./averaging.ts";

/** What takes the steps that are corrected. */
export interface ControlledSteps {
  /** The gradient of a mini-batch at the weights as they are; it holds until the next call. */
  gradientAside(batch: number): Promise<Float32Array>;
  /** The mean of the gradients taken since the last call; null if there was none. */
  takeMeanGradient(): Promise<Float32Array | null>;
  /** Corrects the steps that follow. @param common the norm by which whole rounds are clipped */
  setCorrection(correction: Float32Array, common: number): Promise<void>;
}

/** What control variates work with; all of it is the caller's. */
export interface ControlParts {
  readonly controls: ControlVariates;
  /** Carries them. */
  readonly averaging: WeightAveraging;
  readonly steps: ControlledSteps;
  /** Floats of the trained weights. */
  readonly length: number;
  readonly rank: number;
  readonly ranks: number;
  /** Whether the ranks were others before, so that c is not the mean of theirs. @default {false} */
  readonly recentres?: boolean;
  /** The ranks that take part in a round, counted from 1. Pure. */
  participants(round: number): readonly number[];
}

/** One rank's control variates. Every rank makes the same calls in the same order. */
export class RankControls implements Stateful {
  readonly #parts: ControlParts;
  /** c_i */
  readonly #own: Float32Array;
  /** c */
  readonly #common: Float32Array;
  /** How changes of c travel; null: as they are. */
  readonly #compressed: CompressedAverage | null;

  /** Whether c is to become the mean of all c_i. */
  #recentres: boolean;

  constructor(parts: ControlParts) {
    this.#parts = parts;
    this.#recentres = parts.recentres ?? false;
    this.#compressed = parts.averaging.compression(parts.length);
    this.#own = new Float32Array(parts.length);
    this.#common = new Float32Array(parts.length);
  }

  /** Sets all c_i to what they begin as, of the initial weights. Collective. */
  async start(): Promise<void> {
    const { controls: { start }, averaging, steps } = this.#parts;
    if (start === 0) return;
    for (let batch = 0; batch < start; batch++) {
      const gradient = await steps.gradientAside(batch);
      for (let i = 0; i < gradient.length; i++) this.#own[i] += gradient[i];
    }
    for (let i = 0; i < this.#own.length; i++) this.#own[i] /= start;
    this.#common.set(this.#own);
    await averaging.average(this.#common);
    await this.#correct();
  }

  /** Renews them after a round, if it is time. Collective. */
  async renew(round: number): Promise<void> {
    const { controls: { every }, averaging, steps, rank, ranks, participants } = this.#parts;
    if (round % every !== 0) return;
    const taken = new Set<number>();
    for (let earlier = round - every + 1; earlier <= round; earlier++) {
      for (const each of participants(earlier)) taken.add(each);
    }
    const contributors = [...taken].sort((a, b) => a - b);
    const mean = taken.has(rank) ? await steps.takeMeanGradient() : null;
    const change = new Float32Array(this.#own.length);
    if (mean) {
      for (let i = 0; i < change.length; i++) change[i] = mean[i] - this.#own[i];
      this.#own.set(mean);
    }
    if (this.#recentres) {
      this.#recentres = false;
      this.#common.set(this.#own);
      await averaging.average(this.#common);
    } else {
      await averaging.averageForAll(change, contributors, this.#compressed);
      const share = contributors.length / ranks;
      for (let i = 0; i < change.length; i++) this.#common[i] += share * change[i];
    }
    await this.#correct();
  }

  async #correct(): Promise<void> {
    const correction = this.#common.map((common, i) => common - this.#own[i]);
    await this.#parts.steps.setCorrection(correction, norm(this.#common));
  }

  /** c_i and c; the correction is the steps' to save. */
  save(): Promise<StateDict> {
    const dims = [this.#own.length];
    const tensors = [
      { name: "controls.own", dims, data: this.#own },
      { name: "controls.common", dims, data: this.#common },
    ];
    const residual = this.#compressed?.residual;
    if (residual) tensors.push({ name: "controls.residual", dims, data: residual });
    const numbers: Record<string, number> = this.#recentres ? { "controls.recentres": 1 } : {};
    return Promise.resolve({ tensors, numbers });
  }

  /** Goes on from there. */
  restore(state: StateDict): Promise<void> {
    this.#own.set(loadTensor(state, "controls.own", this.#own.length));
    this.#common.set(loadTensor(state, "controls.common", this.#common.length));
    this.#recentres ||= "controls.recentres" in state.numbers;
    const residual = this.#compressed?.residual;
    residual?.set(loadTensor(state, "controls.residual", residual.length));
    return Promise.resolve();
  }
}
