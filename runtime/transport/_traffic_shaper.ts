/**
 * Keeps a rank's frames back as its access link would: see `access_link.ts` for the model.
 *
 * @module
 */

import { carryingMs, type LinkShape } from "./access_link.ts";
import { type FrameSink, HEADER_BYTES } from "./transport.ts";
import { FRAME_BYTES } from "./connection.ts";
import { platform } from "../base/platform.ts";

/** Least room for frames whose senders do not wait, like that of a socket; in bytes. */
const LEAST_ROOM = 4 << 20;

/** Most bytes that a connection with a window gets of the link at a time: then another may have its turn. */
const TURN_BYTES = 64 << 10;

/** Writes one frame; resolves when header and payload may be reused. */
export type WriteFrame = (header?: Uint8Array, payload?: Uint8Array) => Promise<void>;

/** Things to do, each not before its time; times do not decrease. */
class Timetable {
  #entries: { due: number; act: () => void }[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #idle: (() => void)[] = [];

  add(due: number, act: () => void): void {
    if (this.#entries.length === 0 && due <= platform.now()) return act();
    this.#entries.push({ due, act });
    if (this.#entries.length === 1) this.#arm();
  }

  /** Resolves when nothing is left to do. */
  idle(): Promise<void> {
    if (this.#entries.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Leaves all that is left undone. */
  clear(): void {
    platform.clearTimeout(this.#timer);
    this.#entries = [];
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #arm(): void {
    const wait = Math.ceil(this.#entries[0].due - platform.now());
    // A timer takes 31 bits; one that comes too early is set again.
    this.#timer = platform.setTimeout(() => this.#run(), Math.min(Math.max(wait, 0), 2 ** 31 - 1));
  }

  #run(): void {
    const entries = this.#entries;
    let done = 0;
    for (; done < entries.length && entries[done].due <= platform.now(); done++) {
      entries[done].act();
      if (this.#entries !== entries) return; // cleared meanwhile
    }
    entries.splice(0, done);
    if (entries.length > 0) this.#arm();
    else this.clear();
  }
}

/** A frame that has not left completely. */
interface Departure {
  /** Bytes of it that have still to leave. */
  left: number;
  readonly arrive: () => void;
}

/** One connection's part of an {@linkcode Uplink}. */
export interface Strand {
  /** Frames that have not left, in order. */
  readonly queue: Departure[];
  /** Bytes that have left and are not yet acknowledged; counted where there is a window. */
  underWay: number;
}

/** The outgoing direction of a rank's access link. */
export class Uplink {
  readonly #shape: LinkShape;
  readonly #window: number;
  /** Bytes that leave at a time: windows hold a whole number of turns. */
  readonly #turn: number;
  readonly #room: number;
  readonly #timetable = new Timetable();
  readonly #acknowledgements = new Timetable();
  /** Rejects the senders that wait. */
  readonly #waiting = new Set<(error: Error) => void>();
  #free = 0;
  #copied = 0;

  constructor(shape: LinkShape) {
    this.#shape = shape;
    this.#window = shape.windowBytes ?? Infinity;
    this.#turn = this.#window < Infinity
      ? Math.ceil(this.#window / Math.ceil(this.#window / TURN_BYTES))
      : Infinity;
    const underWay = shape.bitsPerSecond < Infinity ? shape.bitsPerSecond * shape.delayMs / 8e3 : 0;
    this.#room = Math.max(LEAST_ROOM, underWay);
  }

  /** Makes room for one more connection, with a window of its own. */
  strand(): Strand {
    return { queue: [], underWay: 0 };
  }

  /**
   * Sends a frame of a connection through the link. Resolves when header and payload may be reused: at once
   * while there is room for a copy, else when `write` has resolved.
   */
  send(
    strand: Strand,
    write: WriteFrame,
    header?: Uint8Array,
    payload?: Uint8Array,
  ): Promise<void> {
    const length = payload?.length ?? 0;
    const copies = this.#copied + length <= this.#room;
    const ownHeader = header?.slice(), ownPayload = copies ? payload?.slice() : payload;
    if (copies) this.#copied += length;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (copies) resolve();
    else this.#waiting.add(reject);
    const arrive = () => {
      const written = write(ownHeader, ownPayload);
      if (!copies) {
        this.#waiting.delete(reject);
        return written.then(resolve, reject);
      }
      const settle = () => {
        this.#copied -= length;
      };
      written.then(settle, settle);
    };
    strand.queue.push({ left: FRAME_BYTES + length, arrive });
    this.#depart(strand);
    return promise;
  }

  /** Lets as much of a connection's frames leave as its window has room for. */
  #depart(strand: Strand): void {
    for (let frame = strand.queue[0]; frame !== undefined; frame = strand.queue[0]) {
      const bytes = Math.min(frame.left, this.#turn);
      if (strand.underWay + bytes > this.#window) return;
      this.#free = Math.max(this.#free, platform.now()) + carryingMs(this.#shape, bytes);
      const due = this.#free + this.#shape.delayMs;
      frame.left -= bytes;
      if (frame.left === 0) {
        strand.queue.shift();
        this.#timetable.add(due, frame.arrive);
      }
      if (this.#window === Infinity) continue;
      strand.underWay += bytes;
      this.#acknowledgements.add(due + this.#shape.delayMs, () => {
        strand.underWay -= bytes;
        this.#depart(strand);
      });
    }
  }

  /** Resolves when every frame has left and arrived. */
  async drained(): Promise<void> {
    await this.#acknowledgements.idle(); // what waits for a window waits for these
    await this.#timetable.idle();
  }

  /** Drops what has not arrived. */
  close(): void {
    this.#acknowledgements.clear();
    this.#timetable.clear();
    for (const reject of this.#waiting) reject(new Error("the link was closed"));
    this.#waiting.clear();
  }
}

/** The incoming direction of a rank's access link: a sink in front of the rank's own. */
export class Downlink implements FrameSink {
  readonly #shape: LinkShape;
  readonly #sink: FrameSink;
  readonly #refuse: (peer: number, error: unknown) => void;
  readonly #timetable = new Timetable();
  readonly #headers: Uint8Array[] = [];
  readonly #failed = new Set<number>();
  /** By rank: what has come from it and is still on the link, in order. */
  readonly #waiting: (() => void)[][] = [];
  #free = 0;

  /** @param refuse is told of an error that the sink has made of a frame */
  constructor(
    shape: LinkShape,
    sink: FrameSink,
    refuse: (peer: number, error: unknown) => void,
  ) {
    this.#shape = shape;
    this.#sink = sink;
    this.#refuse = refuse;
  }

  begin(peer: number, header: DataView, length: number): Uint8Array {
    const bytes = new Uint8Array(header.buffer, header.byteOffset, HEADER_BYTES);
    this.#headers[peer] = bytes.slice();
    return new Uint8Array(length);
  }

  end(peer: number, payload: Uint8Array): void {
    const header = new DataView(this.#headers[peer].buffer);
    // The last bit is here; the link may still be busy with what has come from others.
    const carried = this.#free + carryingMs(this.#shape, FRAME_BYTES + payload.length);
    this.#free = Math.max(carried, platform.now());
    const waiting = this.#waiting[peer] ??= [];
    waiting.push(() => this.#deliver(peer, header, payload));
    this.#timetable.add(this.#free, () => waiting.shift()?.());
  }

  #deliver(peer: number, header: DataView, payload: Uint8Array): void {
    if (this.#failed.has(peer)) return;
    try {
      const destination = this.#sink.begin(peer, header, payload.length);
      destination.set(payload);
      this.#sink.end(peer, destination);
    } catch (error) {
      this.#failed.add(peer);
      this.#refuse(peer, error);
    }
  }

  lost(peer: number, cause: Error | undefined): void | Promise<void> {
    if (cause === undefined) {
      // Behind what the peer has sent before.
      this.#timetable.add(this.#free, () => {
        if (!this.#failed.has(peer)) this.#sink.lost(peer, undefined);
      });
    } else {
      // Its last words are not to be lost with it: nothing follows that they could be in the way of.
      for (const deliver of this.#waiting[peer]?.splice(0) ?? []) deliver();
      this.#failed.add(peer);
      return this.#sink.lost(peer, cause);
    }
  }

  /** Drops what has not arrived. */
  close(): void {
    this.#timetable.clear();
  }
}
