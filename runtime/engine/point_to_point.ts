/**
 * Messages between two ranks: matching by source and tag in the order of sending, small ones sent
 * without asking, large ones when the receiver has a place for them (MPI 4.1, chapter 3).
 *
 * A message of up to `EAGER_BYTES` goes out at once while the receiver has room for it:
 * every sender may have `CREDIT_BYTES` waiting there, and gets credit back as they are
 * received. Any other message is announced, stays with its sender, and goes straight into the
 * receiver's buffer when that is known. So what a rank must keep for messages nobody has asked for is
 * bounded, and two ranks that send to each other before they receive never wait for each other.
 *
 * @module
 */

import type { Context } from "./context.ts";
import { bytesOf, datatypeByCode, datatypeOf, describeCount } from "../base/datatypes.ts";
import type { TypedArray } from "../base/datatypes.ts";
import { type Destination, destination } from "./engine.ts";
import { MismatchError, TruncationError } from "../base/errors.ts";
import { Credit } from "./_flow_control.ts";
import { type Frame, MessageKind } from "./header.ts";
import { checkRank, checkTag, receiving, sending } from "./arguments.ts";
import { MessageQueues, type Posted, type Prober, statusOf, type Unexpected } from "./_matching.ts";
import { ANY_SOURCE, ANY_TAG, NULL_STATUS, PROC_NULL, type Status } from "../base/status.ts";

const ignore = () => {};

/** A message whose receiver must ask for it. */
interface Announced {
  readonly to: number;
  readonly payload: Uint8Array;
  resolve(): void;
  reject(error: unknown): void;
}

/** A message that was asked for and has not come yet. */
interface Granted {
  readonly posted: Posted;
  readonly from: number;
  readonly frame: Frame;
  /** Tells the transport that the sender is waited for. */
  readonly wait: Disposable;
}

/** The messages of one communicator on one rank. */
export class PointToPoint {
  readonly #context: Context;
  readonly #queues = new MessageQueues();
  readonly #announced = new Map<number, Announced>();
  readonly #granted = new Map<string, Granted>();
  /** The receive whose message is coming in from each member. */
  readonly #arriving: (Posted | undefined)[] = [];
  readonly #credit: Credit;
  #nextId = 1;

  constructor(context: Context) {
    this.#context = context;
    this.#credit = new Credit(context.size);
  }

  /** Sends a message; resolves when `buffer` may be changed. */
  async send(buffer: TypedArray, to: number, tag: number): Promise<void> {
    const context = this.#context, type = datatypeOf(buffer);
    checkTag(tag);
    if (to === PROC_NULL) return;
    checkRank(to, context.size, "destination");
    if (context.failure !== null) throw context.failure;
    const payload = bytesOf(buffer);
    const stats = context.stats.of("send");
    const fields = { type: type.code, count: buffer.length, tag };
    if (to === context.rank) {
      stats.bytesSent += payload.length;
      const place = this.accept(to, { ...BLANK, ...fields }, payload.length);
      place.into.set(payload);
      place.done();
      return;
    }
    if (context.lossOf(to) !== undefined) throw this.#lostError(to, sending(context, to, tag));
    if (this.#credit.spend(to, payload.length)) {
      try {
        return await context.send(to, { kind: MessageKind.EAGER, ...fields }, payload, stats);
      } catch (error) {
        throw this.#sendError(to, tag, error);
      }
    }
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#announced.set(id, { to, payload, resolve, reject });
    using _wait = context.engine.transport.expecting(context.group[to]);
    context.send(to, {
      kind: MessageKind.REQUEST_TO_SEND,
      ...fields,
      sequence: id,
      bytes: payload.length,
    }).catch(reject);
    try {
      await promise;
    } catch (error) {
      throw this.#sendError(to, tag, error);
    } finally {
      this.#announced.delete(id);
    }
  }

