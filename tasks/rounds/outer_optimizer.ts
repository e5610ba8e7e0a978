/**
 * An outer optimizer at work: where the round began, and what it carries from round to round.
 *
 * @module
 */

import type { OuterStep, StepSize } from "../../optimizers/mod.ts";
import { loadTensor, type StateDict, type Stateful } from "../run/checkpoint.ts";

/** One rank's outer optimizer. All ranks hold the same numbers. */
export class OuterOptimizer implements Stateful {
  readonly #step: OuterStep;
  readonly #start: Float32Array;
  readonly #buffer: Float32Array;
  /** Rounds since the last step. */
  #rounds = 0;

  /** @param start the initial weights, copied */
  constructor(step: OuterStep, start: Float32Array) {
    this.#step = step;
    this.#start = start.slice();
    this.#buffer = new Float32Array(start.length);
  }

  /** Moves from the averaged weights to where the next round begins, in place, if a step is due. */
  move(average: Float32Array, size: StepSize): void {
    if (++this.#rounds < (this.#step.every ?? 1)) return;
    this.#rounds = 0;
    this.#step.move(average, this.#start, this.#buffer, size);
    this.#start.set(average);
  }

  /** Where the round began, and the buffer. */
  save(): Promise<StateDict> {
    const dims = [this.#start.length];
    const tensors = [
      { name: "outer.start", dims, data: this.#start },
      { name: "outer.buffer", dims, data: this.#buffer },
    ];
    return Promise.resolve({ tensors, numbers: { "outer.rounds": this.#rounds } });
  }

  /** Goes on from there. */
  restore(state: StateDict): Promise<void> {
    this.#start.set(loadTensor(state, "outer.start", this.#start.length));
    // Checkpoints of earlier versions do not have it: they took a step after each round.
    this.#rounds = state.numbers["outer.rounds"] ?? 0;
    this.#buffer.set(loadTensor(state, "outer.buffer", this.#buffer.length));
    return Promise.resolve();
  }
}
