/**
 * onnxruntime's web engine, C++ compiled to wasm: one instance serves the wasm and WebGPU devices of
 * a process.
 *
 * @module
 */

import fs from "node:fs";
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
 * @param load gets one of its builds
 * @throws {Error} the package or its wasm file cannot be loaded
 */
export async function loadWebEngine(
  kind: string,
  load: () => Promise<Ort> = loadOnnxRuntimeWeb,
): Promise<Ort> {
  try {
    const ort = await load();
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

/**
 * Ends a session's profile and returns it. The engine has no way to hand it over but to print it, at
 * once and through Node's file system, so what is written meanwhile is caught there.
 */
export function endProfile(session: OrtSession): string {
  const lines: string[] = [];
  const { writeSync } = fs;
  fs.writeSync = ((_file: number, line: string) => lines.push(line)) as typeof writeSync;
  try {
    session.endProfiling();
  } finally {
    fs.writeSync = writeSync;
  }
  return lines.join("");
}

/** The version the engine reports. */
export function engineVersion(ort: Ort): string {
  return `onnxruntime-web ${ort.env.versions.web ?? ort.env.versions.common}`;
}
