/**
 * Brings the results of runs back from a GPU, those of several runs at a time.
 *
 * Deno's `mapAsync` first waits, with the whole process, until the GPU has done everything it was given,
 * and then another 10 ms without it. To map a buffer after every run costs that at every run; so the
 * queue copies the results of one run after another into one page, which is mapped once, when somebody
 * asks for one of them.
 *
 * @module
 */

import { arrayOf, type Port } from "./_binding.ts";
import { elementCount } from "./_layout.ts";
import type { HostTensor, Submission } from "./device.ts";
import type { GpuFaults } from "./faults/gpu_faults.ts";

/** Most runs whose results share a page. */
const MOST_PLACES = 16;

/** Bytes that a page of more than one place may have. */
const PAGE_BYTES = 1 << 16;

/** Most pages that nobody has asked for: before there is another, the host takes the oldest one's contents. */
const MOST_UNREAD = 16;

interface Page {
  readonly buffer: GPUBuffer;
  /** Places given away. */
  used: number;
  /** Resolves when the queue has been given the results of the last of them. */
  written: Promise<void>;
  /** What was in it when it was mapped; asked for once. */
  contents?: Promise<ArrayBuffer>;
  /** Whether they are here. */
  arrived: boolean;
}

/** Where the results of one run go. */
export interface Place {
  readonly buffer: GPUBuffer;
  /** Bytes before it. */
  readonly offset: number;
  /** Whether a fetch need not wait for the GPU. */
  readonly arrived: boolean;
  /** Says that the queue has been given the results, or will not be: before, the page is not mapped. */
  written(): void;
  /** Maps the page unless that has been done, and returns a view of this place: its bytes alone. */
  fetch(): Promise<Uint8Array<ArrayBuffer>>;
}

/** The pages of one session. */
export class Readback {
  readonly #gpu: GPUDevice;
  readonly #bytes: number;
  readonly #places: number;
  /** Pages that hold nothing. */
  readonly #idle: GPUBuffer[] = [];
  /** The page that the next run writes to. */
  #open: Page | undefined;
  /** Pages that somebody may yet ask for. */
  readonly #unread = new Set<Page>();
  #closed = false;

  /** @param bytes of one run's results: a multiple of four, more than none */
  constructor(gpu: GPUDevice, bytes: number) {
    this.#gpu = gpu;
    this.#bytes = bytes;
    this.#places = Math.max(1, Math.min(MOST_PLACES, Math.floor(PAGE_BYTES / bytes)));
  }

  /**
   * Waits for the GPU if the results of very many runs have not been asked for, so that they take no more of its
   * memory. To be called before {@linkcode Readback.place}.
   */
  async makeRoom(): Promise<void> {
    const isFull = this.#open === undefined || this.#open.used === this.#places;
    const [oldest] = this.#unread;
    if (isFull && this.#unread.size >= MOST_UNREAD) await this.#contents(oldest);
  }

  /** A place for the results of the next run, of which there is one at a time. */
  place(): Place {
    if (this.#open?.used === this.#places) this.#open = undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    const page = this.#open ??= {
      buffer: this.#buffer(),
      used: 0,
      written: promise,
      arrived: false,
    };
    page.written = promise;
    this.#unread.add(page);
    const offset = page.used++ * this.#bytes;
    return {
      written: resolve,
      buffer: page.buffer,
      offset,
      get arrived() {
        return page.arrived;
      },
      fetch: async () => new Uint8Array(await this.#contents(page), offset, this.#bytes),
    };
  }

  /** Gives the memory back. Results that nobody has asked for by now are lost. */
  close(): void {
    this.#closed = true;
    for (const { buffer } of this.#unread) buffer.destroy();
    this.#unread.clear();
    for (const buffer of this.#idle.splice(0)) buffer.destroy();
  }

  #buffer(): GPUBuffer {
    return this.#idle.pop() ?? this.#gpu.createBuffer({
      size: this.#places * this.#bytes,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
  }

  #contents(page: Page): Promise<ArrayBuffer> {
    if (page.contents) return page.contents;
    if (this.#closed) {
      throw new Error("cannot fetch a run's outputs: its session was disposed of before");
    }
    // What is mapped cannot be written to: the next run opens another page.
    if (this.#open === page) this.#open = undefined;
    this.#unread.delete(page);
    return page.contents = this.#map(page);
  }

  async #map(page: Page): Promise<ArrayBuffer> {
    const { buffer } = page;
    await page.written;
    await buffer.mapAsync(GPUMapMode.READ);
    const contents = buffer.getMappedRange().slice(0);
    buffer.unmap();
    page.arrived = true;
    if (this.#closed) buffer.destroy();
    else this.#idle.push(buffer);
    return contents;
  }
}

/** An output that comes back, and where it lies in a buffer for reading back, in bytes. */
export interface Returned {
  readonly name: string;
  readonly type: string;
  readonly dims: readonly number[];
  readonly bytes: number;
  readonly offset: number;
}

/** A run whose outputs are copied to a place where they can be read. */
export class GpuSubmission implements Submission {
  readonly #place: Place | undefined;
  readonly #returned: readonly Returned[];
  readonly #faults: GpuFaults;
  #outputs: Promise<Record<string, HostTensor>> | undefined;

  constructor(place: Place | undefined, returned: readonly Returned[], faults: GpuFaults) {
    this.#place = place;
    this.#returned = returned;
    this.#faults = faults;
  }

  get ready(): boolean {
    return this.#place?.arrived ?? true;
  }

  outputs(): Promise<Record<string, HostTensor>> {
    return this.#outputs ??= this.#faults.guard(() => this.#fetch());
  }

  async #fetch(): Promise<Record<string, HostTensor>> {
    const results: Record<string, HostTensor> = {};
    const bytes = await this.#place?.fetch();
    if (bytes === undefined) return results;
    for (const { name, type, dims, offset, bytes: size } of this.#returned) {
      const data = new (arrayOf(type))(elementCount(dims));
      new Uint8Array(data.buffer).set(bytes.subarray(offset, offset + size));
      results[name] = { type, dims, data } as HostTensor;
    }
    return results;
  }
}

/** Outputs one after the other. */
export function returnedOf(ports: readonly Port[]): Returned[] {
  let offset = 0;
  return ports.map(({ name, type, dims }) => {
    const fixed = fixedDims(name, dims), bytes = bytesOf(type, fixed);
    const returned = { name, type, dims: fixed, bytes, offset };
    offset += padded(bytes);
    return returned;
  });
}

/** Bytes that outputs take. */
export function bytesOfReturned(returned: readonly Returned[]): number {
  const last = returned.at(-1);
  return last ? last.offset + padded(last.bytes) : 0;
}

/** WebGPU buffers have one size for good. */
export function fixedDims(name: string, dims: Port["dims"]): readonly number[] {
  if (dims.every((dim) => typeof dim === "number")) return dims as readonly number[];
  throw new TypeError(
    `"${name}" has the shape [${dims}]: the webgpu device needs every dimension fixed`,
  );
}

export function bytesOf(type: string, dims: readonly number[]): number {
  return elementCount(dims) * new (arrayOf(type))(1).BYTES_PER_ELEMENT;
}

/** WebGPU copies multiples of four bytes. */
export function padded(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}
