/**
 * One connection between two ranks, as a stream of frames.
 *
 *     0  u32  payload's length     8  64 bytes  the communicator's header
 *     4  u32  kind of packet      72  payload
 *
 * All frames have this form; those that are not data (signs of life, goodbyes) have no payload and an
 * idle header. Where a pair of ranks has several connections, `_striped_link.ts` says what goes over which. Numbers are big-endian.
 *
 * A frame costs as few system calls as can be: small frames are copied into one buffer and leave
 * together, arrive together in one read, and a large payload is neither copied when it leaves nor,
 * but for its first bytes, when it arrives.
 *
 * @module
 */

import { closeConnection } from "../base/close_connection.ts";
import type { ConnectionEvents, PeerLink } from "./peer_link.ts";
import { HEADER_BYTES } from "./transport.ts";

/** What a packet on a connection is. */
export const PacketKind = {
  /** A frame of the engine's. */
  DATA: 0,
  /** Asks for a sign of life. */
  PING: 1,
  /** Is one. */
  PONG: 2,
  /** The last frame but for acknowledgements. */
  BYE: 3,
  /** All that came before the other's goodbye has been read. */
  ACK: 4,
  /**
   * The header of a frame whose payload comes in parts over several connections. Its own payload is the
   * length of that one, as u32.
   */
  HEAD: 5,
  /** Such a part: that of this connection. */
  PART: 6,
} as const;

/** Whether a packet belongs to a frame of the engine's. */
export const isData = (kind: number): boolean =>
  kind === PacketKind.DATA || kind === PacketKind.HEAD || kind === PacketKind.PART;

/** Bytes before a frame's payload. */
export const FRAME_BYTES = 8 + HEADER_BYTES;

/** Payloads up to this many bytes are copied and leave in one write with their header. */
const COPIED_BYTES = 32 << 10;
/** Size of the buffers in which small frames gather. */
const GATHER_BYTES = 64 << 10;
/** Most gathered bytes that may wait for a slow peer before senders have to. */
const MOST_GATHERED = 1 << 20;
/** Size of the buffer that frames arrive in. */
const READ_BYTES = 64 << 10;

interface Chunk {
  bytes: Uint8Array;
  used: number;
  /** Null for gathered frames, whose senders do not wait. */
  done: PromiseWithResolvers<void> | null;
}

const SENT: Promise<void> = Promise.resolve();
const IDLE_HEADER = new Uint8Array(HEADER_BYTES);

/** One connection, once both ends have proved themselves. */
export class Connection implements PeerLink {
  readonly peer: number;
  /** Whether anything has come from the peer since this was last set to false. */
  heard = false;
  bytesSent = 0;
  bytesReceived = 0;

  readonly #connection: Deno.Conn;
  readonly #events: ConnectionEvents;
  #queue: Chunk[] = [];
  #gathered = 0;
  #spare: Uint8Array[] = [];
  #open: Chunk | null = null;
  #writing = false;
  #failure: Error | null = null;
  /** Rejects with the failure, once that has been reported. */
  #refusal: Promise<never> | null = null;

  constructor(peer: number, connection: Deno.Conn, events: ConnectionEvents) {
    this.peer = peer;
    this.#connection = connection;
    this.#events = events;
    connection.unref();
  }

  /** Whether something waits to be written. */
  get busy(): boolean {
    return this.#writing;
  }