  /** Receives a message into `buffer`. */
  receive(buffer: TypedArray, source: number, tag: number): Promise<Status> {
    const context = this.#context;
    const type = datatypeOf(buffer);
    if (tag !== ANY_TAG) checkTag(tag);
    if (source === PROC_NULL) return Promise.resolve(NULL_STATUS);
    if (source !== ANY_SOURCE) checkRank(source, context.size, "source");
    if (context.failure !== null) return Promise.reject(context.failure);
    const { promise, resolve, reject } = Promise.withResolvers<Status>();
    const posted: Posted = { source, tag, buffer, type, resolve, reject };
    const unexpected = this.#queues.takeMessage(posted);
    if (unexpected !== null) {
      if (unexpected.payload === null) this.#grant(posted, unexpected.source, unexpected.frame);
      else if (unexpected.complete) this.#take(posted, unexpected);
      else this.#arriving[unexpected.source] = unexpected.taken = posted;
    } else {
      const gone = this.#unreachable(source);
      if (gone !== null) {
        reject(this.#lostError(gone, receiving(context, source, tag)));
      } else {
        this.#queues.posted.push(posted);
        const wait = this.#expecting(source), settle = () => wait[Symbol.dispose]();
        promise.then(settle, settle);
      }
    }
    return promise;
  }

  /** Status of the first message that a receive would get, or null. */
  peek(source: number, tag: number): Status | null {
    if (this.#context.failure !== null) throw this.#context.failure;
    return this.#queues.peek(source, tag);
  }

  /** Waits until a message is there that a receive would get. */
  async probe(source: number, tag: number): Promise<Status> {
    if (tag !== ANY_TAG) checkTag(tag);
    if (source === PROC_NULL) return NULL_STATUS;
    if (source !== ANY_SOURCE) checkRank(source, this.#context.size, "source");
    const found = this.peek(source, tag);
    if (found !== null) return found;
    const gone = this.#unreachable(source);
    if (gone !== null) {
      throw this.#lostError(gone, receiving(this.#context, source, tag).replace("recv", "probe"));
    }
    using _wait = this.#expecting(source);
    return await new Promise<Status>((resolve, reject) => {
      this.#queues.probers.push({ source, tag, resolve, reject });
    });
  }

  /** Takes in a frame of a message. */
  accept(from: number, frame: Frame, length: number): Destination {
    switch (frame.kind) {
      case MessageKind.EAGER:
        return this.#acceptEager(from, frame, length);
      case MessageKind.REQUEST_TO_SEND:
        return destination(length, () => {
          const posted = this.#queues.takeReceive(from, frame);
          if (posted !== null) this.#grant(posted, from, frame);
          else {this.#queues.keep({
              source: from,
              frame,
              payload: null,
              complete: true,
              taken: null,
            });}
        });
      case MessageKind.CLEAR_TO_SEND:
        return destination(length, () => this.#sendAnnounced(frame));
      case MessageKind.MESSAGE:
        return this.#acceptGranted(from, frame, length);
      case MessageKind.CREDIT:
        return destination(length, () => this.#credit.returned(from, frame.bytes));
      default:
        throw new Error(`rank ${from} sent a frame of unknown kind ${frame.kind}`);
    }
  }

  #acceptEager(from: number, frame: Frame, length: number): Destination {
    const posted = this.#queues.takeReceive(from, frame);
    if (posted === null) {
      const payload = new Uint8Array(length);
      const unexpected: Unexpected = { source: from, frame, payload, complete: false, taken: null };
      this.#queues.keep(unexpected);
      return {
        into: payload,
        done: () => {
          unexpected.complete = true;
          this.#arriving[from] = undefined;
          if (unexpected.taken !== null) this.#take(unexpected.taken, unexpected);
        },
      };
    }
    this.#consume(from, length);
    const error = this.#refusal(posted, from, frame);
    if (error !== null) return destination(length, () => posted.reject(error));
    this.#arriving[from] = posted;
    return {
      into: bytesOf(posted.buffer).subarray(0, length),
      done: () => {
        this.#arriving[from] = undefined;
        posted.resolve(statusOf(from, frame));
      },
    };
  }

  /** Gives a message that is all there to a receive. */
  #take(posted: Posted, { source, frame, payload }: Unexpected): void {
    this.#consume(source, payload!.length);
    const error = this.#refusal(posted, source, frame);
    if (error !== null) return posted.reject(error);
    bytesOf(posted.buffer).set(payload!);
    posted.resolve(statusOf(source, frame));
  }

  /** Asks for an announced message, or declines it. */
  #grant(posted: Posted, from: number, frame: Frame): void {
    const context = this.#context;
    const error = this.#refusal(posted, from, frame);
    if (error !== null) posted.reject(error);
    else {
      const wait = context.engine.transport.expecting(context.group[from]);
      this.#granted.set(`${from} ${frame.sequence}`, { posted, from, frame, wait });
    }
    const flags = error === null ? 0 : 1;
    context.send(from, { kind: MessageKind.CLEAR_TO_SEND, sequence: frame.sequence, flags }).catch(
      ignore,
    );
  }

