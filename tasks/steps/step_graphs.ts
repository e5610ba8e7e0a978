/**
 * The two ways of a step: one graph that does everything, where nothing is exchanged inside the step, and
 * two graphs with the exchange between them, where gradients are.
 *
 * @module
 */

import type { Communication } from "../../optimizers/mod.ts";
import type { DeviceState, HostTensor, Submission } from "../../runtime/devices/device.ts";
import type { TrainingGraph } from "../networks/graphs.ts";
import type { Feeds } from "../task.ts";
import type { GradientBatch, Gradients } from "./gradients.ts";
import { scalar } from "./scalar.ts";
import type { Sessions } from "./sessions.ts";

/** Some of the ranks. */
export interface Among {
  /** In increasing order; undefined: all of them. */
  readonly ranks: readonly number[] | undefined;
  /** Whether this rank is one of them. */
  readonly included: boolean;
  /** Whether the average of their gradients goes to all ranks, which all make an update of it. */
  readonly forAll: boolean;
}

/** How a step is taken. It owns the sessions of its update, and nothing else. */
export interface StepGraphs extends AsyncDisposable {
  /** The graph in which the update is. */
  readonly sample: TrainingGraph;
  /** Compiles it. Collective over the ranks that share. */
  bind(state: readonly DeviceState[]): Promise<void>;
  /**
   * What comes before the update: gradients, and their exchange. Collective.
   *
   * @param batches the mini-batches of the step, with their masks
   * @param among the ranks whose gradients take each other's place; on another rank no update follows
   * @returns outputs that are known from it; of a rank that is not among them, all of a step
   */
  exchange(
    batches: readonly GradientBatch[],
    sync: Communication["gradients"],
    among: Among,
  ): Promise<Record<string, HostTensor>>;
  /** Submits the update. */
  submit(feeds: Feeds, length: number | undefined): Promise<Submission>;
}

/** Forward, backward and update in one graph. */
export class FusedStep implements StepGraphs {
  readonly #sessions: Sessions;

  /** @param sessions of the whole step; they become the object's */
  constructor(sessions: Sessions) {
    this.#sessions = sessions;
  }

  get sample(): TrainingGraph {
    return this.#sessions.sample;
  }

  async bind(state: readonly DeviceState[]): Promise<void> {
    await this.#sessions.bind(state);
  }

  exchange(): Promise<Record<string, HostTensor>> {
    return Promise.resolve({});
  }

  submit(feeds: Feeds, length: number | undefined): Promise<Submission> {
    return this.#sessions.submit(feeds, length);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#sessions[Symbol.asyncDispose]();
  }
}

/** Gradients, their exchange, and the update in a graph of its own. */
export class SplitStep implements StepGraphs {
  readonly #sessions: Sessions;
  readonly #gradients: Gradients;

  /**
   * @param sessions of the update; they become the object's
   * @param gradients the caller's
   */
  constructor(sessions: Sessions, gradients: Gradients) {
    this.#sessions = sessions;
    this.#gradients = gradients;
  }

  get sample(): TrainingGraph {
    return this.#sessions.sample;
  }

  async bind(state: readonly DeviceState[]): Promise<void> {
    await this.#sessions.bind([...state, this.#gradients.state]);
  }

  async exchange(
    batches: readonly GradientBatch[],
    sync: Communication["gradients"],
    { ranks, included, forAll }: Among,
  ): Promise<Record<string, HostTensor>> {
    const outputs = await this.#gradients.takeMean(batches);
    if (sync === "none") return outputs;
    if (sync === "norm") await this.#gradients.averageAside();
    else if (included || forAll) await this.#gradients.average(ranks, forAll);
    else return { ...outputs, grad_norm: scalar(await this.#gradients.sitOut(ranks!)) };
    return outputs;
  }

  submit(feeds: Feeds): Promise<Submission> {
    return this.#sessions.submit(feeds);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#sessions[Symbol.asyncDispose]();
  }
}
