/**
 * Reading and writing the memory of other ranks on the same host, as MPI libraries do ("cross memory
 * attach", Linux' process_vm_readv): one copy, where a socket makes two.
 *
 * It needs Linux and the `ffi` permission, and is used only if both are there without asking; the
 * system must allow one rank to look into another, which is tried and not assumed. Otherwise sockets
 * do the work, with the same results.
 *
 * @module
 */

/** prctl(2): names the process whose descendants may look into this one, where Yama asks. */
const PR_SET_PTRACER = 0x59616d61;
/** Longest copy at a time; the system's own limit is a page less than 2³¹. */
const MOST_BYTES = 1 << 30;

// What process_vm_* return fits 32 bits, which spares a bigint for each call.
const COPY = {
  parameters: ["i32", "buffer", "usize", "buffer", "usize", "usize"],
  result: "i32",
} as const;
const COUNTS = [0n, 1n, 2n, 3n, 4n];
const SYMBOLS = {
  process_vm_readv: COPY,
  process_vm_writev: COPY,
  prctl: { parameters: ["i32", "usize", "usize", "usize", "usize"], result: "i32" },
  sched_yield: { parameters: [], result: "i32" },
} as const;

/** A stretch of memory. */
export interface Stretch {
  address: number;
  length: number;
}

/** Access to the memory of processes on this host. */
export class PeerMemory {
  static #opened: PeerMemory | null | undefined;

  readonly #libc: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
  // Arrays of struct iovec, as halves of 64-bit words.
  readonly #here = new Uint32Array(16);
  readonly #there = new Uint32Array(16);
  readonly #hereBytes = new Uint8Array(this.#here.buffer);
  readonly #thereBytes = new Uint8Array(this.#there.buffer);

  private constructor(library: Deno.DynamicLibrary<typeof SYMBOLS>) {
    this.#libc = library.symbols;
    // Ranks are siblings; their common parent is whoever started them on this host.
    this.#libc.prctl(PR_SET_PTRACER, BigInt(Deno.ppid), 0n, 0n, 0n);
  }

  /** The means to look into other processes, or null if this process does not have them. */
  static open(): PeerMemory | null {
    if (PeerMemory.#opened === undefined) PeerMemory.#opened = PeerMemory.#open();
    return PeerMemory.#opened;
  }

  static #open(): PeerMemory | null {
    const { os, arch } = Deno.build;
    // On other processors what is written first need not be seen first.
    if (os !== "linux" || arch !== "x86_64") return null;
    if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") return null;
    try {
      return new PeerMemory(Deno.dlopen("libc.so.6", SYMBOLS));
    } catch {
      return null;
    }
  }

  /** Where a buffer lies, as long as it lives. It must not be tiny: those may be moved. */
  static address(bytes: Uint8Array): number {
    const pointer = Deno.UnsafePointer.of(bytes as Uint8Array<ArrayBuffer>);
    return pointer === null ? 0 : Number(Deno.UnsafePointer.value(pointer));
  }

  /**
   * Copies memory of another process to `address` in this one.
   *
   * @returns false if the system refuses, or the process or its memory is not there
   */
  read(pid: number, from: number, address: number, length: number): boolean {
    for (let at = 0; at < length;) {
      const part = Math.min(length - at, MOST_BYTES);
      put(this.#here, 0, address + at, part);
      put(this.#there, 0, from + at, part);
      const n = this.#libc.process_vm_readv(pid, this.#hereBytes, 1n, this.#thereBytes, 1n, 0n);
      if (n <= 0) return false;
      at += n;
    }
    return true;
  }

  /**
   * Copies up to 4 stretches of this process into another, the first one first: who sees the last
   * sees all.
   */
  write(pid: number, from: readonly Stretch[], to: readonly Stretch[]): boolean {
    let total = 0;
    for (let i = 0; i < from.length; i++) {
      put(this.#here, i, from[i].address, from[i].length);
      put(this.#there, i, to[i].address, to[i].length);
      total += from[i].length;
    }
    const count = COUNTS[from.length];
    return this.#libc
      .process_vm_writev(pid, this.#hereBytes, count, this.#thereBytes, count, 0n) === total;
  }

  /** Lets another process run on this processor. */
  yield(): void {
    this.#libc.sched_yield();
  }
}

function put(vector: Uint32Array, i: number, address: number, length: number): void {
  vector[4 * i] = address >>> 0;
  vector[4 * i + 1] = Math.floor(address / 2 ** 32);
  vector[4 * i + 2] = length;
}
