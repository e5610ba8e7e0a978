/**
 * Several connections to one rank. TCP lets no more than a window of one connection be on its way, so a
 * long fat pipe is filled by several only.
 *
 *     first connection    …  DATA  DATA  HEAD  PART 0  DATA  …
 *     second                              PART 1
 *     third                               PART 2
 *
 * A frame below {@linkcode LEAST_PART} twice goes whole over the first connection. Of a larger one the first
 * carries the header, and as many connections as there are parts of that size carry its payload, the first
 * ones, in equal parts. How many and how long they are follows from the payload's length alone.
 *
 * The order of frames is that of the first connection, which is read on when all parts of a frame are there.
 * The others wait with a part until its header has come; so nothing is kept in memory that has no place, and
 * a receiver that does not read stops the senders on all connections.
 *
 * A goodbye goes over all connections, and has arrived when it has on all: then so has all before it. Any
 * connection that breaks is the end of all.
 *
 * @module
 */

import type { ConnectionEvents, OpenLink, PeerLink } from "./peer_link.ts";
import { PacketKind } from "./connection.ts";
import { within } from "./_peer.ts";
import { HEADER_BYTES } from "./transport.ts";

/** Least payload of a connection that takes part in a frame, in bytes. */
const LEAST_PART = 32 << 10;
/** How long the first connection may take to end when another has, in ms. */
const LAST_WORDS_MS = 1000;
/** Payload of a HEAD: the length of the frame's. */
const HEAD_BYTES = 4;

/** Number of parts of a payload. */
function countParts(length: number, connections: number): number {
  return Math.min(connections, Math.max(1, Math.floor(length / LEAST_PART)));
}

/** A part of a payload that comes in `parts`. */
function partOf(payload: Uint8Array, part: number, parts: number): Uint8Array {
  const size = Math.ceil(payload.length / parts);
  return payload.subarray(part * size, (part + 1) * size);
}

/** A frame that is coming in. */
interface Incoming {
  readonly payload: Uint8Array;
  readonly parts: number;
  readonly begun: Set<number>;
  missing: number;
  /** Resolves when it is complete. */
  readonly complete: PromiseWithResolvers<void>;
}

/** Ordered, reliable packets over several links, all opened to the same rank. */
export class StripedLink implements PeerLink {
  readonly peer: number;
  readonly #events: ConnectionEvents;
  readonly #strands: readonly PeerLink[];
  /** On which links the goodbye has come. */
  readonly #goodbyes = new Set<number>();
  readonly #header = new DataView(new ArrayBuffer(HEADER_BYTES));
  #incoming: Incoming | null = null;
  /** Resolves with the next frame that comes in parts, and when the link breaks. */
  #announced = Promise.withResolvers<void>();
  readonly #firstEnded = Promise.withResolvers<void>();
  #failure: Error | null = null;
  /** Resolves when {@linkcode ConnectionEvents.broken} has. */
  #broken: Promise<void> | null = null;

  /** @param open the links, the first of which is that of small frames */
  constructor(peer: number, open: readonly OpenLink[], events: ConnectionEvents) {
    this.peer = peer;
    this.#events = events;
    this.#strands = open.map((openStrand, strand) => openStrand(this.#eventsOf(strand)));
  }

  get heard(): boolean {
    return this.#strands.some(({ heard }) => heard);
  }

