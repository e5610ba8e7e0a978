/**
 * Memory that several processes of one host have in common, and a way to sleep until one of them
 * changes it: Linux' memfd_create(2), mmap(2) and futex(2), through the C library.
 *
 * It needs Linux on x86-64 and the `ffi` permission, and is used only if both are there without asking; the
 * system must allow one rank to open another's memory, which is tried and not assumed. Otherwise
 * sockets do the work, with the same results.
 *
 * @module
 */

// Numbers of Linux on x86-64.
const MFD_CLOEXEC = 1, O_RDWR_CLOEXEC = 0o2000002, SEEK_END = 2;
const PROT_READ_WRITE = 3, MAP_SHARED_FIXED = 0x11;
const SYS_FUTEX = 202n, FUTEX_WAIT = 0, FUTEX_WAKE = 1;

const SYMBOLS = {
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  open: { parameters: ["buffer", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
  readlink: { parameters: ["buffer", "buffer", "usize"], result: "i64" },
  mmap: { parameters: ["buffer", "usize", "i32", "i32", "i32", "i64"], result: "i64" },
  syscall: { parameters: ["i64", "buffer", "i32", "u32", "buffer"], result: "i32" },
} as const;

/** What the memory is called, and what the system then calls it among a process's open files. */
const NAME = "celgc", SHOWN_NAME = `/memfd:${NAME} (deleted)`;

/** A page of memory in bytes. */
export const PAGE_BYTES = 4096;

/** A stretch of memory that several processes have mapped. */
export interface SharedSegment {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Its first page as words, for atomic access. */
  readonly words: Int32Array<ArrayBuffer>;
}

/** The means to have memory in common with other processes. */
export class SharedMemory {
  static #opened: SharedMemory | null | undefined;

  readonly #libc: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
  readonly #time = new BigInt64Array(2); // struct timespec
  readonly #timeBytes = new Uint8Array(this.#time.buffer);

  private constructor(library: Deno.DynamicLibrary<typeof SYMBOLS>) {
    this.#libc = library.symbols;
  }

  /** The means, or null if this process does not have them. */
  static open(): SharedMemory | null {
    if (SharedMemory.#opened === undefined) SharedMemory.#opened = SharedMemory.#open();
    return SharedMemory.#opened;
  }

  static #open(): SharedMemory | null {
    const { os, arch } = Deno.build;
    if (os !== "linux" || arch !== "x86_64") return null;
    if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") return null;
    try {
      return new SharedMemory(Deno.dlopen("libc.so.6", SYMBOLS));
    } catch {
      return null;
    }
  }

  /**
   * Replaces a stretch of this process's memory by zeros that others can open.
   *
   * @param pages whole ones, of memory that is never given back
   * @returns the number under which others open it, until it is closed
   * @throws RangeError if the system refuses
   */
  create(pages: Uint8Array<ArrayBuffer>): number {
    const descriptor = this.#libc.memfd_create(text(NAME), MFD_CLOEXEC);
    const made = descriptor >= 0 && this.#libc.ftruncate(descriptor, BigInt(pages.length)) === 0 &&
      this.#map(descriptor, pages);
    if (made) return descriptor;
    if (descriptor >= 0) this.close(descriptor);
    throw new RangeError(`cannot share ${pages.length} bytes of memory: the system refuses`);
  }

  /**
   * Replaces a stretch of this process's memory by that which another process has created.
   *
   * The number may stand for something else by now, or in this process's view of the processes. So only
   * what bears the name is opened, and only what is as long as `pages` is mapped: who touches a page
   * beyond the end of a file is ended by the system (SIGBUS).
   *
   * @param pages as in {@linkcode SharedMemory.create}
   * @returns false if the system refuses, or the process or its memory is not there, or is another
   */
  attach(pid: number, descriptor: number, pages: Uint8Array<ArrayBuffer>): boolean {
    const path = `/proc/${pid}/fd/${descriptor}`;
    if (this.#nameOf(path) !== SHOWN_NAME) return false;
    const own = this.#libc.open(text(path), O_RDWR_CLOEXEC);
    if (own < 0) return false;
    const attached = this.#nameOf(`/proc/self/fd/${own}`) === SHOWN_NAME &&
      this.#libc.lseek(own, 0n, SEEK_END) === BigInt(pages.length) && this.#map(own, pages);
    this.close(own);
    return attached;
  }

  /**
   * What a link of the system points to; through the C library, which asks for no permission to
   * read.
   */
  #nameOf(path: string): string {
    const target = new Uint8Array(2 * SHOWN_NAME.length);
    const length = Number(this.#libc.readlink(text(path), target, BigInt(target.length)));
    return new TextDecoder().decode(target.subarray(0, Math.max(0, length)));
  }

  #map(descriptor: number, pages: Uint8Array<ArrayBuffer>): boolean {
    const at = this.#libc.mmap(
      pages,
      BigInt(pages.length),
      PROT_READ_WRITE,
      MAP_SHARED_FIXED,
      descriptor,
      0n,
    );
    return at !== -1n;
  }

  /** Ends the time in which others can open what was created under a number. */
  close(descriptor: number): void {
    this.#libc.close(descriptor);
  }

  /**
   * Sleeps until somebody wakes those who sleep on a word, but not longer than this, and not at all if
   * the word is no longer `value`. Nothing else happens in this process meanwhile.
   *
   * @param word 4 bytes of shared memory
   * @param ms below 1000
   */
  sleep(word: Uint8Array<ArrayBuffer>, value: number, ms: number): void {
    this.#time[1] = BigInt(Math.round(ms * 1e6));
    this.#libc.syscall(SYS_FUTEX, word, FUTEX_WAIT, value >>> 0, this.#timeBytes);
  }

  /** Wakes up to `count` processes that sleep on a word. */
  wake(word: Uint8Array<ArrayBuffer>, count: number): void {
    this.#libc.syscall(SYS_FUTEX, word, FUTEX_WAKE, count, this.#timeBytes);
  }
}

/** A string of C. */
function text(value: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${value}\0`);
}
