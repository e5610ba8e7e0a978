/**
 * The running average of the weights over the steps, see `optimizers/non_monotone_averaging.ts`.
 *
 * @module
 */

import { averageWeight } from "../../optimizers/non_monotone_averaging.ts";
import type { DeviceState } from "../../runtime/devices/device.ts";

/** Averages on a device, which the step's graph moves on. It owns them. */
export class WeightAverages implements AsyncDisposable {
  /** The averages, in the order of the trained weights. */
  readonly state: DeviceState;
  /** Steps over which they are. */
  steps = 0;

  /** @param state zeros at first; becomes the object's */
  constructor(state: DeviceState) {
    this.state = state;
  }

  /** Counts a step. Returns the weight μ with which it enters the averages. */
  next(): number {
    return averageWeight(++this.steps);
  }

  /** Disposes of the averages. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.state[Symbol.asyncDispose]();
  }
}
