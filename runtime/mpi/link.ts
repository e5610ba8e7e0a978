/**
 * The frames between two ranks, as messages of an MPI library.
 *
 * A frame is one message with its header and, if it is short, its payload. A long payload follows in
 * messages with a tag of its own, from the sender's memory to where the receiver wants it. MPI keeps the
 * order of messages of one tag between two ranks (MPI 4.1, section 3.5), and a receiver looks at no
 * header before the payload of the last is complete.
 *
 *     0  u32  payload's length     8  64 bytes  the engine's header
 *     4  u32  kind of packet      72  payload, if it is short
 *
 * @module
 */

import type { ConnectionEvents, PeerLink } from "../transport/peer_link.ts";
import { FRAME_BYTES, PacketKind } from "../transport/connection.ts";
import { HEADER_BYTES } from "../transport/transport.ts";
import { PIECE_BYTES, type Requests } from "./requests.ts";

const FRAME_TAG = 1, PAYLOAD_TAG = 2;

/** Longest payload that travels with its header. */
export const SHORT_BYTES = 16 << 10;
/** Messages that are kept to be used again. */
const MOST_SPARE = 16;
/** Bytes of short frames that may be under way to a peer before senders have to wait. */
const MOST_COPIED = 1 << 20;

const SENT: Promise<void> = Promise.resolve();

/** What the links of one rank have in common. */
export interface LinkWorld {
  readonly requests: Requests;
  /** Something has begun, and its end may come soon. */
  hurry(): void;
}

/** One rank's exchange with another. */
export class MpiLink implements PeerLink {
  readonly peer: number;
  heard = false;
  bytesSent = 0;
  bytesReceived = 0;

  readonly #world: LinkWorld;
  readonly #events: ConnectionEvents;
  readonly #frame = new Uint8Array(FRAME_BYTES + SHORT_BYTES);
  readonly #header = new DataView(this.#frame.buffer, 8, HEADER_BYTES);
  readonly #spare: Uint8Array[] = [];
  readonly #waiting = new Set<PromiseWithResolvers<void>>();
  #underWay = 0;
  #copied = 0;
  #receive: number | null = null;
  #failure: Error | null = null;
  #refusal: Promise<never> | null = null;

  constructor(peer: number, world: LinkWorld, events: ConnectionEvents) {
    this.peer = peer;
    this.#world = world;
    this.#events = events;
  }

  get busy(): boolean {
    return this.#underWay > 0;
  }

  get failure(): Error | null {
    return this.#failure;
  }

  send(kind: number, header?: Uint8Array, payload?: Uint8Array): Promise<void> {
    if (this.#refusal !== null) return this.#refusal;
    const length = payload?.length ?? 0, short = length <= SHORT_BYTES;
    const message = this.#spare.pop() ?? new Uint8Array(FRAME_BYTES + SHORT_BYTES);
    const view = new DataView(message.buffer);
    view.setUint32(0, length);
    view.setUint32(4, kind);
    if (header !== undefined) message.set(header, 8);
    if (short && length > 0) message.set(payload!, FRAME_BYTES);
    const size = FRAME_BYTES + (short ? length : 0);
    const done = short && this.#copied + size <= MOST_COPIED ? null : this.#wait();
    try {
      this.#copied += size;
      this.#begin(message.subarray(0, size), FRAME_TAG, () => {
        this.#copied -= size;
        if (this.#spare.length < MOST_SPARE) this.#spare.push(message);
        if (short) done?.resolve();
      });
      if (!short) this.#sendPieces(payload!, () => done!.resolve());
    } catch (error) {
      this.break(error as Error);
      return this.#refusal!;
    }
    this.#world.hurry();
    return done?.promise ?? SENT;
  }

  #wait(): PromiseWithResolvers<void> {
    const done = Promise.withResolvers<void>();
    this.#waiting.add(done);
    done.promise.then(() => this.#waiting.delete(done), () => {});
    return done;
  }

  #sendPieces(payload: Uint8Array, done: () => void): void {
    let missing = Math.ceil(payload.length / PIECE_BYTES);
    for (let at = 0; at < payload.length; at += PIECE_BYTES) {
      this.#begin(payload.subarray(at, at + PIECE_BYTES), PAYLOAD_TAG, () => {
        this.heard = true; // long messages leave when the receiver is ready for them
        if (--missing === 0) done();
      });
    }
  }

  #begin(bytes: Uint8Array, tag: number, done: () => void): void {
    this.#underWay++;
    this.#world.requests.send(bytes, this.peer, tag, () => {
      this.#underWay--;
      this.bytesSent += bytes.length;
      done();
    });
  }

  read(): void {
    try {
      this.#receive = this.#world.requests.receive(this.#frame, this.peer, FRAME_TAG, () => {
        this.#receive = null;
        this.#arrived();
      });
    } catch (error) {
      this.break(error as Error);
    }
  }

  #arrived(): void {
    if (this.#failure !== null) return;
    this.heard = true;
    const frame = this.#frame, events = this.#events, peer = this.peer;
    const view = new DataView(frame.buffer);
    const length = view.getUint32(0), kind = view.getUint32(4);
    this.bytesReceived += FRAME_BYTES;
    try {
      if (kind !== PacketKind.DATA) {
        if (kind > PacketKind.ACK || length !== 0) {
          throw new Error(`not a frame: kind ${kind}, ${length} bytes`);
        }
        this.read();
        return events.signal(peer, kind);
      }
      const payload = events.begin(peer, this.#header, length);
      if (payload.length !== length) {
        throw new RangeError(`a payload of ${length} bytes got a buffer of ${payload.length}`);
      }
      if (length > SHORT_BYTES) return this.#receivePieces(payload);
      payload.set(frame.subarray(FRAME_BYTES, FRAME_BYTES + length));
      this.bytesReceived += length;
      this.read();
      events.end(peer, payload);
    } catch (error) {
      this.break(error as Error);
    }
  }

  #receivePieces(payload: Uint8Array): void {
    let missing = Math.ceil(payload.length / PIECE_BYTES);
    for (let at = 0; at < payload.length; at += PIECE_BYTES) {
      const piece = payload.subarray(at, at + PIECE_BYTES);
      this.#world.requests.receive(piece, this.peer, PAYLOAD_TAG, () => {
        this.heard = true;
        this.bytesReceived += piece.length;
        if (--missing > 0 || this.#failure !== null) return;
        this.read();
        this.#events.end(this.peer, payload);
      });
    }
  }

  /** Takes back the receive of the next frame, when none can come. */
  stopReading(): void {
    if (this.#receive !== null) this.#world.requests.cancel(this.#receive);
    this.#receive = null;
  }

  /** What has been given to the library cannot be taken back; who waits for it is told. */
  break(cause: Error): void {
    if (this.#failure !== null) return;
    this.#failure = cause;
    this.#refusal = this.#events.broken(this.peer, cause).then(() => Promise.reject(cause));
    this.#refusal.catch((error) => {
      for (const done of this.#waiting) {
        done.promise.catch(() => {});
        done.reject(error);
      }
    });
  }
}