  #sendAnnounced({ sequence, flags }: Frame): void {
    const message = this.#announced.get(sequence);
    if (message === undefined) return;
    if (flags === 1) return message.resolve();
    const stats = this.#context.stats.of("send");
    this.#context.send(message.to, { kind: MessageKind.MESSAGE, sequence }, message.payload, stats)
      .then(message.resolve, message.reject);
  }

  #acceptGranted(from: number, { sequence }: Frame, length: number): Destination {
    const key = `${from} ${sequence}`;
    const granted = this.#granted.get(key);
    if (granted === undefined) return destination(length, ignore); // the communicator has failed
    if (granted.frame.bytes !== length) {
      throw new Error(`rank ${from} announced ${granted.frame.bytes} bytes and sent ${length}`);
    }
    return {
      into: bytesOf(granted.posted.buffer).subarray(0, length),
      done: () => {
        if (!this.#forget(key)) return;
        this.#context.stats.of("recv").bytesReceived += length;
        granted.posted.resolve(statusOf(from, granted.frame));
      },
    };
  }

  /** Ends the wait for a message that was asked for; false if it had ended before. */
  #forget(key: string): boolean {
    const granted = this.#granted.get(key);
    if (granted === undefined) return false;
    this.#granted.delete(key);
    granted.wait[Symbol.dispose]();
    return true;
  }

  /** Why a message cannot go into a buffer, or null. */
  #refusal(posted: Posted, from: number, frame: Frame): Error | null {
    const name = this.#context.name(from);
    if (frame.type !== posted.type.code) {
      const sent = datatypeByCode(frame.type)?.name ?? `type ${frame.type}`;
      return new MismatchError(
        `cannot receive: ${name} sent ${sent} elements, the buffer holds ${posted.type.name} elements`,
      );
    }
    if (frame.count <= posted.buffer.length) return null;
    return new TruncationError(
      `cannot receive: ${name} sent ${
        describeCount(frame.count, posted.type)
      } with tag ${frame.tag}, ` +
        `the buffer has room for ${posted.buffer.length}`,
    );
  }

  /** Counts a message as received and returns credit to its sender. */
  #consume(from: number, length: number): void {
    this.#context.stats.of("recv").bytesReceived += length;
    if (from === this.#context.rank) return;
    const bytes = this.#credit.consume(from, length);
    if (bytes > 0) this.#context.send(from, { kind: MessageKind.CREDIT, bytes }).catch(ignore);
  }

  /** Tells the transport that the source of a receive or probe is waited for. */
  #expecting(source: number): Disposable {
    const { group, rank, engine: { transport } } = this.#context;
    if (source !== ANY_SOURCE && source !== rank) return transport.expecting(group[source]);
    const waits = new DisposableStack();
    for (const member of source === ANY_SOURCE ? group : []) {
      if (member !== group[rank]) waits.use(transport.expecting(member));
    }
    return waits;
  }

  /** The lost member without which nothing can come from `source`, or null. */
  #unreachable(source: number): number | null {
    const context = this.#context;
    if (source !== ANY_SOURCE) {
      return source !== context.rank && context.lossOf(source) !== undefined ? source : null;
    }
    const lost = [];
    for (let rank = 0; rank < context.size; rank++) {
      const loss = rank === context.rank ? undefined : context.lossOf(rank);
      if (loss !== undefined && !loss.orderly) return rank;
      if (loss !== undefined) lost.push(rank);
    }
    return lost.length > 0 && lost.length === context.size - 1 ? lost[0] : null;
  }

  #lostError(rank: number, operation: string): Error {
    return this.#context.engine.peerLostError(this.#context.group[rank], operation);
  }

  #sendError(to: number, tag: number, error: unknown): unknown {
    const context = this.#context;
    if (context.failure !== null) return context.failure;
    return context.lossOf(to) === undefined
      ? error
      : this.#lostError(to, sending(context, to, tag));
  }

  /** Ends all that is pending. */
  fail(error: unknown): void {
    for (const waiting of [...this.#queues.posted.splice(0), ...this.#queues.probers.splice(0)]) {
      waiting.reject(error);
    }
    for (const message of this.#announced.values()) message.reject(error);
    for (const [key, { posted }] of [...this.#granted]) {
      this.#forget(key);
      posted.reject(error);
    }
  }

  /** Ends what needs a member that is gone. */
  peerLost(rank: number): void {
    const cut = this.#arriving[rank];
    this.#arriving[rank] = undefined;
    cut?.reject(this.#lostError(rank, receiving(this.#context, cut.source, cut.tag)));
    for (const list of [this.#queues.posted, this.#queues.probers]) {
      for (const waiting of [...list]) {
        const gone = waiting.source === rank || waiting.source === ANY_SOURCE
          ? this.#unreachable(waiting.source)
          : null;
        if (gone === null) continue;
        list.splice((list as Prober[]).indexOf(waiting), 1);
        const operation = receiving(this.#context, waiting.source, waiting.tag);
        waiting.reject(this.#lostError(gone, operation));
      }
    }
    for (const [key, { posted, from }] of [...this.#granted]) {
      if (from !== rank) continue;
      this.#forget(key);
      posted.reject(this.#lostError(rank, receiving(this.#context, posted.source, posted.tag)));
    }
    for (const message of this.#announced.values()) {
      if (message.to === rank) message.reject(new Error("its receiver is gone"));
    }
  }
}

const BLANK: Frame = {
  kind: MessageKind.EAGER,
  type: 0,
  op: 0,
  collective: 0,
  context: 0,
  tag: 0,
  count: 0,
  root: 0,
  sequence: 0,
  slot: 0,
  flags: 0,
  bytes: 0,
};
