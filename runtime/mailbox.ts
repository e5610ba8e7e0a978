/**
 * Small frames between ranks of one host, written straight into the receiver's memory: about 10 µs
 * where a socket and an event loop take 50, because a rank that waits looks for a moment before it
 * sleeps.
 *
 * Every rank has one place for each other rank and direction of a wave. A sender writes a frame there,
 * then looks whether the receiver is looking; if not, it wakes it through the socket. Neither can miss
 * the other (Dekker): the sender writes, then reads the flag, in two system calls; the receiver lowers
 * the flag, then looks once more, with the order of `Atomics`.
 *
 * @module
 */

import { HEADER_BYTES } from "./transport.ts";
import { PeerMemory, type Stretch } from "./peer_memory.ts";

/** Bytes of one place: the mark that it is full, the payload's length, the header, the payload. */
const PLACE_BYTES = 4096;
const LENGTH_AT = 4, HEADER_AT = 64, PAYLOAD_AT = HEADER_AT + HEADER_BYTES;
/** Longest payload. */
export const MAILBOX_BYTES = PLACE_BYTES - PAYLOAD_AT;
/** Bytes before the first place; the first word says whether its owner is looking. */
const FLAG_BYTES = 64;
/** How long a rank looks before it sleeps, in ms. */
const LOOK_MS = 0.2;
/** If looking took this long in ms, processes that are no ranks keep the processors busy, … */
const BUSY_MS = 1;
/** … and this many times it is better to sleep at once. */
const REST = 256;

/** Which of a sender's two places a frame goes to. */
export type Direction = 0 | 1;

/** This rank's places, and how to reach those of the others. */
export class Mailbox {
  /** Where it lies. */
  readonly address: number;
  readonly #memory: PeerMemory;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #headers: DataView[];
  #rest = 0;
  readonly #staging = new Uint8Array(PLACE_BYTES);
  readonly #stagingWords = new Int32Array(this.#staging.buffer);
  readonly #here: [Stretch, Stretch];
  readonly #there: [Stretch, Stretch] = [{ address: 0, length: 0 }, { address: 0, length: 4 }];
  readonly #flag = new Int32Array(1024);
  readonly #flagAddress: number;
  readonly #deliver: (from: number, header: DataView, payload: Uint8Array) => void;

  /**
   * @param size ranks of the job
   * @param deliver takes in a frame; `payload` is valid during the call only
   */
  constructor(
    memory: PeerMemory,
    size: number,
    deliver: (from: number, header: DataView, payload: Uint8Array) => void,
  ) {
    this.#memory = memory;
    this.#deliver = deliver;
    // Shared, since other processes write to it; so `Atomics` mean what they say.
    this.#bytes = new Uint8Array(new SharedArrayBuffer(FLAG_BYTES + 2 * size * PLACE_BYTES));
    this.#words = new Int32Array(this.#bytes.buffer);
    this.#headers = Array.from(
      { length: 2 * size },
      (_, place) => new DataView(this.#bytes.buffer, placeAt(place) + HEADER_AT, HEADER_BYTES),
    );
    this.address = PeerMemory.address(this.#bytes);
    this.#flagAddress = PeerMemory.address(new Uint8Array(this.#flag.buffer));
    const staging = PeerMemory.address(this.#staging);
    this.#staging[0] = 1;
    // All but the mark, then the mark.
    this.#here = [{ address: staging + LENGTH_AT, length: 0 }, { address: staging, length: 4 }];
  }

  /**
   * Writes a frame into another rank's mailbox, where its place must be empty.
   *
   * @param rank this rank, in the job
   * @returns whether its owner must be woken; null if the frame could not be written
   */
  post(
    owner: { readonly pid: number; readonly mailbox: number },
    rank: number,
    direction: Direction,
    header: Uint8Array,
    payload: Uint8Array,
  ): boolean | null {
    if (payload.length > MAILBOX_BYTES) return null;
    this.#staging.set(header, HEADER_AT);
    this.#staging.set(payload, PAYLOAD_AT);
    this.#stagingWords[LENGTH_AT >> 2] = payload.length;
    const [body, mark] = this.#there, at = owner.mailbox + placeAt(2 * rank + direction);
    body.address = at + LENGTH_AT;
    mark.address = at;
    body.length = this.#here[0].length = PAYLOAD_AT - LENGTH_AT + payload.length;
    if (!this.#memory.write(owner.pid, this.#here, this.#there)) return null;
    if (!this.#memory.read(owner.pid, owner.mailbox, this.#flagAddress, 4)) return null;
    return this.#flag[0] === 0;
  }

  /** Looks into all places for a moment, or until `enough` says so. */
  look(enough: () => boolean): void {
    if (this.#rest > 0) {
      this.#rest--;
      return;
    }
    const words = this.#words, start = performance.now();
    let spent = 0;
    Atomics.store(words, 0, 1);
    do {
      this.empty();
      if (enough()) break;
      this.#memory.yield();
      spent = performance.now() - start;
    } while (spent < LOOK_MS);
    Atomics.store(words, 0, 0);
    this.empty();
    if (spent > BUSY_MS) this.#rest = REST;
  }

  /** Delivers what lies in all places. */
  empty(): void {
    for (let place = 0; place < this.#headers.length; place++) {
      const at = placeAt(place);
      if (Atomics.load(this.#words, at >> 2) === 0) continue;
      const header = this.#headers[place];
      const length = this.#words[(at + LENGTH_AT) >> 2];
      const payload = this.#bytes.subarray(at + PAYLOAD_AT, at + PAYLOAD_AT + length);
      this.#deliver(place >> 1, header, payload);
      Atomics.store(this.#words, at >> 2, 0);
    }
  }
}

function placeAt(place: number): number {
  return FLAG_BYTES + place * PLACE_BYTES;
}
