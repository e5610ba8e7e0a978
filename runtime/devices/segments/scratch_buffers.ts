/**
 * Memory that sessions use one after the other, never at once: those of one model at several lengths need as much of
 * it as one.
 *
 * @module
 */

/** Buffers of a GPU by their size, and how many use each. */
export class ScratchBuffers {
  readonly #gpu: GPUDevice;
  readonly #buffers = new Map<number, { readonly buffer: GPUBuffer; users: number }>();

  constructor(gpu: GPUDevice) {
    this.#gpu = gpu;
  }

  /** A buffer of so many bytes. What is in it is anything, and is so again after a run. */
  take(bytes: number): GPUBuffer {
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
