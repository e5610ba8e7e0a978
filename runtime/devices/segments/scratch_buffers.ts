/**
 * Memory that sessions use one after the other, never at once: those of one model at several lengths need as much of
 * it as one.
 *
 * @module
 */

import { DeviceError } from "../faults/device_error.ts";
import { megabytes } from "../faults/gpu_faults.ts";

/** Buffers of a GPU by their size, and how many use each. */
export class ScratchBuffers {
  readonly #gpu: GPUDevice;
  readonly #buffers = new Map<number, { readonly buffer: GPUBuffer; users: number }>();

  constructor(gpu: GPUDevice) {
    this.#gpu = gpu;
  }

  /**
   * A buffer of so many bytes. What is in it is anything, and is so again after a run.
   *
   * @throws DeviceError if a kernel could not have it whole
   */
  take(bytes: number): GPUBuffer {
    const { maxBufferSize, maxStorageBufferBindingSize } = this.#gpu.limits;
    const most = Math.min(maxBufferSize, maxStorageBufferBindingSize);
    if (bytes > most) {
      throw new DeviceError(
        "limit",
        `the GPU cannot keep ${
          megabytes(bytes)
        } MB for an update of what is not bound to it: this ` +
          `adapter binds buffers of ${megabytes(most)} MB at most`,
      );
    }
    let shared = this.#buffers.get(bytes);
    if (!shared) {
      const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
      const size = Math.max(16, bytes), usage = STORAGE | COPY_SRC | COPY_DST;
      shared = { buffer: this.#gpu.createBuffer({ size, usage }), users: 0 };
      this.#buffers.set(bytes, shared);
    }
    shared.users++;
    return shared.buffer;
  }

  /** Gives back what {@linkcode ScratchBuffers.take} gave. */
  give(bytes: number): void {
    const shared = this.#buffers.get(bytes);
    if (!shared || --shared.users > 0) return;
    shared.buffer.destroy();
    this.#buffers.delete(bytes);
  }
}
