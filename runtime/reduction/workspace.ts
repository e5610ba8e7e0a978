/**
 * Scratch memory that collectives borrow and give back, so that averaging a large model does not
 * allocate it again every time.
 *
 * @module
 */

import type { TypedArray } from "../base/datatypes.ts";
import { type Fold, foldInputs } from "./reduction.ts";
import { KERNEL_FLOATS, type SumKernel, sumKernel } from "./_sum_kernel.ts";

/** Alignment in bytes of everything that is laid out in a workspace: what the kernel sums at once. */
export const ALIGNMENT = 4 * KERNEL_FLOATS;

/** A page of WebAssembly memory in bytes. */
const PAGE_BYTES = 65536;

/** Rounds a number of bytes up to the alignment. */
export function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/**
 * A stretch of scratch memory, which is WebAssembly's so that what comes in from the network can be
 * summed where it lies.
 */
export class Workspace {
  /** The memory that is lent. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #memory: WebAssembly.Memory;
  readonly #kernel: SumKernel;
  readonly #table: Uint32Array;
  readonly #spare: Uint8Array;

  /**
   * @param length bytes to lend
   * @param ranks how many inputs a sum has at most
   * @param segment bytes of the longest input
   */
  constructor(length: number, ranks: number, segment: number) {
    const tableBytes = align(4 * ranks), total = tableBytes + align(segment) + align(length);
    this.#memory = new WebAssembly.Memory({ initial: Math.ceil(total / PAGE_BYTES) });
    this.#kernel = sumKernel(this.#memory);
    const buffer = this.#memory.buffer as ArrayBuffer; // not a shared one
    this.#table = new Uint32Array(buffer, 0, ranks);
    this.#spare = new Uint8Array(buffer, tableBytes, align(segment));
    this.bytes = new Uint8Array(buffer, tableBytes + align(segment));
  }

  /** Whether this workspace is large enough for what its constructor was given. */
  fits(length: number, ranks: number, segment: number): boolean {
    return this.bytes.length >= length && this.#table.length >= ranks &&
      this.#spare.length >= segment;
  }

  /**
   * Does what `foldInputs` does, faster where it can. All inputs but one must lie in `bytes`, and have
   * up to {@linkcode ALIGNMENT} − 1 unused bytes behind them.
   */
  fold(fold: Fold, inputs: readonly TypedArray[], out: TypedArray): void {
    if (!fold.isFloat32Sum || out.length === 0) return foldInputs(fold, inputs, out);
    const { buffer } = this.#memory;
    const spare = new Float32Array(buffer, this.#spare.byteOffset, out.length);
    inputs.forEach((input, rank) => {
      if (input.buffer !== buffer) spare.set(input as Float32Array);
      this.#table[rank] = input.buffer === buffer ? input.byteOffset : spare.byteOffset;
    });
    const target = out.buffer === buffer ? out : spare;
    this.#kernel(0, inputs.length, target.byteOffset, align(out.byteLength));
    if (target !== out) (out as Float32Array).set(spare);
  }
}

/** Workspaces that wait for their next use. */
export class WorkspacePool {
  readonly #idle: Workspace[] = [];

  /** Lends a workspace; the parameters are those of its constructor. */
  borrow(length: number, ranks: number, segment: number): Workspace {
    const index = this.#idle.findIndex((workspace) => workspace.fits(length, ranks, segment));
    if (index >= 0) return this.#idle.splice(index, 1)[0];
    this.#idle.shift(); // too small: a larger one takes its place
    return new Workspace(length, ranks, segment);
  }

  /** Takes a workspace back. One that frames may still be written to must not be given back. */
  giveBack(workspace: Workspace): void {
    this.#idle.push(workspace);
  }
}
