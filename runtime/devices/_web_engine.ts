/**
 * onnxruntime's web engine, C++ compiled to wasm: one instance serves the wasm and WebGPU devices of
 * a process.
 *
 * @module
 */

import { loadOnnxRuntimeWeb } from "../../deps.ts";
import { Lock } from "./_lock.ts";

export type Ort = Awaited<ReturnType<typeof loadOnnxRuntimeWeb>>;
export type OrtSession = Awaited<ReturnType<Ort["InferenceSession"]["create"]>>;
export type OrtTensor = InstanceType<Ort["Tensor"]>;

/** The engine cannot be entered twice: every create, run and release goes through here. */
export const webLock = new Lock();

/**
 * Loads the engine, with one thread: further ones need a worker made from a blob, which Deno refuses.
 *
 * @throws {Error} the package or its wasm file cannot be loaded
 */
export async function loadWebEngine(kind: string): Promise<Ort> {
  try {
    const ort = await loadOnnxRuntimeWeb();
    ort.env.wasm.numThreads = 1;
    ort.env.logLevel = "error";
    return ort;
  } catch (cause) {
    throw new Error(
      `cannot open the ${kind} device: onnxruntime-web did not load: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** The version the engine reports. */
export function engineVersion(ort: Ort): string {
  return `onnxruntime-web ${ort.env.versions.web ?? ort.env.versions.common}`;
}
