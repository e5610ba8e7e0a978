/**
 * Gradients taken apart from the step that they lead to, so that the ranks can exchange them between.
 *
 * @module
 */

import type { Variable } from "../../models/mod.ts";
import type { Device, DeviceState, HostTensor } from "../../runtime/devices/device.ts";
import { gradientName } from "../networks/graphs.ts";
import { norm, type WeightAveraging } from "../rounds/averaging.ts";
import type { Feeds } from "../task.ts";
import type { Sessions } from "./sessions.ts";

/** The gradient's graph, and where its gradients stay on the device: it owns both. */
export class Gradients implements AsyncDisposable {
  /** `<p>.grad` of each parameter, in their order. */
  readonly state: DeviceState;
  /** Norm of the last average over the ranks that was formed aside; 0 before the first. */
  averageNorm = 0;
  readonly #sessions: Sessions;
  readonly #averaging: WeightAveraging;
  #average: Float32Array | undefined;

  /**
   * Makes room for the gradients of the parameters.
   *
   * @param sessions of the gradient's graph, to be bound; they become the object's
   * @param averaging carries the gradients
   */
  static async open(
    device: Device,
    parameters: readonly Variable[],
    sessions: Sessions,
    averaging: WeightAveraging,
  ): Promise<Gradients> {
    const specs = parameters.map(({ name, dims }) => ({ name: gradientName(name), dims }));
    return new Gradients(await device.allocate(specs), sessions, averaging);
  }

  private constructor(state: DeviceState, sessions: Sessions, averaging: WeightAveraging) {
    this.state = state;
    this.#sessions = sessions;
    this.#averaging = averaging;
  }

  /** Compiles the graph. Collective over the ranks that share. */
  async bind(state: readonly DeviceState[]): Promise<void> {
    const stored = Object.fromEntries(this.state.specs.map(({ name }) => [name, name]));
    await this.#sessions.bind([...state, this.state], stored);
  }

  /** Takes the gradient of a mini-batch. Returns the graph's outputs, such as its loss. */
  take(feeds: Feeds, length?: number): Promise<Record<string, HostTensor>> {
    return this.#sessions.run(feeds, length);
  }

  /**
   * Replaces this rank's gradient by the mean over some ranks. Collective over all of them.
   *
   * @param participants in increasing order, of which this rank is one; all of them by default
   */
  async average(participants?: readonly number[]): Promise<void> {
    await this.state.edit((flat) => this.#averaging.average(flat, participants));
  }

  /**
   * Is there while other ranks average theirs, and leaves this rank's gradient as it is. Collective.
   *
   * @returns its norm
   */
  async sitOut(participants: readonly number[]): Promise<number> {
    await this.#averaging.average(null, participants);
    return norm(await this.state.read());
  }

  /**
   * Forms the mean of the ranks' gradients aside, and its norm. Collective.
   *
   * @returns the mean; it holds until the next call
   */
  async averageAside(): Promise<Float32Array> {
    this.#average = await this.state.read(this.#average);
    await this.#averaging.average(this.#average);
    this.averageNorm = norm(this.#average);
    return this.#average;
  }

  /** Disposes of the graph's sessions and the gradients. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sessions[Symbol.asyncDispose]();
    await this.state[Symbol.asyncDispose]();
  }
}
