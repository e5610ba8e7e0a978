/**
 * The running average of the weights over the steps, of all alike or of the last ones above all: see
 * `optimizers/non_monotone_averaging.ts` and `optimizers/moving_average.ts`.
 *
 * @module
 */

import { movingAverageWeight } from "../../optimizers/moving_average.ts";
import { averageWeight } from "../../optimizers/non_monotone_averaging.ts";
import type { DeviceState } from "../../runtime/devices/device.ts";

/** Averages on a device, which the step's graph moves on. It owns them. */
export class WeightAverages implements AsyncDisposable {
  /** The averages, in the order of the trained weights. */
  readonly state: DeviceState;
  /** Steps over which they are. */
  steps = 0;

  readonly #decay: number | null;

  /**
   * @param state zeros at first; becomes the object's
   * @param decay of an exponential moving average; null: all steps have the same weight
   */
  constructor(state: DeviceState, decay: number | null = null) {
    this.state = state;
    this.#decay = decay;
  }

  /** Counts a step. Returns the weight μ with which it enters the averages. */
  next(): number {
    const step = ++this.steps, decay = this.#decay;
    return decay === null ? averageWeight(step) : movingAverageWeight(step, decay);
  }

  /** Disposes of the averages. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.state[Symbol.asyncDispose]();
  }
}
