/**
 * What the sessions of all devices have in common: how they are made, who may use them and when, and the
 * way from feeds to outputs where tensors lie in this process's memory.
 *
 * @module
 */

import { arrayOf, Binding, type Port } from "./_binding.ts";
import type { Lock } from "./_lock.ts";
import type { GuardedState } from "./_state.ts";
import type {
  CompileOptions,
  DeviceKind,
  HostTensor,
  NodeTime,
  Session,
  Submission,
} from "./device.ts";

/** Tensors for a run by name. */
export type Feeds = Readonly<Record<string, HostTensor>>;

/** onnxruntime's description of an input or output. */
interface EngineMetadata {
  readonly name: string;
  readonly isTensor: boolean;
  readonly type?: string;
  readonly shape?: readonly (number | string)[];
}

/** An engine's tensor, as far as its data are in this process's memory. */
interface EngineTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: unknown;
}

/** An engine's session, native or web. */
interface EngineSession {
  readonly inputMetadata: readonly EngineMetadata[];
  readonly outputMetadata: readonly EngineMetadata[];
  release(): Promise<void>;
}

/** What a device's session is made of. */
export interface SessionParts<S extends GuardedState, E extends EngineSession> {
  /** The engine's session, which belongs to the one made of it. */
  readonly session: E;
  /** Held while the engine is used. */
  readonly lock: Lock;
  /** What to bind. */
  readonly options: CompileOptions;
  /** The device's states: those of other devices are refused. */
  readonly states: abstract new (...args: never[]) => S;
  /** Ends the engine's profile and reads it; undefined where none is kept. */
  readonly profile: ((session: E) => NodeTime[] | Promise<NodeTime[]>) | undefined;
}

/**
 * Creates an engine's session and wraps it; what cannot be wrapped is released.
 *
 * @throws {Error} the engine refuses the model, or what `wrap` throws
 */
export async function wrapSession<E extends EngineSession, T>(
  kind: DeviceKind,
  create: () => Promise<E>,
  wrap: (session: E) => T,
): Promise<T> {
  let session: E;
  try {
    session = await create();
  } catch (cause) {
    throw new Error(`cannot compile the model for ${kind}: ${(cause as Error).message}`, { cause });
  }
  await using unwrapped = new AsyncDisposableStack();
  unwrapped.defer(() => session.release());
  const wrapped = wrap(session);
  unwrapped.move();
  return wrapped;
}

/** A session that refuses to be used after it was disposed of, and with feeds that do not fit. */
export abstract class GuardedSession<S extends GuardedState, E extends EngineSession>
  implements Session {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly captured: boolean = false;
  protected readonly binding: Binding<S>;
  readonly #lock: Lock;
  #session: E | undefined;
  #profile: SessionParts<S, E>["profile"];

  /** @throws {TypeError | RangeError} a binding does not fit the model */
  constructor({ session, lock, options, states, profile }: SessionParts<S, E>) {
    this.binding = new Binding(
      portsOf(session.inputMetadata),
      portsOf(session.outputMetadata),
      options,
      (state): state is S => state instanceof states,
    );
    this.inputs = this.binding.fed.map(({ name }) => name);
    this.outputs = this.binding.returned.map(({ name }) => name);
    this.#lock = lock;
    this.#session = session;
    this.#profile = profile;
  }

  submit(feeds: Feeds): Promise<Submission> {
    return this.#lock.run(() => this.enqueue(feeds));
  }

  async run(feeds: Feeds): Promise<Record<string, HostTensor>> {
    // The outputs are asked for before the session can be disposed of, and waited for when it is free:
    // a device's queue works on meanwhile, and so may a further run.
    const { outputs } = await this.#lock.run(async () => {
      const submission = await this.enqueue(feeds);
      return { outputs: submission.outputs() };
    });
    return await outputs;
  }

  endProfile(): Promise<NodeTime[]> {
    return this.#lock.run(async () => {
      const session = this.#session, profile = this.#profile;
      if (session === undefined || profile === undefined) {
        throw new Error(
          "cannot end a profile: compile the session with { profile: true }, and end it once",
        );
      }
      this.#profile = undefined;
      return await profile(session);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lock.run(() => this.end());
  }

  /** Disposes of it. The caller holds the engine's lock. */
  async end(): Promise<void> {
    const session = this.#session, profile = this.#profile;
    if (session === undefined) return;
    this.#session = this.#profile = undefined;
    await using held = new AsyncDisposableStack();
    held.defer(() => this.release());
    held.defer(() => session.release());
    await profile?.(session);
  }

  /** Starts a run whose feeds fit. The engine's lock is held. */
  protected abstract execute(session: E, feeds: Feeds): Promise<Submission>;
  /** Gives back what the device holds beside the engine's session. Called once. */
  protected release(): void {}

  /** Starts a run. The caller holds the engine's lock. */
  async enqueue(feeds: Feeds): Promise<Submission> {
    if (this.#session === undefined) throw new Error("cannot run a session that was disposed of");
    for (const state of this.binding.states) state.assertReady("run on");
    this.binding.checkFeeds(feeds);
    return await this.execute(this.#session, feeds);
  }
}

/** A session whose tensors lie in this process's memory; a run is over when it has been submitted. */
export abstract class HostSession<
  S extends GuardedState,
  E extends EngineSession,
  T extends EngineTensor,
> extends GuardedSession<S, E> {
  protected override async execute(session: E, feeds: Feeds): Promise<Submission> {
    const { fed, read, returned } = this.binding;
    const inputs: Record<string, T> = {};
    for (const { name } of fed) inputs[name] = this.tensor(feeds[name]);
    for (const { port, state, variable } of read) inputs[port] = this.variable(state, variable);
    const results = await this.compute(session, inputs);
    const outputs = Object.fromEntries(returned.map(({ name }) => [name, toHost(results[name])]));
    return { ready: true, outputs: () => Promise.resolve(outputs) };
  }

  /** A feed in the engine's form, which shares its memory. */
  protected abstract tensor(feed: HostTensor): T;
  /** A variable as the engine reads it. */
  protected abstract variable(state: S, name: string): T;
  /** Runs the model and makes its results the values of the variables that it updates. */
  protected abstract compute(
    session: E,
    inputs: Record<string, T>,
  ): Promise<Readonly<Record<string, T>>>;
}

/** The inputs or outputs of a compiled model. */
function portsOf(metadata: readonly EngineMetadata[]): Port[] {
  return metadata.map(({ name, isTensor, type, shape }) => {
    if (!isTensor || type === undefined || shape === undefined) {
      throw new TypeError(
        `"${name}" is no tensor: sequences, maps and optionals are not supported`,
      );
    }
    return { name, type, dims: shape };
  });
}

/** A result in the form the caller gets. */
function toHost(tensor: EngineTensor): HostTensor {
  arrayOf(tensor.type);
  return { type: tensor.type, dims: tensor.dims, data: tensor.data } as HostTensor;
}
