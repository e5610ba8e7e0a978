/**
 * Small frames between ranks of one host, through memory that both have mapped: a few µs where a
 * socket and an event loop take 50, because a rank that waits sleeps where the sender can wake it with
 * one system call.
 *
 * Every rank has one slot for each other rank and direction of a tree exchange. A sender writes a
 * frame there, rings the doorbell, a counter, and looks what the owner is doing: if it sleeps on
 * the doorbell (futex(2)) it is woken once it has what it wants; if it has gone back to its event
 * loop, a frame on the socket wakes it. Neither can miss the other (Dekker): the sender rings, then
 * reads the owner's state; the owner writes its state, then sleeps only if the doorbell has not
 * been rung since it last looked.
 *
 * @module
 */

import { HEADER_BYTES } from "../transport/transport.ts";
import { PAGE_BYTES, type SharedMemory, type SharedSegment } from "./memory.ts";

/** Longest payload. */
export const MAILBOX_BYTES = 32 << 10;
/**
 * Where in a slot its parts are: the mark that it is full at 0, the payload's length, header,
 * payload.
 */
const LENGTH_AT = 4, HEADER_AT = 64, PAYLOAD_AT = HEADER_AT + HEADER_BYTES;
/** Bytes of a slot, which begins on a page, of which nothing is taken before a frame is put there. */
const SLOT_BYTES = Math.ceil((PAYLOAD_AT + MAILBOX_BYTES) / PAGE_BYTES) * PAGE_BYTES;
/** Bytes before the first slot. */
const FIRST_BYTES = PAGE_BYTES;
/** Words before the first slot: what the owner does, the doorbell, the ring that is to wake it. */
const STATE = 0, DOORBELL = 1, WAKE_AT = 2;
/** What an owner does: something else, look into its slots, sleep on the doorbell. */
const AWAY = 0, POLLING = 1, ASLEEP = 2;
/**
 * How long a rank looks and sleeps here before it goes back to its event loop, in ms. Longer than most
 * kernels' tick, so that a sleep need not set the processor's timer.
 */
const POLL_MS = 5;

/**
 * Which of a sender's two slots a frame goes to: 0 for the fan-in of a tree exchange, 1 for the
 * fan-out.
 */
export type Direction = 0 | 1;

/** Bytes of a mailbox in a job of `size` ranks. */
export const mailboxBytes = (size: number): number => FIRST_BYTES + 2 * size * SLOT_BYTES;

/** The memory that mailboxes lie in. */
interface MailboxMemory {
  readonly memory: SharedMemory;
  /** By rank; each begins with {@linkcode mailboxBytes} that all can write to. */
  readonly segments: readonly SharedSegment[];
  /** How long a rank looks without a pause before it sleeps, in ms. */
  readonly spinMs: number;
}

/** The mailbox of another rank, to be written to. */
export class RemoteMailbox {
  readonly #memory: SharedMemory;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #doorbell: Uint8Array<ArrayBuffer>;

  /** @param arena holds the memory of `rank`, the owner */
  constructor({ memory, segments }: MailboxMemory, rank: number) {
    const { bytes } = segments[rank];
    this.#memory = memory;
    this.#bytes = bytes;
    this.#words = wordsOf(bytes);
    this.#doorbell = doorbellOf(bytes);
  }

  /**
   * Writes a frame, whose slot must be empty.
   *
   * @param rank this rank, in the job
   * @returns whether its owner must be woken; null if the frame is too long
   */
  post(
    rank: number,
    direction: Direction,
    header: Uint8Array,
    payload: Uint8Array,
  ): boolean | null {
    if (payload.length > MAILBOX_BYTES) return null;
    const words = this.#words, at = slotAt(2 * rank + direction);
    this.#bytes.set(header, at + HEADER_AT);
    this.#bytes.set(payload, at + PAYLOAD_AT);
    words[(at + LENGTH_AT) >> 2] = payload.length;
    Atomics.store(words, at >> 2, 1);
    const rings = Atomics.add(words, DOORBELL, 1) + 1 | 0;
    const state = Atomics.load(words, STATE);
    if (state === ASLEEP && (rings - Atomics.load(words, WAKE_AT) | 0) >= 0) {
      this.#memory.wake(this.#doorbell, 1);
    }
    return state === AWAY;
  }
}

/** This rank's slots. */
export class Mailbox {
  readonly #memory: SharedMemory;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #doorbell: Uint8Array<ArrayBuffer>;
  readonly #headers: DataView[];
  readonly #spinMs: number;
  readonly #deliver: (from: number, header: DataView, payload: Uint8Array) => void;

  /**
   * @param arena holds the memory of `rank`, the owner
   * @param size ranks of the job
   * @param deliver takes in a frame; `payload` is valid during the call only
   */
  constructor(
    { memory, segments, spinMs }: MailboxMemory,
    rank: number,
    size: number,
    deliver: (from: number, header: DataView, payload: Uint8Array) => void,
  ) {
    const { bytes } = segments[rank];
    this.#memory = memory;
    this.#deliver = deliver;
    this.#bytes = bytes;
    this.#words = wordsOf(bytes);
    this.#doorbell = doorbellOf(bytes);
    this.#headers = Array.from({ length: 2 * size }, (_, slot) => {
      const at = bytes.byteOffset + slotAt(slot) + HEADER_AT;
      return new DataView(bytes.buffer, at, HEADER_BYTES);
    });
    this.#spinMs = spinMs;
  }

  /**
   * Looks into all slots for a moment, or until no frame is `missing`.
   *
   * @throws Error as {@linkcode Mailbox.empty} does
   */
  poll(missing: () => number): void {
    const words = this.#words, start = performance.now();
    Atomics.store(words, STATE, POLLING);
    try {
      for (;;) {
        const rings = Atomics.load(words, DOORBELL);
        this.empty();
        const count = missing();
        if (count === 0) break;
        const spent = performance.now() - start;
        if (spent >= POLL_MS) break;
        if (spent < this.#spinMs) continue;
        Atomics.store(words, WAKE_AT, rings + count | 0);
        Atomics.store(words, STATE, ASLEEP);
        this.#memory.sleep(this.#doorbell, rings, POLL_MS - spent);
        Atomics.store(words, STATE, POLLING);
      }
    } finally {
      Atomics.store(words, STATE, AWAY); // or nobody would call this rank from its event loop again
    }
    this.empty();
  }

  /**
   * Delivers what lies in all slots.
   *
   * @throws Error if a frame cannot be taken in
   */
  empty(): void {
    for (let slot = 0; slot < this.#headers.length; slot++) {
      const at = slotAt(slot);
      if (Atomics.load(this.#words, at >> 2) === 0) continue;
      try {
        this.#take(slot, at);
      } finally {
        Atomics.store(this.#words, at >> 2, 0);
      }
    }
  }

  #take(slot: number, at: number): void {
    const from = slot >> 1, length = this.#words[(at + LENGTH_AT) >> 2];
    if (length < 0 || length > MAILBOX_BYTES) {
      throw new Error(
        `cannot take in a frame from the memory shared with rank ${from}: its length must be ` +
          `0 to ${MAILBOX_BYTES} bytes, found ${length}; somebody else has written there`,
      );
    }
    const payload = this.#bytes.subarray(at + PAYLOAD_AT, at + PAYLOAD_AT + length);
    this.#deliver(from, this.#headers[slot], payload);
  }
}

function slotAt(slot: number): number {
  return FIRST_BYTES + slot * SLOT_BYTES;
}

function wordsOf(bytes: Uint8Array): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
}

function doorbellOf(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return bytes.subarray(4 * DOORBELL, 4 * DOORBELL + 4);
}
