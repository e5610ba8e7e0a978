/**
 * Opens the device a user asked for, or the best one there is.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import {
  fetchOnnxRuntimeNode,
  loadOnnxRuntimeWeb,
  MissingPackageError,
  NATIVE_ENGINE_ENVIRONMENT,
  onnxRuntimeNodeUrl,
  onnxRuntimeWebUrl,
} from "../../deps.ts";
import { openCpu } from "./cpu.ts";
import type { Device, DeviceKind } from "./device.ts";
import { openWasm } from "./wasm.ts";
import { hasGpu, openWebGpu } from "./webgpu.ts";

/** Every kind of device, and "auto": a GPU if there is one, else the CPU. */
export const DEVICE_CHOICES = ["auto", "webgpu", "cpu", "wasm"] as const;

/** What {@linkcode openDevice} is to open. */
export type DeviceChoice = typeof DEVICE_CHOICES[number];

/** How to open a device. */
export interface OpenDeviceOptions {
  /**
   * Threads within an operator, on the `cpu` device. The others have one.
   * @default {1}
   */
  readonly threads?: number;
}

/**
 * Opens a device.
 *
 * "auto" takes a GPU that is made of hardware, else the CPU. A software adapter such as Mesa's
 * llvmpipe is slower than the CPU device and is taken only when "webgpu" is asked for by name.
 *
 * @throws {RangeError} an unknown kind, or a number of threads that is no positive integer
 * @throws {Error} the device is not there; the message says what is missing
 *
 * @example
 * ```ts no-assert
 * import { openDevice } from "./open.ts";
 *
 * await using device = await openDevice("auto");
 * console.log(device.description);
 * ```
 */
export async function openDevice(
  choice: DeviceChoice,
  options: OpenDeviceOptions = {},
): Promise<Device> {
  const { threads = 1 } = options;
  if (!Number.isSafeInteger(threads) || threads < 1) {
    throw new RangeError(`cannot open a device with ${threads} threads: need a positive integer`);
  }
  switch (await resolveDevice(choice)) {
    case "cpu":
      return await openCpu({ threads });
    case "wasm":
      return await openWasm();
    case "webgpu":
      return await openWebGpu();
  }
}

/**
 * The device that a choice comes to on this machine. Its engine is fetched if it is not cached, so that
 * of many ranks not every one does so.
 *
 * @param beforeFetch is told the kind, and waited for, before the engine is fetched
 * @throws {RangeError} an unknown choice
 * @throws {MissingPackageError} the engine is neither there nor can it be fetched
 */
export async function resolveDevice(
  choice: DeviceChoice,
  beforeFetch?: (kind: DeviceKind) => Promise<void>,
): Promise<DeviceKind> {
  if (!DEVICE_CHOICES.includes(choice)) {
    throw new RangeError(
      `no device "${choice}": there are ${DEVICE_CHOICES.map((name) => `"${name}"`).join(", ")}`,
    );
  }
  const kind = choice !== "auto" ? choice : await hasGpu() ? "webgpu" : "cpu";
  await beforeFetch?.(kind);
  await (kind === "cpu" ? fetchOnnxRuntimeNode() : loadOnnxRuntimeWeb()).catch((error) => {
    // What else goes wrong is told by whoever opens the device.
    if (error instanceof MissingPackageError) throw error;
  });
  return kind;
}

/**
 * The permissions that a device needs, as narrow as they go: `cpu` loads one native library and sets the
 * variable that turns its telemetry off, `webgpu` and `wasm` read one wasm file. The engine must have
 * been fetched, as `resolveDevice` does, or they are wider.
 *
 * @returns Deno's flags without their `--allow-`, such as `env=A,B`, as `launchProgram` takes them
 */
export function permissionsFor(kind: DeviceKind): string[] {
  if (kind === "cpu") {
    const variables = Object.keys(NATIVE_ENGINE_ENVIRONMENT).join(",");
    return [narrow("ffi", onnxRuntimeNodeUrl()), `env=${variables}`];
  }
  const read = narrow("read", onnxRuntimeWebUrl());
  return kind === "wasm" ? [read] : [read, "env=XDG_RUNTIME_DIR"];
}

/** Narrows a permission to the package that a module's URL lies in. */
function narrow(name: string, module: string): string {
  if (!module.startsWith("file:")) return name;
  // A package's modules lie in its dist folder; a comma would separate two paths.
  return `${name}=${fileURLToPath(new URL("../", module)).replaceAll(",", ",,")}`;
}
