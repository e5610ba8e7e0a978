/**
 * The memory that the ranks of a host have in common: a segment of each rank, which all have mapped. It
 * holds the rank's mailbox, a counter of arrivals, and room where large buffers are put piece by piece
 * for the others to read.
 *
 * All segments lie in one WebAssembly memory, whose pages they replace, so that the kernel sums other
 * ranks' floats where they are.
 *
 * @module
 */

import { mailboxBytes } from "./mailbox.ts";
import { PAGE_BYTES, SharedMemory } from "./memory.ts";
import type { Transport } from "../transport/transport.ts";
import { ALIGNMENT, Workspace } from "../reduction/workspace.ts";

/** Most ranks for which every rank keeps a mailbox and slots. */
const MOST_RANKS = 64;
/** Stretches of a rank's buffer that may be in the others' hands. */
export const SLOTS = 3;
/** Bytes that all ranks together put up at a time, so that they stay in the cache; … */
const SHOWN_BYTES = 16 << 20;
/** … and the most and least for one rank. */
const MOST_SLOT_BYTES = 2 << 20, LEAST_SLOT_BYTES = 64 << 10;
/**
 * Where in a page a slot begins. Copies take five times as long if their target begins a little behind
 * their source within a page; large buffers begin at most 64 bytes into one.
 */
const SLOT_SHIFT = 3072;
/** Where the counter of arrivals is, behind the mailbox's words, on a cache line of its own. */
const ARRIVALS_AT = 128;
/** Where a rank shows who it is while the others look for it. */
const TOKEN_AT = 256;
/** How long a rank sleeps before it turns to its event loop, in ms. */
const SLEEP_MS = 10;

/** A rank's segment. */
export interface Segment {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly words: Int32Array<ArrayBuffer>;
}

const rounded = (bytes: number) => Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;

/** What the ranks of a host have in common. */
export class SharedArena {
  /** Folds what lies on the board. */
  readonly workspace: Workspace;
  /** Bytes of a rank's buffer that fit into a slot. */
  readonly slotBytes: number;
  /** By rank of the job. Only those of neighbours are more than private memory. */
  readonly segments: readonly Segment[];
  /** Maps the segments, and puts this rank to sleep. */
  readonly memory: SharedMemory;
  /** The number under which other processes open this rank's segment. */
  readonly descriptor: number;
  readonly #firstSlot: number;
  readonly #slotStride: number;

  private constructor(memory: SharedMemory, rank: number, size: number) {
    this.memory = memory;
    const share = Math.floor(SHOWN_BYTES / size / PAGE_BYTES) * PAGE_BYTES;
    this.slotBytes = Math.min(MOST_SLOT_BYTES, Math.max(LEAST_SLOT_BYTES, share));
    this.#slotStride = rounded(this.slotBytes + ALIGNMENT); // the kernel sums a little more
    this.#firstSlot = rounded(mailboxBytes(size)) + SLOT_SHIFT;
    const stride = this.#firstSlot + PAGE_BYTES - SLOT_SHIFT + SLOTS * this.#slotStride;
    this.workspace = new Workspace(PAGE_BYTES + size * stride, size, 0);
    const { bytes } = this.workspace, start = rounded(bytes.byteOffset);
    this.segments = Array.from({ length: size }, (_, rank) => ({
      bytes: new Uint8Array(bytes.buffer, start + rank * stride, stride),
      words: new Int32Array(bytes.buffer, start + rank * stride, PAGE_BYTES / 4),
    }));
    this.descriptor = memory.create(this.segments[rank].bytes);
    KEPT.push(this);
  }

  /** A board with this rank's segment on it, or null if there is nobody or no means to share it. */
  static open({ rank, size, hosts, bypassesSharedMemory = false }: Transport): SharedArena | null {
    const alone = hosts.filter((host) => host === hosts[rank]).length === 1;
    const memory = bypassesSharedMemory || alone || size > MOST_RANKS ? null : SharedMemory.open();
    if (memory === null) return null;
    try {
      return new SharedArena(memory, rank, size);
    } catch {
      return null; // no memory is to be had
    }
  }

  /** Adds the segment of another rank; false if the system refuses, or it is not there. */
  attach(rank: number, pid: number, descriptor: number): boolean {
    return this.memory.attach(pid, descriptor, this.segments[rank].bytes);
  }

  /** The place of a slot in the segment of a rank of the job. */
  slot(rank: number, slot: number): Uint8Array<ArrayBuffer> {
    const start = this.#firstSlot + slot * this.#slotStride;
    return this.segments[rank].bytes.subarray(start, start + this.#slotStride);
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

  /** Sleeps until a rank's counter has reached `last`, for a moment at most; says whether it has. */
  sleepUntil(rank: number, last: number): boolean {
    const end = performance.now() + SLEEP_MS;
    for (let count = this.arrivals(rank); (count - last | 0) < 0; count = this.arrivals(rank)) {
      const left = end - performance.now();
      if (left <= 0) return false;
      this.memory.sleep(this.#counter(rank), count, left);
    }
    return true;
  }

  #counter(rank: number): Uint8Array<ArrayBuffer> {
    return this.segments[rank].bytes.subarray(ARRIVALS_AT, ARRIVALS_AT + 4);
  }
}

/** Pages that were replaced are not WebAssembly's to give back. */
const KEPT: SharedArena[] = [];
