/**
 * An outer optimizer at work: where the round began, and what it carries from round to round.
 *
 * @module
 */

import type { OuterStep, StepSize } from "../optimizers/mod.ts";

/** One rank's outer optimizer. All ranks hold the same numbers. */
export class Outer {
  readonly #step: OuterStep;
  readonly #start: Float32Array;
  readonly #buffer: Float32Array;

  /** @param start the initial weights, copied */
  constructor(step: OuterStep, start: Float32Array) {
    this.#step = step;
    this.#start = start.slice();
    this.#buffer = new Float32Array(start.length);
  }

  /** Moves from the averaged weights to where the next round begins, in place. */
  move(average: Float32Array, size: StepSize): void {
    this.#step.move(average, this.#start, this.#buffer, size);
    this.#start.set(average);
  }
}