  /**
   * Sends a frame. Resolves when header and payload may be reused: they have been copied, or handed
   * to the system. Rejects when the connection breaks.
   */
  send(kind: number, header?: Uint8Array, payload?: Uint8Array): Promise<void> {
    if (this.#refusal !== null) return this.#refusal;
    const length = payload?.length ?? 0;
    if (length <= COPIED_BYTES && this.#gathered < MOST_GATHERED) {
      const chunk = this.#room(FRAME_BYTES + length);
      this.#put(chunk, kind, header, length);
      if (length > 0) {
        chunk.bytes.set(payload!, chunk.used);
        chunk.used += length;
      }
      if (!this.#writing) this.#flush();
      return SENT;
    }
    this.#put(this.#room(FRAME_BYTES), kind, header, length);
    const done = Promise.withResolvers<void>();
    this.#open = null;
    this.#queue.push({ bytes: payload!, used: length, done });
    if (!this.#writing) this.#flush();
    return done.promise;
  }

  /** The chunk that the next `needed` bytes go into. */
  #room(needed: number): Chunk {
    let chunk = this.#open;
    if (chunk === null || chunk.used + needed > GATHER_BYTES) {
      chunk = { bytes: this.#spare.pop() ?? new Uint8Array(GATHER_BYTES), used: 0, done: null };
      this.#queue.push(chunk);
      this.#open = chunk;
    }
    this.#gathered += needed;
    return chunk;
  }

  #put(chunk: Chunk, kind: number, header: Uint8Array | undefined, length: number): void {
    const { bytes, used: at } = chunk;
    bytes[at] = length >>> 24;
    bytes[at + 1] = length >>> 16;
    bytes[at + 2] = length >>> 8;
    bytes[at + 3] = length;
    bytes[at + 4] = bytes[at + 5] = bytes[at + 6] = 0;
    bytes[at + 7] = kind;
    bytes.set(header ?? IDLE_HEADER, at + 8);
    chunk.used = at + FRAME_BYTES;
  }

  async #flush(): Promise<void> {
    this.#writing = true;
    try {
      for (let chunk = this.#queue[0]; chunk !== undefined; chunk = this.#queue[0]) {
        if (chunk === this.#open) this.#open = null;
        const { bytes, used, done } = chunk;
        for (let at = 0; at < used;) {
          const n = await this.#connection.write(
            at === 0 && used === bytes.length ? bytes : bytes.subarray(at, used),
          );
          at += n;
          this.bytesSent += n;
          // The system has room for a small frame even if nobody reads; a large one says more.
          if (done !== null) this.heard = true;
        }
        // Broken meanwhile: a pending write may end well all the same.
        if (this.#failure !== null) return;
        this.#queue.shift();
        if (done !== null) done.resolve();
        else this.#recycle(bytes, used);
      }
      this.#writing = false;
    } catch (error) {
      this.#writing = false;
      this.#break(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #recycle(bytes: Uint8Array, used: number): void {
    this.#gathered -= used;
    if (this.#spare.length < 2) this.#spare.push(bytes);
  }

  /** Reads frames until the connection ends. */
  async read(): Promise<void> {
    try {
      await this.#readFrames();
      this.#break(undefined);
    } catch (error) {
      this.#break(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #readFrames(): Promise<void> {
    const connection = this.#connection, events = this.#events, peer = this.peer;
    // The first bytes are those of the frame being looked at, so that one view serves all.
    const buffer = new Uint8Array(FRAME_BYTES + READ_BYTES);
    const frame = new DataView(buffer.buffer, 0, FRAME_BYTES);
    const header = new DataView(buffer.buffer, 8, HEADER_BYTES);
    const incoming = buffer.subarray(FRAME_BYTES);
    let from = FRAME_BYTES, to = FRAME_BYTES;
    for (;;) {
      while (to - from < FRAME_BYTES) {
        if (from === to) from = to = FRAME_BYTES;
        else if (from > FRAME_BYTES) {
          buffer.copyWithin(FRAME_BYTES, from, to);
          to -= from - FRAME_BYTES;
          from = FRAME_BYTES;
        }
        const n = await connection.read(to === FRAME_BYTES ? incoming : buffer.subarray(to));
        if (n === null) {
          if (to > from) throw new Error(`the stream ended inside a frame`);
          return;
        }
        to += n;
        this.#received(n);
      }
      buffer.copyWithin(0, from, from + FRAME_BYTES);
      from += FRAME_BYTES;
      const length = frame.getUint32(0), kind = frame.getUint32(4);
      const isWhole = kind === PacketKind.DATA;
      if (!isWhole && !(isData(kind) && events.parts !== undefined)) {
        if (kind > PacketKind.ACK || length !== 0) {
          throw new Error(`not a frame: kind ${kind}, ${length} bytes`);
        }
        events.signal(peer, kind);
        continue;
      }
      const payload = isWhole
        ? events.begin(peer, header, length)
        : await events.parts!.begin(kind, header, length);
      if (payload.length !== length) {
        throw new RangeError(`a payload of ${length} bytes got a buffer of ${payload.length}`);
      }
      let filled = Math.min(length, to - from);
      if (filled > 0) {
        payload.set(buffer.subarray(from, from + filled));
        from += filled;
      }
      while (filled < length) {
        const n = await connection.read(filled === 0 ? payload : payload.subarray(filled));
        if (n === null) throw new Error(`the stream ended after ${filled} of ${length} bytes`);
        filled += n;
        this.#received(n);
      }
      if (isWhole) events.end(peer, payload);
      else await events.parts!.end(kind, payload);
    }
  }

  #received(bytes: number): void {
    this.heard = true;
    this.bytesReceived += bytes;
  }

  /** Why nothing can be sent any more, or null. */
  get failure(): Error | null {
    return this.#failure;
  }

  /** Ends the connection: what waits to be sent is dropped, and its senders get `cause`. */
  break(cause: Error): void {
    this.#break(cause);
  }

  #break(cause: Error | undefined): void {
    if (this.#failure !== null) return;
    this.#failure = cause ?? new Error("the connection was closed by the other end");
    const waiting = this.#queue;
    this.#queue = [];
    closeConnection(this.#connection);
    this.#refusal = this.#report(this.#failure, cause);
    this.#refusal.catch((error) => {
      for (const { done } of waiting) {
        done?.promise.catch(() => {});
        done?.reject(error);
      }
    });
  }

  async #report(failure: Error, cause: Error | undefined): Promise<never> {
    await this.#events.broken(this.peer, cause);
    throw failure;
  }
}