  set heard(heard: boolean) {
    for (const strand of this.#strands) strand.heard = heard;
  }

  get busy(): boolean {
    return this.#strands.some(({ busy }) => busy);
  }

  get failure(): Error | null {
    return this.#failure;
  }

  get bytesSent(): number {
    return this.#strands.reduce((sum, { bytesSent }) => sum + bytesSent, 0);
  }

  get bytesReceived(): number {
    return this.#strands.reduce((sum, { bytesReceived }) => sum + bytesReceived, 0);
  }

  send(kind: number, header?: Uint8Array, payload?: Uint8Array): Promise<void> {
    if (this.#broken !== null) return this.#refuse(this.#broken);
    const [first] = this.#strands;
    if (kind === PacketKind.BYE) {
      return all(this.#strands.map((strand) => strand.send(kind, header)));
    }
    const parts = countParts(payload?.length ?? 0, this.#strands.length);
    if (parts === 1) return first.send(kind, header, payload);
    const length = new Uint8Array(HEAD_BYTES);
    new DataView(length.buffer).setUint32(0, payload!.length);
    return all([
      first.send(PacketKind.HEAD, header, length),
      ...this.#strands.slice(0, parts).map((strand, part) =>
        strand.send(PacketKind.PART, undefined, partOf(payload!, part, parts))
      ),
    ]);
  }

  async #refuse(broken: Promise<void>): Promise<never> {
    await broken;
    throw this.#failure!;
  }

  read(): void {
    for (const strand of this.#strands) strand.read();
  }

  break(cause: Error): void {
    for (const strand of this.#strands) strand.break(cause);
  }

  /** What a link reports to this one. */
  #eventsOf(strand: number): ConnectionEvents {
    const isFirst = strand === 0;
    return {
      begin: (peer, header, length) => {
        if (!isFirst || this.#incoming !== null) throw outOfPlace("frame", strand);
        return this.#events.begin(peer, header, length);
      },
      end: (peer, payload) => this.#events.end(peer, payload),
      signal: (peer, kind) => {
        if (kind === PacketKind.BYE && this.#goodbyes.add(strand).size < this.#strands.length) {
          return;
        }
        this.#events.signal(peer, kind);
      },
      broken: (_, cause) => this.#break(strand, cause),
      parts: {
        begin: (kind, header, length) => {
          if (kind === PacketKind.PART) return this.#beginPart(strand, length);
          if (!isFirst || this.#incoming !== null || length !== HEAD_BYTES) {
            throw outOfPlace("header", strand);
          }
          copy(header, this.#header);
          return new Uint8Array(HEAD_BYTES);
        },
        end: (kind, payload) =>
          kind === PacketKind.PART ? this.#endPart(strand) : this.#announce(payload),
      },
    };
  }

  /** A header has come, and the parts may. */
  #announce(head: Uint8Array): void {
    const length = new DataView(head.buffer).getUint32(0);
    const parts = countParts(length, this.#strands.length);
    if (parts === 1) throw new Error(`a payload of ${length} bytes does not come in parts`);
    const payload = this.#events.begin(this.peer, this.#header, length);
    if (payload.length !== length) {
      throw new RangeError(`a payload of ${length} bytes got a buffer of ${payload.length}`);
    }
    const complete = Promise.withResolvers<void>();
    this.#incoming = { payload, parts, begun: new Set(), missing: parts, complete };
    this.#announced.resolve();
    this.#announced = Promise.withResolvers();
  }

  /** Where a link's part goes, once its frame is the one that is coming in. */
  async #beginPart(strand: number, length: number): Promise<Uint8Array> {
    for (;;) {
      if (this.#failure !== null) throw this.#failure;
      const frame = this.#incoming;
      if (frame !== null && strand < frame.parts && !frame.begun.has(strand)) {
        frame.begun.add(strand);
        return partOf(frame.payload, strand, frame.parts);
      }
      if (strand === 0) throw outOfPlace(`part of ${length} bytes`, strand);
      await this.#announced.promise;
    }
  }

  async #endPart(strand: number): Promise<void> {
    const frame = this.#incoming!;
    if (--frame.missing === 0) {
      this.#incoming = null;
      this.#events.end(this.peer, frame.payload);
      frame.complete.resolve();
    }
    if (strand === 0) await frame.complete.promise;
  }

  /** The first link that breaks says why; the others go with it when everybody knows. */
  #break(strand: number, cause: Error | undefined): Promise<void> {
    if (strand === 0) this.#firstEnded.resolve();
    if (this.#broken !== null) return this.#broken;
    this.#failure = cause ?? new Error("a connection was closed by the other end");
    this.#broken = this.#tell(cause);
    this.#announced.resolve();
    this.#incoming?.complete.resolve();
    const rest = () => {
      for (const strand of this.#strands) strand.break(this.#failure!);
    };
    this.#broken.then(rest, rest);
    return this.#broken;
  }

  /** Says that the link is broken, once the first connection is read to its end: its last frames may say why. */
  async #tell(cause: Error | undefined): Promise<void> {
    await within(LAST_WORDS_MS, this.#firstEnded.promise);
    await this.#events.broken(this.peer, cause);
  }
}

/** Resolves with the last; rejects with the first that does, and leaves none unhandled. */
async function all(sends: readonly Promise<void>[]): Promise<void> {
  await Promise.all(sends);
}

function copy(from: DataView, to: DataView): void {
  for (let at = 0; at < HEADER_BYTES; at++) to.setUint8(at, from.getUint8(at));
}

function outOfPlace(what: string, strand: number): Error {
  return new Error(`a ${what} came out of place over connection ${strand} of a pair`);
}
