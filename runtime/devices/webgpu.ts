/**
 * A GPU through WebGPU and onnxruntime's web engine. Variables, inputs and outputs live in GPU
 * buffers; inputs are uploaded and results copied back through the device's queue, in order, so the
 * host waits for the GPU only where it looks at a result.
 *
 * @module
 */

import { type GpuEngine, GpuSession } from "./_gpu_session.ts";
import { GpuState } from "./_gpu_state.ts";
import { kernelsOn } from "./segments/kernels.ts";
import { isSegmented, type KernelOperator } from "./segments/segmented_model.ts";
import { ScratchBuffers } from "./segments/scratch_buffers.ts";
import { SegmentedSession } from "./segments/segmented_session.ts";
import { engineVersion, loadWebEngine, type Ort, webLock } from "./_web_engine.ts";
import { DeviceError } from "./faults/device_error.ts";
import { GpuFaults, megabytes } from "./faults/gpu_faults.ts";
import type { CompileOptions, Device, DeviceState, Session, VariableSpec } from "./device.ts";

const FLOAT_BYTES = 4;

/** Names of drivers that compute on the CPU. */
const SOFTWARE = /llvmpipe|lavapipe|softpipe|swiftshader|basic render|software/i;

/** Whether there is a GPU made of hardware. */
export async function hasGpu(): Promise<boolean> {
  const adapter = await requestAdapter();
  return adapter !== null && !isSoftware(adapter);
}

/** Choices that are the engine's own, for whoever measures them. */
export interface EngineChoice {
  /** Gets one of its builds. @default {the one that runs everywhere} */
  readonly load?: () => Promise<Ort>;
  /** How images lie where convolutions are computed. @default {as the engine thinks best: NHWC} */
  readonly layout?: "NCHW" | "NHWC";
}

/**
 * Opens the GPU that the system gives first, or a software adapter where there is none.
 *
 * @throws {DeviceError} WebGPU finds no adapter at all, or its driver refuses
 * @throws {Error} the engine cannot be loaded
 */
export async function openWebGpu({ load, layout }: EngineChoice = {}): Promise<Device> {
  const adapter = await requestAdapter();
  if (adapter === null) {
    throw new DeviceError(
      "missing",
      "cannot open the webgpu device: WebGPU found no adapter",
    );
  }
  const gpu = await requestDevice(adapter).catch((cause) => {
    const what = `cannot open the webgpu device: its driver refuses (${cause.message})`;
    throw new DeviceError("missing", what, { cause });
  });
  try {
    const ort = await loadWebEngine("webgpu", load);
    // Else the engine asks for an adapter again, if only to see that there is one.
    ort.env.webgpu.adapter = adapter as never;
    return new WebGpuDevice(ort, adapter, gpu, layout);
  } catch (error) {
    gpu.destroy();
    throw error;
  }
}

async function requestAdapter(): Promise<GPUAdapter | null> {
  if (navigator.gpu === undefined) return null;
  const restore = quietWindowSystem();
  try {
    return await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  } finally {
    restore();
  }
}

/** Mesa complains on stderr when it is asked for adapters and no window system has a folder. */
function quietWindowSystem(): () => void {
  const name = "XDG_RUNTIME_DIR";
  if (Deno.permissions.querySync({ name: "env", variable: name }).state !== "granted") {
    return () => {};
  }
  if (Deno.env.has(name)) return () => {};
  Deno.env.set(name, "/nonexistent");
  return () => Deno.env.delete(name);
}

/** Whether an adapter computes on the CPU. */
export function isSoftware({ info }: GPUAdapter): boolean {
  return info.isFallbackAdapter || SOFTWARE.test(info.description);
}

/**
 * Everything that the engine can use of the adapter: it looks at the device's limits and features itself. Of a device
 * with "subgroups" its shaders would begin with `enable subgroups`, which Deno's compiler of shaders refuses.
 */
async function requestDevice(adapter: GPUAdapter): Promise<GPUDevice> {
  const requiredLimits: Record<string, number> = {};
  for (const name in adapter.limits) {
    const value = adapter.limits[name as keyof GPUSupportedLimits];
    if (typeof value === "number") requiredLimits[name] = value;
  }
  const wanted = ["shader-f16", "timestamp-query"] as const;
  const requiredFeatures = wanted.filter((feature) => adapter.features.has(feature));
  return await adapter.requestDevice({ requiredLimits, requiredFeatures });
}

class WebGpuDevice implements Device {
  readonly kind = "webgpu";
  readonly description: string;
  readonly channelBlock = 1;
  readonly kernels: ReadonlySet<KernelOperator>;
  readonly #engine: GpuEngine;

  constructor(ort: Ort, adapter: GPUAdapter, gpu: GPUDevice, layout: GpuEngine["layout"]) {
    const name = adapter.info.description || adapter.info.vendor || "unnamed adapter";
    this.description = `webgpu: ${name}${isSoftware(adapter) ? " (software)" : ""}, ${
      engineVersion(ort)
    }`;
    const faults = new GpuFaults(gpu), scratch = new ScratchBuffers(gpu);
    this.#engine = { ort, gpu, faults, scratch, layout };
    this.kernels = kernelsOn(gpu);
  }

  async allocate(specs: readonly VariableSpec[]): Promise<DeviceState> {
    const { ort, gpu, faults } = this.#engine;
    const { maxBufferSize, maxStorageBufferBindingSize } = gpu.limits;
    const most = Math.min(maxBufferSize, maxStorageBufferBindingSize);
    const bytes = specs.map(({ dims }) => FLOAT_BYTES * dims.reduce((a, b) => a * b, 1));
    const large = bytes.findIndex((each) => each > most);
    if (large >= 0) {
      const { name, dims } = specs[large];
      throw new DeviceError(
        "limit",
        `the GPU cannot hold "${name}" of shape [${dims}]: ${
          megabytes(bytes[large])
        } MB, and this adapter ` +
          `binds buffers of ${megabytes(most)} MB at most`,
      );
    }
    return await faults.reserve(
      bytes.reduce((a, b) => a + b, 0),
      () => new GpuState(specs, ort, gpu, faults),
      (state) => void state[Symbol.asyncDispose](),
    );
  }

  compile(model: Uint8Array, options: CompileOptions = {}): Promise<Session> {
    return webLock.run(async () => {
      const sessions = isSegmented(model) ? SegmentedSession : GpuSession;
      return await this.#engine.faults.guard<Session>(() =>
        sessions.compile(this.#engine, model, options)
      );
    });
  }

  // deno-lint-ignore require-await
  async [Symbol.asyncDispose](): Promise<void> {
    this.#engine.faults.close();
    this.#engine.gpu.destroy();
  }
}
