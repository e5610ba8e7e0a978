/**
 * Small frames between ranks of one host, through memory that both have mapped: a few µs where a
 * socket and an event loop take 50, because a rank that waits sleeps where the sender can wake it with
 * one system call.
 *
 * Every rank has one place for each other rank and direction of a wave. A sender writes a frame there,
 * rings the bell, a counter, and looks what the owner is doing: if it sleeps on the bell (futex(2)) it is
 * woken once it has what it wants; if it has gone back to its event loop, a frame on the socket wakes it.
 * Neither can miss the other (Dekker): the sender rings, then reads the owner's state; the owner writes
 * its state, then sleeps only if the bell has not been rung since it last looked.
 *
 * @module
 */

import { HEADER_BYTES } from "../transport/transport.ts";
import type { Segment } from "./arena.ts";
import { PAGE_BYTES, type SharedMemory } from "./memory.ts";

/** Longest payload. */
export const MAILBOX_BYTES = 32 << 10;
/** Bytes of one place: the mark that it is full, the payload's length, the header, the payload. */
const LENGTH_AT = 4, HEADER_AT = 64, PAYLOAD_AT = HEADER_AT + HEADER_BYTES;
/** A place begins on a page, of which nothing is taken before a frame is put there. */
const PLACE_BYTES = Math.ceil((PAYLOAD_AT + MAILBOX_BYTES) / PAGE_BYTES) * PAGE_BYTES;
/** Bytes before the first place. */
const FIRST_BYTES = PAGE_BYTES;
/** Words before the first place: what the owner does, the bell, the ring that is to wake it. */
const STATE = 0, BELL = 1, WAKE_AT = 2;
/** What an owner does: something else, look, sleep on the bell. */
const AWAY = 0, LOOKING = 1, ASLEEP = 2;
/**
 * How long a rank looks and sleeps here before it goes back to its event loop, in ms. Longer than most
 * kernels' tick, so that a sleep need not set the processor's timer.
 */
const LOOK_MS = 5;
/** How long of this it looks without a pause if it has a processor of its own, in ms. */
const SPIN_MS = 0.03;

/** Which of a sender's two places a frame goes to. */
export type Direction = 0 | 1;

/** Bytes of a mailbox in a job of `size` ranks. */
export const mailboxBytes = (size: number): number => FIRST_BYTES + 2 * size * PLACE_BYTES;

/** The mailbox of another rank, to be written to. */
export class RemoteMailbox {
  readonly #memory: SharedMemory;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #bell: Uint8Array<ArrayBuffer>;

  constructor(memory: SharedMemory, { bytes }: Segment) {
    this.#memory = memory;
    this.#bytes = bytes;
    this.#words = wordsOf(bytes);
    this.#bell = bellOf(bytes);
  }

  /**
   * Writes a frame, whose place must be empty.
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
    const words = this.#words, at = placeAt(2 * rank + direction);
    this.#bytes.set(header, at + HEADER_AT);
    this.#bytes.set(payload, at + PAYLOAD_AT);
    words[(at + LENGTH_AT) >> 2] = payload.length;
    Atomics.store(words, at >> 2, 1);
    const rings = Atomics.add(words, BELL, 1) + 1 | 0;
    const state = Atomics.load(words, STATE);
    if (state === ASLEEP && (rings - Atomics.load(words, WAKE_AT) | 0) >= 0) {
      this.#memory.wake(this.#bell, 1);
    }
    return state === AWAY;
  }
}

/** This rank's places. */
export class Mailbox {
  readonly #memory: SharedMemory;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #bell: Uint8Array<ArrayBuffer>;
  readonly #headers: DataView[];
  readonly #spinMs: number;
  readonly #deliver: (from: number, header: DataView, payload: Uint8Array) => void;

  /**
   * @param segment begins with {@linkcode mailboxBytes} of memory that all can write to
   * @param size ranks of the job
   * @param deliver takes in a frame; `payload` is valid during the call only
   */
  constructor(
    memory: SharedMemory,
    { bytes }: Segment,
    size: number,
    deliver: (from: number, header: DataView, payload: Uint8Array) => void,
  ) {
    this.#memory = memory;
    this.#deliver = deliver;
    this.#bytes = bytes;
    this.#words = wordsOf(bytes);
    this.#bell = bellOf(bytes);
    this.#headers = Array.from({ length: 2 * size }, (_, place) => {
      const at = bytes.byteOffset + placeAt(place) + HEADER_AT;
      return new DataView(bytes.buffer, at, HEADER_BYTES);
    });
    this.#spinMs = size <= navigator.hardwareConcurrency ? SPIN_MS : 0;
  }

  /**
   * Looks into all places for a moment, or until no frame is `missing`.
   *
   * @throws Error as {@linkcode Mailbox.empty} does
   */
  look(missing: () => number): void {
    const words = this.#words, start = performance.now();
    Atomics.store(words, STATE, LOOKING);
    try {
      for (;;) {
        const rings = Atomics.load(words, BELL);
        this.empty();
        const count = missing();
        if (count === 0) break;
        const spent = performance.now() - start;
        if (spent >= LOOK_MS) break;
        if (spent < this.#spinMs) continue;
        Atomics.store(words, WAKE_AT, rings + count | 0);
        Atomics.store(words, STATE, ASLEEP);
        this.#memory.sleep(this.#bell, rings, LOOK_MS - spent);
        Atomics.store(words, STATE, LOOKING);
      }
    } finally {
      Atomics.store(words, STATE, AWAY); // or nobody would call this rank from its event loop again
    }
    this.empty();
  }

  /**
   * Delivers what lies in all places.
   *
   * @throws Error if a frame cannot be taken in
   */
  empty(): void {
    for (let place = 0; place < this.#headers.length; place++) {
      const at = placeAt(place);
      if (Atomics.load(this.#words, at >> 2) === 0) continue;
      try {
        this.#take(place, at);
      } finally {
        Atomics.store(this.#words, at >> 2, 0);
      }
    }
  }

  #take(place: number, at: number): void {
    const from = place >> 1, length = this.#words[(at + LENGTH_AT) >> 2];
    if (length < 0 || length > MAILBOX_BYTES) {
      throw new Error(
        `cannot take in a frame from the memory shared with rank ${from}: its length must be ` +
          `0 to ${MAILBOX_BYTES} bytes, found ${length}; somebody else has written there`,
      );
    }
    const payload = this.#bytes.subarray(at + PAYLOAD_AT, at + PAYLOAD_AT + length);
    this.#deliver(from, this.#headers[place], payload);
  }
}

function placeAt(place: number): number {
  return FIRST_BYTES + place * PLACE_BYTES;
}

function wordsOf(bytes: Uint8Array): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
}

function bellOf(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return bytes.subarray(4 * BELL, 4 * BELL + 4);
}
