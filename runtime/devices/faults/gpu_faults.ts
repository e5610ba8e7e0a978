/**
 * Faults of a GPU. WebGPU reports what goes wrong on a device apart from the call that caused it, and a
 * buffer that could not be made reads as zeros: so what a device has complained of is kept, and whatever
 * comes back from it afterwards is an error instead.
 *
 * @module
 */

import { DeviceError } from "./device_error.ts";

/** The faults of one device. */
export class GpuFaults {
  readonly #gpu: GPUDevice;
  #fault: Error | undefined;

  /** @param gpu is listened to from now on */
  constructor(gpu: GPUDevice) {
    this.#gpu = gpu;
    gpu.addEventListener("uncapturederror", (event) => {
      event.preventDefault(); // or it is printed as well
      this.#fault ??= complaint((event as GPUUncapturedErrorEvent).error);
    });
    gpu.lost.then(({ message }) => {
      this.#fault ??= new DeviceError("lost", `the GPU was lost (${firstLine(message)})`);
    });
  }

  /** Says that the device is given up on purpose; whoever uses it afterwards is told so. */
  close(): void {
    this.#fault ??= new Error("cannot use the GPU: the webgpu device was disposed of");
  }

  /** @throws what the device has complained of first */
  assertNone(): void {
    if (this.#fault !== undefined) throw this.#fault;
  }

  /**
   * Does something with the device.
   *
   * @returns what the work returns, if the device has not complained
   * @throws DeviceError if it has, before or meanwhile; what the engine throws otherwise
   */
  async guard<T>(work: () => T | Promise<T>): Promise<T> {
    this.assertNone();
    let result: T;
    try {
      result = await work();
    } catch (error) {
      await turn(); // the loss of a device is told after the call that failed for it
      this.assertNone();
      throw error;
    }
    this.assertNone();
    return result;
  }

  /**
   * Makes something that takes memory on the device.
   *
   * @param bytes how much, for the error
   * @throws DeviceError if there is not as much; what `make` throws
   */
  async reserve<T>(bytes: number, make: () => T, giveBack: (made: T) => void): Promise<T> {
    this.assertNone();
    this.#gpu.pushErrorScope("out-of-memory");
    let made: T;
    try {
      made = make();
    } catch (cause) {
      await this.#gpu.popErrorScope(); // one that is left open hides what the GPU has to say from then on
      throw cause;
    }
    const error = await this.#gpu.popErrorScope();
    if (error === null) return made;
    giveBack(made);
    throw new DeviceError("memory", `the GPU has no ${megabytes(bytes)} MB of memory left`);
  }
}

/** Megabytes for people. */
export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
}

/**
 * What a complaint of a GPU means for whoever trains.
 *
 * @param what could not be done for it. @default {what the GPU does}
 */
export function complaint(error: GPUError, what?: string): DeviceError {
  const reason = error.message === "" ? "" : ` (${firstLine(error.message)})`;
  return error instanceof GPUOutOfMemoryError
    ? new DeviceError("memory", `${what ?? "the GPU has no memory left"}${reason}`)
    : new DeviceError("refused", `${what ?? "the GPU refuses a command"}${reason}`);
}

/**
 * What it means that the engine could not run a graph on the GPU: it listens to some of what the GPU says of kernels
 * itself. What has nothing to do with the GPU stays as it is.
 */
export function engineComplaint(error: unknown): unknown {
  const { message } = error as Error;
  const [, node = "a node", reason = message] =
    /Name:'(.*?)' Status Message: (.*)/s.exec(message) ?? [];
  if (!/webgpu|shader|pipeline|buffer/i.test(reason)) return error;
  const what = `the GPU refuses what computes ${node} (${firstLine(reason)})`;
  return new DeviceError("refused", what, { cause: error });
}

/** The first line of a text that says something. */
function firstLine(text: string): string {
  return text.split("\n").map((line) => line.trim()).find((line) => line !== "") ??
    "no reason given";
}

/** Lets the events of the device arrive. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
