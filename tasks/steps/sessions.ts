/**
 * Sessions of one kind of graph: one that takes batches of every length, or one for each length.
 *
 * @module
 */

import { encodeModel } from "../../models/mod.ts";
import type {
  Device,
  DeviceState,
  HostTensor,
  Session,
  Submission,
} from "../../runtime/devices/device.ts";
import type { TrainingGraph } from "../networks/graphs.ts";
import { type OncePerHost, PER_RANK } from "../../runtime/once_per_host.ts";
import type { Feeds } from "../task.ts";

/** The length at which a graph is built that takes every other as well. */
const ANY_LENGTH = 70;

/** Most runs, or steps, that a device is given ahead of their outputs. */
export const MOST_AHEAD = 8;

/** What a run of a series takes. */
export interface SessionRun {
  readonly feeds: Feeds;
  /** Of the batch; that of the first session, if none is said. */
  readonly length?: number | undefined;
}

/** What sessions are made of; all of it is the caller's. */
export interface SessionsOptions {
  readonly device: Device;
  /** The length that is needed first. @default {1} */
  readonly length?: number;
  /** Whether one graph takes every length, see `TrainableModel.anyLength`. @default {false} */
  readonly anyLength?: boolean | undefined;
  /** Makes the graph for a length. */
  readonly build: (length: number) => TrainingGraph;
  /** Who else needs the graph that is needed first. @default {PER_RANK} */
  readonly sharing?: OncePerHost | undefined;
}

/** The sessions of one kind of graph. It owns them. */
export class Sessions implements AsyncDisposable {
  /** One of the graphs: what they all have in common can be read off it. */
  readonly sample: TrainingGraph;
  readonly #options: SessionsOptions;
  readonly #any: boolean;
  readonly #sampleLength: number;
  readonly #sessions = new Map<number, Promise<Session>>();
  #state: readonly DeviceState[] = [];
  #updates: Readonly<Record<string, string>> = {};

  constructor(options: SessionsOptions) {
    const { device, length = 1, anyLength = false, build } = options;
    this.#options = options;
    this.#any = anyLength && device.kind !== "webgpu";
    this.#sampleLength = this.#any ? ANY_LENGTH : length;
    this.sample = build(this.#sampleLength);
  }

  /**
   * Says what the sessions run on, and compiles the first; the others follow when they are needed.
   * Collective over the ranks that share.
   *
   * @param updates in addition to the graphs' own
   * @returns itself
   */
  async bind(state: readonly DeviceState[], updates: Record<string, string> = {}): Promise<this> {
    this.#state = state;
    this.#updates = updates;
    const length = this.#sampleLength, { device, sharing = PER_RANK } = this.#options;
    const key = `${device.kind} ${device.channelBlock} ${length}`;
    const bytes = await sharing.make(key, () => this.#encode(length));
    this.#sessions.set(length, this.#compile(bytes));
    await this.session(length);
    return this;
  }

  /** The session for batches of a length; the first one, if none is said. */
  session(length = this.#sampleLength): Promise<Session> {
    const at = this.#any ? this.#sampleLength : length;
    let session = this.#sessions.get(at);
    if (!session) this.#sessions.set(at, session = this.#compile(this.#encode(at)));
    return session;
  }

  /** Runs the session for a length on those of the feeds that it takes. */
  async run(feeds: Feeds, length?: number): Promise<Record<string, HostTensor>> {
    const session = await this.session(length);
    return session.run(takenBy(session, feeds));
  }

  /**
   * Runs sessions one after the other, and yields the outputs of each in order. A device that works by itself is
   * given several before it is asked for the outputs of the first.
   *
   * @param runs their feeds may be filled anew for the next
   */
  async *runEach(runs: Iterable<SessionRun>): AsyncGenerator<Record<string, HostTensor>> {
    let ahead: Submission[] = [];
    for (const { feeds, length } of runs) {
      if (ahead.length === MOST_AHEAD) {
        const earlier = ahead;
        ahead = [];
        for (const each of earlier) yield await each.outputs();
      }
      ahead.push(await this.submit(feeds, length));
    }
    for (const each of ahead) yield await each.outputs();
  }

  /** Submits a run of the session for a length on those of the feeds that it takes. */
  async submit(feeds: Feeds, length?: number): Promise<Submission> {
    const session = await this.session(length);
    return session.submit(takenBy(session, feeds));
  }

  #encode(length: number): Uint8Array {
    const { device: { kind, channelBlock, kernels }, build } = this.#options;
    const { graph } = length === this.#sampleLength ? this.sample : build(length);
    return encodeModel(graph, {
      target: kind,
      channelBlock,
      kernels,
      ...this.#any ? { symbolicBatch: { name: "length", other: build(length + 1).graph } } : {},
    });
  }

  #compile(bytes: Uint8Array): Promise<Session> {
    return this.#options.device.compile(bytes, {
      state: this.#state,
      updates: { ...this.sample.updates, ...this.#updates },
      optimize: false,
    });
  }

  /** Disposes of the sessions. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions.values()) await (await session)[Symbol.asyncDispose]();
  }
}

function takenBy({ inputs }: Session, feeds: Feeds): Feeds {
  return Object.fromEntries(inputs.map((name) => [name, feeds[name]]));
}
