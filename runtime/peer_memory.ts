/**
 * Reading the memory of other ranks on the same host, as MPI libraries do for large messages ("cross
 * memory attach", Linux' process_vm_readv): one copy, where a socket makes two.
 *
 * It needs Linux and the `ffi` permission, and is used only if both are there without asking; the
 * system must allow one rank to look into another, which is tried and not assumed. Otherwise sockets
 * do the work, with the same results.
 *
 * @module
 */

/** prctl(2): names the process whose descendants may read this one, where the Yama module asks. */
const PR_SET_PTRACER = 0x59616d61;
/** Longest read at a time; the system's own limit is a page less than 2³¹. */
const MOST_BYTES = 1 << 30;

const SYMBOLS = {
  process_vm_readv: {
    parameters: ["i32", "buffer", "usize", "buffer", "usize", "usize"],
    result: "isize",
  },
  prctl: { parameters: ["i32", "usize", "usize", "usize", "usize"], result: "i32" },
} as const;

/** Reads the memory of processes on this host. */
export class PeerMemory {
  readonly #libc: Deno.DynamicLibrary<typeof SYMBOLS>;
  /** Two structs iovec: where to, where from. */
  readonly #vectors = new BigUint64Array(4);
  readonly #local = new Uint8Array(this.#vectors.buffer, 0, 16);
  readonly #remote = new Uint8Array(this.#vectors.buffer, 16, 16);

  private constructor(libc: Deno.DynamicLibrary<typeof SYMBOLS>) {
    this.#libc = libc;
    // Ranks are siblings; their common parent is whoever started them on this host.
    libc.symbols.prctl(PR_SET_PTRACER, BigInt(Deno.ppid), 0n, 0n, 0n);
  }

  static #opened: PeerMemory | null | undefined;

  /** The means to read other processes, or null if this process does not have them. */
  static open(): PeerMemory | null {
    if (PeerMemory.#opened === undefined) PeerMemory.#opened = PeerMemory.#open();
    return PeerMemory.#opened;
  }

  static #open(): PeerMemory | null {
    if (Deno.build.os !== "linux" || !["x86_64", "aarch64"].includes(Deno.build.arch)) return null;
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
    const vectors = this.#vectors;
    for (let at = 0; at < length;) {
      const part = BigInt(Math.min(length - at, MOST_BYTES));
      vectors[0] = BigInt(address + at);
      vectors[2] = BigInt(from + at);
      vectors[1] = vectors[3] = part;
      const read = this.#libc.symbols
        .process_vm_readv(pid, this.#local, 1n, this.#remote, 1n, 0n);
      if (read <= 0n) return false;
      at += Number(read);
    }
    return true;
  }
}
