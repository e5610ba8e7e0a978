/**
 * The CPU through onnxruntime compiled to WebAssembly: slower than the native library, and runs
 * wherever Deno does without leave to load native code. Variables lie in this process's memory and
 * are copied into and out of the engine's heap at each run.
 *
 * @module
 */

import { parseProfile } from "./_profile.ts";
import { HostSession, type SessionParts, wrapSession } from "./_session.ts";
import { ArenaState } from "./_state.ts";
import {
  endProfile,
  engineVersion,
  loadWebEngine,
  type Ort,
  type OrtSession,
  type OrtTensor,
  webLock,
} from "./_web_engine.ts";
import type {
  CompileOptions,
  Device,
  DeviceState,
  HostTensor,
  Session,
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
  readonly kernels: Device["kernels"] = new Set();
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
        }), (session) =>
        new WasmSession(this.#ort, {
          session,
          lock: webLock,
          options,
          states: WasmState,
          profile: options.profile ? (session) => parseProfile(endProfile(session)) : undefined,
        }));
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

class WasmSession extends HostSession<WasmState, OrtSession, OrtTensor> {
  readonly #ort: Ort;

  constructor(ort: Ort, parts: SessionParts<WasmState, OrtSession>) {
    super(parts);
    this.#ort = ort;
  }

  protected override tensor({ type, data, dims }: HostTensor): OrtTensor {
    return new this.#ort.Tensor(type as "float32", data as Float32Array, dims);
  }

  protected override variable(state: WasmState, name: string): OrtTensor {
    return new this.#ort.Tensor("float32", state.view(name), state.dims(name));
  }

  protected override async compute(session: OrtSession, inputs: Record<string, OrtTensor>) {
    const results = await session.run(inputs);
    for (const { port, state, variable } of this.binding.updated) {
      state.view(variable).set(results[port].data as Float32Array);
    }
    return results;
  }
}
