/**
 * The kernels of the first runs of a device's sessions, as the engine's own profile tells them.
 *
 * @module
 */

import type {
  CompileOptions,
  Device,
  DeviceState,
  Session,
  Submission,
  VariableSpec,
} from "../../runtime/devices/device.ts";
import type { SpanSink } from "./spans.ts";

/**
 * A device that notes when each kernel ran in the first runs of each session, and works as fast as without from
 * there on.
 *
 * The engine counts from when it was asked for the profile, of which only it knows the time. So its last kernel is
 * taken to have ended when the last of the runs did.
 */
export class TracedDevice implements Device {
  readonly kind: Device["kind"];
  readonly description: string;
  readonly channelBlock: number;
  readonly kernels: Device["kernels"];
  readonly #device: Device;
  readonly #runs: number;
  readonly #spans: SpanSink;

  /**
   * @param device on which a run is over when it has been submitted; this one disposes of it
   * @param runs of each session that are noted
   */
  constructor(device: Device, runs: number, spans: SpanSink) {
    ({
      kind: this.kind,
      description: this.description,
      channelBlock: this.channelBlock,
      kernels: this.kernels,
    } = device);
    this.#device = device;
    this.#runs = runs;
    this.#spans = spans;
  }

  allocate(specs: readonly VariableSpec[]): Promise<DeviceState> {
    return this.#device.allocate(specs);
  }

  async compile(model: Uint8Array, options?: CompileOptions): Promise<Session> {
    const traced = { ...options, profile: true, profileFolder: this.#spans.directory };
    const session = await this.#device.compile(model, traced);
    return new TracedSession(session, this.#runs, this.#spans);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#device[Symbol.asyncDispose]();
  }
}

class TracedSession implements Session {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly captured: boolean;
  readonly #session: Session;
  readonly #spans: SpanSink;
  /** Runs that are still to be noted. */
  #left: number;
  /** When the last of those that were noted ended. */
  #ended: number | null = null;

  constructor(session: Session, runs: number, spans: SpanSink) {
    ({ inputs: this.inputs, outputs: this.outputs, captured: this.captured } = session);
    this.#session = session;
    this.#left = runs;
    this.#spans = spans;
  }

  async submit(feeds: Parameters<Session["submit"]>[0]): Promise<Submission> {
    const submission = await this.#session.submit(feeds);
    await this.#ran();
    return submission;
  }

  async run(feeds: Parameters<Session["run"]>[0]): ReturnType<Session["run"]> {
    const outputs = await this.#session.run(feeds);
    await this.#ran();
    return outputs;
  }

  endProfile(): ReturnType<Session["endProfile"]> {
    return this.#session.endProfile();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#left > 0) await this.#note();
    await this.#session[Symbol.asyncDispose]();
  }

  async #ran(): Promise<void> {
    if (this.#left === 0) return;
    this.#ended = performance.now();
    if (--this.#left === 0) await this.#note();
  }

  async #note(): Promise<void> {
    if (this.#ended === null) return;
    const times = await this.#session.endProfile();
    const last = times.reduce((most, time) => Math.max(most, time.start + time.milliseconds), 0);
    const origin = this.#ended - last;
    this.#spans.note(...times.map(({ node, operator, start, milliseconds }) => (
      { kind: "kernel" as const, name: operator, start: origin + start, milliseconds, of: { node } }
    )));
  }
}
