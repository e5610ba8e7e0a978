/**
 * The CPU through onnxruntime's native library. Variables lie in this process's memory and the
 * engine reads and writes them there; nothing is copied and nothing is allocated from run to run.
 *
 * @module
 */

import { loadOnnxRuntimeNode } from "../../deps.ts";
import type { Bound } from "./_binding.ts";
import { Lock } from "./_lock.ts";
import { probeChannelBlock } from "./_channel_block.ts";
import { dropProfile, profilePrefix, readProfile } from "./_profile.ts";
import { HostSession, type SessionParts, wrapSession } from "./_session.ts";
import { ArenaState, type GuardedState } from "./_state.ts";
import type {
  CompileOptions,
  Device,
  DeviceState,
  HostTensor,
  Session,
  VariableSpec,
} from "./device.ts";

type Ort = Awaited<ReturnType<typeof loadOnnxRuntimeNode>>;
type OrtSession = Awaited<ReturnType<Ort["InferenceSession"]["create"]>>;
type OrtTensor = InstanceType<Ort["Tensor"]>;

/** One native engine serves the process. */
const lock = new Lock();

/**
 * Opens the CPU.
 *
 * @param options.threads threads of the engine within an operator, the caller's included
 * @throws {Error} the native library cannot be loaded, or its telemetry not be turned off
 */
export async function openCpu(options: { threads: number }): Promise<Device> {
  let ort: Ort;
  try {
    ort = await loadOnnxRuntimeNode();
  } catch (cause) {
    throw new Error(
      `cannot open the cpu device: onnxruntime's native library did not load (${
        (cause as Error).message
      }); it needs --allow-ffi, --allow-env=ORT_DISABLE_TELEMETRY, and Linux, Windows or macOS on x64 or arm64; the wasm device needs neither`,
      { cause },
    );
  }
  const channelBlock = await lock.run(() => probeChannelBlock(ort));
  return new CpuDevice(ort, options.threads, channelBlock);
}

class CpuDevice implements Device {
  readonly kind = "cpu";
  readonly description: string;
  readonly channelBlock: number;
  readonly kernels: Device["kernels"] = new Set();
  readonly #ort: Ort;
  readonly #threads: number;
  #open = true;

  constructor(ort: Ort, threads: number, channelBlock: number) {
    this.#ort = ort;
    this.#threads = threads;
    this.channelBlock = channelBlock;
    this.description = `cpu: onnxruntime-node ${ort.env.versions.node}, ${threads} thread${
      threads === 1 ? "" : "s"
    }`;
  }

  async allocate(specs: readonly VariableSpec[]): Promise<DeviceState> {
    this.#assertOpen();
    return await new CpuState(specs, this.#ort);
  }

  compile(model: Uint8Array, options: CompileOptions = {}): Promise<Session> {
    return lock.run(async () => {
      this.#assertOpen();
      await using unread = new AsyncDisposableStack();
      const prefix = options.profile ? await profilePrefix(options.profileFolder) : undefined;
      if (prefix !== undefined) unread.defer(() => dropProfile(prefix));
      const session = await wrapSession(this.kind, () =>
        this.#ort.InferenceSession.create(model, {
          executionProviders: ["cpu"],
          intraOpNumThreads: this.#threads,
          interOpNumThreads: 1,
          executionMode: "sequential",
          // A plan made in the first run claims its memory beside what that run took: half as much again.
          enableMemPattern: false,
          graphOptimizationLevel: options.optimize === false ? "disabled" : "all",
          logSeverityLevel: 3,
          ...(prefix && { enableProfiling: true, profileFilePrefix: prefix }),
        }), (session) => {
        const profile = prefix === undefined
          ? undefined
          : (session: OrtSession) => readProfile(prefix, () => session.endProfiling());
        return new CpuSession(this.#ort, { session, lock, options, states: CpuState, profile });
      });
      unread.move(); // to the session
      return session;
    });
  }

  // deno-lint-ignore require-await
  async [Symbol.asyncDispose](): Promise<void> {
    this.#open = false;
  }

  #assertOpen(): void {
    if (!this.#open) throw new Error("the cpu device was disposed of");
  }
}

/**
 * Two arenas: a run that updates every variable reads the one and writes the other, then they change
 * places. The second is made when a session that updates this state is compiled.
 */
class CpuState extends ArenaState {
  readonly #ort: Ort;
  #spare: Float32Array | undefined;
  #tensors = new WeakMap<ArrayBufferLike, Map<string, OrtTensor>>();

  constructor(specs: readonly VariableSpec[], ort: Ort) {
    super(specs, lock);
    this.#ort = ort;
  }

  /** The variable as the engine reads it. */
  tensor(name: string): OrtTensor {
    return this.#tensorIn(this.arena, name);
  }

  /** The variable's other place, as the engine writes it. */
  spareTensor(name: string): OrtTensor {
    return this.#tensorIn(this.#spare ??= new Float32Array(this.length), name);
  }

  /** Makes what was written in the other places the variables' values. */
  commit(names: readonly string[]): void {
    const spare = this.#spare!;
    if (names.length === this.specs.length) {
      this.#spare = this.arena;
      this.arena = spare;
      return;
    }
    for (const name of names) {
      const { offset, length } = this.range(name);
      this.arena.set(spare.subarray(offset, offset + length), offset);
    }
  }

  protected override release(): void {
    super.release();
    this.#spare = undefined;
    this.#tensors = new WeakMap();
  }

  #tensorIn(arena: Float32Array, name: string): OrtTensor {
    let tensors = this.#tensors.get(arena.buffer);
    if (tensors === undefined) {
      tensors = new Map(this.specs.map(({ name, dims }) => {
        const { offset, length } = this.range(name);
        return [
          name,
          new this.#ort.Tensor("float32", arena.subarray(offset, offset + length), dims),
        ];
      }));
      this.#tensors.set(arena.buffer, tensors);
    }
    return tensors.get(name)!;
  }
}

class CpuSession extends HostSession<CpuState, OrtSession, OrtTensor> {
  readonly #ort: Ort;
  readonly #commits: ReadonlyMap<CpuState, string[]>;

  constructor(ort: Ort, parts: SessionParts<CpuState, OrtSession>) {
    super(parts);
    this.#ort = ort;
    this.#commits = groupByState(this.binding.updated);
  }

  protected override tensor({ type, data, dims }: HostTensor): OrtTensor {
    return new this.#ort.Tensor(type, data as Float32Array, dims) as OrtTensor;
  }

  protected override variable(state: CpuState, name: string): OrtTensor {
    return state.tensor(name);
  }

  protected override async compute(session: OrtSession, inputs: Record<string, OrtTensor>) {
    const outputs: Record<string, OrtTensor | null> = {};
    for (const { port, state, variable } of this.binding.updated) {
      outputs[port] = state.spareTensor(variable);
    }
    for (const { name } of this.binding.returned) outputs[name] = null;
    const results = await session.run(inputs, outputs);
    for (const [state, names] of this.#commits) state.commit(names);
    return results;
  }
}

/** The variables that one run updates, state by state. */
function groupByState<S extends GuardedState>(updated: readonly Bound<S>[]): Map<S, string[]> {
  const groups = new Map<S, string[]>();
  for (const { state, variable } of updated) {
    const names = groups.get(state);
    if (names === undefined) groups.set(state, [variable]);
    else names.push(variable);
  }
  return groups;
}
