/**
 * The CPU through onnxruntime compiled to WebAssembly: slower than the native library, and runs
 * wherever Deno does without leave to load native code. Variables lie in this process's memory and
 * are copied into and out of the engine's heap at each run.
 *
 * @module
 */

import { Binding } from "./_binding.ts";
import {
  finished,
  NO_PROFILE,
  parseProfile,
  portsOf,
  toHost,
  wrapSession,
} from "./_onnxruntime.ts";
import { ArenaState } from "./_state.ts";
import {
  endProfile,
  engineVersion,
  loadWebEngine,
  type Ort,
  type OrtSession,
  webLock,
} from "./_web_engine.ts";
import type {
  CompileOptions,
  Device,
  DeviceState,
  HostTensor,
  NodeTime,
  Session,
  Submission,
  VariableSpec,
} from "./device.ts";

/**
 * Opens the CPU through WebAssembly. It has one thread.
 *
 * @throws {Error} the engine cannot be loaded
 */
export async function openWasm(): Promise<Device> {
  return new WasmDevice(await loadWebEngine("wasm"));
}

class WasmDevice implements Device {
  readonly kind = "wasm";
  readonly description: string;
  readonly channelBlock = 1;
  readonly #ort: Ort;
  #open = true;

  constructor(ort: Ort) {
    this.#ort = ort;
    this.description = `wasm: ${engineVersion(ort)}, 1 thread`;
  }

  // deno-lint-ignore require-await
  async allocate(specs: readonly VariableSpec[]): Promise<DeviceState> {
    this.#assertOpen();
    return new WasmState(specs, webLock);
  }

  compile(model: Uint8Array, options: CompileOptions = {}): Promise<Session> {
    return webLock.run(async () => {
      this.#assertOpen();
      return await wrapSession(this.kind, () =>
        this.#ort.InferenceSession.create(model, {
          executionProviders: ["wasm"],
          enableCpuMemArena: true,
          enableMemPattern: true,
          graphOptimizationLevel: options.optimize === false ? "disabled" : "all",
          logSeverityLevel: 3,
          enableProfiling: options.profile ?? false,
        }), (session) => {
        const binding = new Binding(
          portsOf(session.inputMetadata),
          portsOf(session.outputMetadata),
          options,
          (state): state is WasmState => state instanceof WasmState,
        );
        return new WasmSession(this.#ort, session, binding, options.profile ?? false);
      });
    });
  }

  // deno-lint-ignore require-await
  async [Symbol.asyncDispose](): Promise<void> {
    this.#open = false;
  }

  #assertOpen(): void {
    if (!this.#open) throw new Error("the wasm device was disposed of");
  }
}

class WasmState extends ArenaState {}

class WasmSession implements Session {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly captured = false;
  readonly #ort: Ort;
  readonly #binding: Binding<WasmState>;
  #session: OrtSession | undefined;
  #profiled: boolean;

  constructor(ort: Ort, session: OrtSession, binding: Binding<WasmState>, profiled: boolean) {
    this.#profiled = profiled;
    this.#ort = ort;
    this.#session = session;
    this.#binding = binding;
    this.inputs = binding.fed.map((port) => port.name);
    this.outputs = binding.returned.map((port) => port.name);
  }

  async submit(feeds: Readonly<Record<string, HostTensor>>): Promise<Submission> {
    return finished(await this.run(feeds));
  }

  run(feeds: Readonly<Record<string, HostTensor>>): Promise<Record<string, HostTensor>> {
    return webLock.run(async () => {
      const session = this.#session;
      if (session === undefined) throw new Error("cannot run a session that was disposed of");
      const { fed, read, updated, returned, states } = this.#binding;
      for (const state of states) state.assertReady("run on");
      this.#binding.checkFeeds(feeds);

      const tensor = (type: string, data: unknown, dims: readonly number[]) =>
        new this.#ort.Tensor(type as "float32", data as Float32Array, dims);
      const inputs: Record<string, ReturnType<typeof tensor>> = {};
      for (const { name } of fed) {
        inputs[name] = tensor(feeds[name].type, feeds[name].data, feeds[name].dims);
      }
      for (const { port, state, variable } of read) {
        inputs[port] = tensor("float32", state.view(variable), state.dims(variable));
      }
      const results = await session.run(inputs);
      for (const { port, state, variable } of updated) {
        state.view(variable).set(results[port].data as Float32Array);
      }
      return Object.fromEntries(returned.map(({ name }) => [name, toHost(results[name])]));
    });
  }

  endProfile(): Promise<NodeTime[]> {
    return webLock.run(() => {
      if (this.#session === undefined || !this.#profiled) throw new Error(NO_PROFILE);
      this.#profiled = false;
      return parseProfile(endProfile(this.#session));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await webLock.run(async () => {
      const session = this.#session;
      this.#session = undefined;
      if (session !== undefined && this.#profiled) endProfile(session);
      await session?.release();
    });
  }
}
