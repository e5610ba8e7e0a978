/**
 * The memory that the ranks of a host have in common: a segment of each rank, which all have mapped. It
 * holds the rank's mailbox, a counter of arrivals, and staging buffers where large buffers are put
 * segment by segment for the others to read.
 *
 * All segments lie in one WebAssembly memory, whose pages they replace, so that the kernel sums other
 * ranks' floats where they are.
 *
 * @module
 */

import { ALIGNMENT, Workspace } from "../reduction/workspace.ts";
import type { Transport } from "../transport/transport.ts";
import { mailboxBytes } from "./mailbox.ts";
import { PAGE_BYTES, SharedMemory, type SharedSegment } from "./memory.ts";

/** What is known of the ranks of a job before they have memory in common. */
export type JobRanks = Pick<Transport, "rank" | "size" | "hosts" | "bypassesSharedMemory">;

/** Most ranks for which every rank keeps a mailbox and staging buffers. */
const MOST_RANKS = 64;
/** Staging buffers of a rank: one is filled, one reduced, one read from. */
export const STAGING_BUFFERS = 3;
/** Bytes that all ranks together fill at a time, so that they stay in the cache. */
const FILLED_BYTES = 16 << 20;
/** Longest staging buffer in bytes. */
const MOST_STAGING_BYTES = 2 << 20;
/** Shortest staging buffer in bytes, whatever the number of ranks. */
const LEAST_STAGING_BYTES = 64 << 10;
/**
 * Where in a page a staging buffer begins. Copies take five times as long if their target begins a
 * little behind their source within a page; large buffers begin at most 64 bytes into one.
 */
const STAGING_SHIFT = 3072;
/** Where the counter of arrivals is, behind the mailbox's words, on a cache line of its own. */
const ARRIVALS_AT = 128;
/** Where a rank shows who it is while the others look for it. */
const TOKEN_AT = 256;
/** How long a rank sleeps before it yields to its event loop, in ms. */
const SLEEP_MS = 10;
/**
 * How long of this a rank looks without a pause if it has a processor of its own, in ms. Longer than it
 * takes to wake a processor that sleeps (0.05 to 0.2 ms): otherwise ranks that have once slept make each
 * other late enough to sleep again, call after call.
 */
const SPIN_MS = 0.3;

const rounded = (bytes: number) => Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;

/** What the ranks of a host have in common. */
export class SharedArena {
  /** Folds what lies in the staging buffers. */
  readonly workspace: Workspace;
  /** Bytes of a rank's buffer that fit into a staging buffer. */
  readonly stagingBytes: number;
  /** By rank of the job. Only those of local peers are more than private memory. */
  readonly segments: readonly SharedSegment[];
  /** Maps the segments, and puts this rank to sleep. */
  readonly memory: SharedMemory;
  /** The number under which other processes open this rank's segment. */
  readonly descriptor: number;
  /** How long this rank looks without a pause before it sleeps, in ms. */
  readonly spinMs: number;
  readonly #firstStaging: number;
  readonly #stagingStride: number;

  private constructor(memory: SharedMemory, rank: number, size: number, sharing: number) {
    this.memory = memory;
    this.spinMs = sharing <= navigator.hardwareConcurrency ? SPIN_MS : 0;
    const share = Math.floor(FILLED_BYTES / size / PAGE_BYTES) * PAGE_BYTES;
    this.stagingBytes = Math.min(MOST_STAGING_BYTES, Math.max(LEAST_STAGING_BYTES, share));
    this.#stagingStride = rounded(this.stagingBytes + ALIGNMENT); // the kernel sums a little more
    this.#firstStaging = rounded(mailboxBytes(size)) + STAGING_SHIFT;
    const stride = this.#firstStaging + PAGE_BYTES - STAGING_SHIFT +
      STAGING_BUFFERS * this.#stagingStride;
    this.workspace = new Workspace(PAGE_BYTES + size * stride, size, 0);
    const { bytes } = this.workspace, start = rounded(bytes.byteOffset);
    this.segments = Array.from({ length: size }, (_, rank) => ({
      bytes: new Uint8Array(bytes.buffer, start + rank * stride, stride),
      words: new Int32Array(bytes.buffer, start + rank * stride, PAGE_BYTES / 4),
    }));
    this.descriptor = memory.create(this.segments[rank].bytes);
    KEPT.push(this);
  }

  /** An arena with this rank's segment in it, or null if there is nobody or no means to share it. */
  static open({ rank, size, hosts, bypassesSharedMemory = false }: JobRanks): SharedArena | null {
    const sharing = hosts.filter((host) => host === hosts[rank]).length;
    const without = bypassesSharedMemory || sharing === 1 || size > MOST_RANKS;
    const memory = without ? null : SharedMemory.open();
    if (memory === null) return null;
    try {
      return new SharedArena(memory, rank, size, sharing);
    } catch {
      return null; // no memory is to be had
    }
  }

  /** Adds the segment of another rank; false if the system refuses, or it is not there. */
  attach(rank: number, pid: number, descriptor: number): boolean {
    return this.memory.attach(pid, descriptor, this.segments[rank].bytes);
  }

  /** A staging buffer of a rank of the job. */
  staging(rank: number, index: number): Uint8Array<ArrayBuffer> {
    const start = this.#firstStaging + index * this.#stagingStride;
    return this.segments[rank].bytes.subarray(start, start + this.#stagingStride);
  }

  /** Where a rank shows `length` bytes by which the others recognise it. */
  token(rank: number, length: number): Uint8Array<ArrayBuffer> {
    return this.segments[rank].bytes.subarray(TOKEN_AT, TOKEN_AT + length);
  }

  /** How often ranks have arrived at a rank's counter; wraps. */
  arrivals(rank: number): number {
    return Atomics.load(this.segments[rank].words, ARRIVALS_AT >> 2);
  }

  /** Arrives at a rank's counter; whoever reaches `last` wakes all that wait there. */
  arrive(rank: number, last: number): void {
    const count = Atomics.add(this.segments[rank].words, ARRIVALS_AT >> 2, 1) + 1 | 0;
    if (count === last) this.memory.wake(this.#counter(rank), 0x7fffffff);
  }

  /** Whether a rank's counter has reached `last`. */
  reached(rank: number, last: number): boolean {
    return (this.arrivals(rank) - last | 0) >= 0;
  }

  /**
   * Looks and sleeps until a rank's counter has reached `last`, for a moment at most; says whether it
   * has.
   */
  sleepUntil(rank: number, last: number): boolean {
    const start = performance.now();
    for (let count = this.arrivals(rank); (count - last | 0) < 0; count = this.arrivals(rank)) {
      const spent = performance.now() - start;
      if (spent >= SLEEP_MS) return false;
      if (spent < this.spinMs) continue;
      this.memory.sleep(this.#counter(rank), count, SLEEP_MS - spent);
    }
    return true;
  }

  #counter(rank: number): Uint8Array<ArrayBuffer> {
    return this.segments[rank].bytes.subarray(ARRIVALS_AT, ARRIVALS_AT + 4);
  }
}

/** Pages that were replaced are not WebAssembly's to give back. */
const KEPT: SharedArena[] = [];
