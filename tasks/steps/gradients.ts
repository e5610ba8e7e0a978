/**
 * Gradients taken apart from the step that they lead to, so that the ranks can exchange them between.
 *
 * @module
 */

import type { Variable } from "../../models/mod.ts";
import type { Device, DeviceState, HostTensor } from "../../runtime/devices/device.ts";
import { gradientName } from "../networks/graphs.ts";
import { type CompressedAverage, norm, type WeightAveraging } from "../rounds/averaging.ts";
import { loadNumber, loadTensor, type StateDict, type Stateful } from "../run/checkpoint.ts";
import type { Feeds } from "../task.ts";
import { scalar } from "./scalar.ts";
import type { Sessions } from "./sessions.ts";

const NONE: StateDict["numbers"] = {};

/** A mini-batch as the gradient's graph takes it. */
export interface GradientBatch {
  /** With the model's masks. */
  readonly feeds: Feeds;
  /** Length of the graph that takes it, for models that have one. */
  readonly length?: number | undefined;
}

/** The gradient's graph, and where its gradients stay on the device: it owns both. */
export class Gradients implements Stateful, AsyncDisposable {
  /** `<p>.grad` of each parameter, in their order. */
  readonly state: DeviceState;
  /** Norm of the last average over the ranks that was formed aside; 0 before the first. */
  averageNorm = 0;
  readonly #sessions: Sessions;
  readonly #averaging: WeightAveraging | null;
  #average: Float32Array | undefined;
  /** Sum of the gradients of steps that no update was made of; null where there never are any. */
  readonly #kept: Float32Array | null;
  /** How many. */
  #keptSteps = 0;
  /** How they travel; null: as they are. */
  readonly #compressed: CompressedAverage | null;

  /**
   * Makes room for the gradients of the parameters.
   *
   * @param sessions of the gradient's graph, to be bound; they become the object's
   * @param averaging carries the gradients; where it compresses, what is lost of them is added to the next; null where
   * they are exchanged with nobody
   * @param keeps whether gradients are kept for a later average
   */
  static async open(
    device: Device,
    parameters: readonly Variable[],
    sessions: Sessions,
    averaging: WeightAveraging | null,
    keeps = false,
  ): Promise<Gradients> {
    const specs = parameters.map(({ name, dims }) => ({ name: gradientName(name), dims }));
    const state = await device.allocate(specs);
    const kept = keeps ? new Float32Array((await state.read()).length) : null;
    return new Gradients(state, sessions, averaging, kept);
  }

  private constructor(
    state: DeviceState,
    sessions: Sessions,
    averaging: WeightAveraging | null,
    kept: Float32Array | null,
  ) {
    this.state = state;
    this.#kept = kept;
    this.#sessions = sessions;
    this.#averaging = averaging;
    const length = state.specs.reduce((sum, { name }) => sum + state.range(name).length, 0);
    this.#compressed = averaging?.compression(length) ?? null;
  }

  /** Compiles the graph. Collective over the ranks that share. */
  async bind(state: readonly DeviceState[]): Promise<void> {
    const { outputs } = this.#sessions.sample.graph;
    const stored = Object.fromEntries(
      this.state.specs.map(({ name }) => [outputs.has(name) ? name : `${name}.next`, name]),
    );
    await this.#sessions.bind([...state, this.state], stored);
  }

  /** Takes the gradient of a mini-batch. Returns the graph's outputs, such as its loss. */
  take(feeds: Feeds, length?: number): Promise<Record<string, HostTensor>> {
    return this.#sessions.run(feeds, length);
  }

  /**
   * Takes the mean gradient of the mini-batches of a step.
   *
   * @returns the means of the graph's outputs that are single floats, such as its loss
   */
  async takeMean(batches: readonly GradientBatch[]): Promise<Record<string, HostTensor>> {
    if (batches.length === 1) return await this.take(batches[0].feeds, batches[0].length);
    const sums = new Map<string, number>();
    const runs = batches.map(({ feeds, length }, i) => {
      return { feeds: { ...feeds, accumulated: scalar(i) }, length };
    });
    for await (const outputs of this.#sessions.runEach(runs)) {
      for (const [name, { type, data }] of Object.entries(outputs)) {
        if (type !== "float32" || data.length !== 1) continue;
        sums.set(name, (sums.get(name) ?? 0) + Number(data[0]));
      }
    }
    return Object.fromEntries([...sums].map(([name, sum]) => [name, scalar(sum / batches.length)]));
  }

  /**
   * Keeps the gradient that was taken last for the next average.
   *
   * @returns its norm
   */
  async keep(): Promise<number> {
    const own = await this.state.read(), kept = this.#kept!;
    for (let i = 0; i < own.length; i++) kept[i] += own[i];
    this.#keptSteps++;
    return norm(own);
  }

  /**
   * Replaces this rank's gradient, or the mean of it and those that were kept, by the mean over some ranks.
   * Collective over all of them.
   *
   * @param participants in increasing order, of which this rank is one; all of them by default
   * @param forAll whether the ranks that take no part get it as well; collective over all ranks then
   */
  async average(participants?: readonly number[], forAll = false): Promise<void> {
    await this.state.edit(async (flat) => {
      const kept = this.#kept, steps = this.#keptSteps + 1;
      if (kept && steps > 1) {
        for (let i = 0; i < flat.length; i++) flat[i] = (flat[i] + kept[i]) / steps;
        kept.fill(0);
        this.#keptSteps = 0;
      }
      const averaging = this.#averaging!, compressed = this.#compressed;
      if (forAll && participants) await averaging.averageForAll(flat, participants, compressed);
      else await averaging.average(flat, participants, compressed);
    });
  }

  /**
   * Is there while other ranks average theirs, and leaves this rank's gradient as it is. Collective.
   *
   * @returns its norm
   */
  async sitOut(participants: readonly number[]): Promise<number> {
    await this.#averaging!.average(null, participants);
    return await this.norm();
  }

  /** Norm of the gradient that was taken last. */
  async norm(): Promise<number> {
    return norm(await this.state.read());
  }

  /**
   * Forms the mean of the ranks' gradients aside, and its norm. Collective.
   *
   * @param participants those whose gradients count, and to whom the mean goes; all of them by default
   * @returns the mean; it holds until the next call
   */
  async averageAside(participants?: readonly number[]): Promise<Float32Array> {
    this.#average = await this.state.read(this.#average);
    await this.#averaging!.average(this.#average, participants, this.#compressed);
    this.averageNorm = norm(this.#average);
    return this.#average;
  }

  /** The gradients that were kept, and what has been lost of those that travelled. */
  save(): Promise<StateDict> {
    const kept = this.#kept, residual = this.#compressed?.residual;
    const tensor = (name: string, data?: Float32Array | null) =>
      data ? [{ name, dims: [data.length], data }] : [];
    const tensors = [
      ...tensor("gradients.kept", kept),
      ...tensor("gradients.residual", residual),
    ];
    return Promise.resolve({ tensors, numbers: kept ? { keptSteps: this.#keptSteps } : NONE });
  }

  /** Goes on from there. */
  restore(state: StateDict): Promise<void> {
    const residual = this.#compressed?.residual;
    this.#kept?.set(loadTensor(state, "gradients.kept", this.#kept.length));
    if (this.#kept) this.#keptSteps = loadNumber(state, "keptSteps");
    residual?.set(loadTensor(state, "gradients.residual", residual.length));
    return Promise.resolve();
  }

  /** Disposes of the graph's sessions and the gradients. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sessions[Symbol.asyncDispose]();
    await this.state[Symbol.asyncDispose]();
  }
}
