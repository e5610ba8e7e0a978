/**
 * Messages between two ranks: matching by source and tag in the order of sending, small ones sent
 * without asking, large ones when the receiver has a buffer for them (MPI 4.1, chapter 3).
 *
 * A message of up to `EAGER_BYTES` goes out at once while the receiver has room for it:
 * every sender may have `CREDIT_BYTES` waiting there, and gets credit back as they are
 * received. Any other message is announced, stays with its sender, and goes straight into the
 * receiver's buffer when that is known. So what a rank must keep for messages nobody has asked for is
 * bounded, and two ranks that send to each other before they receive never wait for each other.
 *
 * @module
 */

import { bytesOf, datatypeOf, overlap } from "../base/datatypes.ts";
import type { TypedArray } from "../base/datatypes.ts";
import { yieldToEventLoop } from "../base/request.ts";
import { ANY_SOURCE, NULL_STATUS, PROC_NULL, type Status } from "../base/status.ts";
import {
  checkLength,
  checkRank,
  checkTag,
  expectSource,
  mayCome,
  type MessagePattern,
  receiving,
  sending,
  unreachable,
} from "./arguments.ts";
import { deliverWhole, type Destination, keptAside } from "./destination.ts";
import { Credit } from "./_flow_control.ts";
import type { Group } from "./group.ts";
import {
  type ClearToSendFrame,
  type EagerFrame,
  encodeClearToSend,
  encodeCredit,
  encodeEager,
  encodeMessage,
  encodeRequestToSend,
  MessageKind,
  type PointToPointFrame,
  type RequestToSendFrame,
} from "./header.ts";
import {
  MessageQueues,
  type PostedProbe,
  type PostedReceive,
  refusalOf,
  statusOf,
  type UnexpectedMessage,
} from "./_matching.ts";

const ignore = () => {};

/** A message whose receiver must ask for it. */
interface Announced {
  readonly to: number;
  readonly tag: number;
  readonly payload: Uint8Array;
  resolve(): void;
  reject(error: unknown): void;
}

/** A message that was asked for and has not come yet. */
interface Granted {
  readonly receive: PostedReceive;
  readonly from: number;
  readonly announcement: RequestToSendFrame;
  /** Tells the transport that the sender is waited for. */
  readonly wait: Disposable;
}

/** A receive that was begun. */
interface Receiving {
  readonly status: Promise<Status>;
  /** Takes it back, if no message has been matched with it; it then rejects with `error`. */
  cancel(error: unknown): void;
}

/** The messages of one communicator on one rank. */
export class PointToPoint {
  readonly #group: Group;
  readonly #queues = new MessageQueues();
  readonly #announced = new Map<number, Announced>();
  readonly #granted = new Map<string, Granted>();
  /** The receive whose message is coming in from each member. */
  readonly #arriving: (PostedReceive | undefined)[] = [];
  readonly #credit: Credit;
  #nextMessage = 1;

  constructor(group: Group) {
    this.#group = group;
    this.#credit = new Credit(group.size);
  }

  /** Sends a message; resolves when `buffer` may be changed. */
  send(buffer: TypedArray, to: number, tag: number): Promise<void> {
    return this.#group.stats.time("send", this.#send(buffer, to, tag));
  }

  /** Receives a message into `buffer`. */
  async receive(buffer: TypedArray, source: number, tag: number): Promise<Status> {
    return await this.#group.stats.time("recv", this.#receive(buffer, { source, tag }).status);
  }

  /**
   * Sends a message and receives another meanwhile. The buffers may overlap; what is sent is then
   * copied first, as MPI_Sendrecv_replace does (MPI 4.1, section 3.10). When it rejects, neither
   * buffer is in use: a receive that no message has been matched with is taken back, one whose
   * message is coming in is waited for, unless the communicator itself has come to its end.
   */
  async sendReceive(
    sendBuffer: TypedArray,
    to: number,
    sendTag: number,
    recvBuffer: TypedArray,
    source: number,
    recvTag: number,
  ): Promise<Status> {
    const { stats } = this.#group;
    datatypeOf(sendBuffer);
    const outgoing = overlap(sendBuffer, recvBuffer) ? sendBuffer.slice() : sendBuffer;
    const { status, cancel } = this.#receive(recvBuffer, { source, tag: recvTag });
    const received = stats.time("recv", status);
    received.catch(ignore);
    try {
      await this.send(outgoing, to, sendTag);
    } catch (error) {
      cancel(error);
      await received.catch(ignore);
      throw error;
    }
    return await received;
  }

  async #send(buffer: TypedArray, to: number, tag: number): Promise<void> {
    const group = this.#group, type = datatypeOf(buffer);
    checkTag(tag);
    if (to === PROC_NULL) return;
    checkRank(to, group.size, "destination");
    if (group.failure !== null) throw group.failure;
    const payload = bytesOf(buffer);
    checkLength(payload.length);
    const stats = group.stats.of("send");
    const envelope = { context: group.id, type: type.code, count: buffer.length, tag };
    if (to === group.rank) {
      stats.bytesSent += payload.length;
      const frame: EagerFrame = { kind: MessageKind.EAGER, ...envelope };
      deliverWhole(this.accept(to, frame, payload.length), payload);
      return;
    }
    if (group.lossOf(to) !== undefined) throw group.lostError(to, sending(group, to, tag));
    if (this.#credit.spend(to, payload.length)) {
      stats.bytesSent += payload.length;
      try {
        return await group.send(to, encodeEager(envelope), payload);
      } catch (error) {
        throw this.#sendError(to, tag, error);
      }
    }
    const message = this.#nextMessage++;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#announced.set(message, { to, tag, payload, resolve, reject });
    using _wait = group.expecting(to);
    group.send(to, encodeRequestToSend({ ...envelope, message, bytes: payload.length }))
      .catch(reject);
    try {
      await promise;
    } catch (error) {
      throw this.#sendError(to, tag, error);
    } finally {
      this.#announced.delete(message);
    }
  }

  #receive(buffer: TypedArray, pattern: MessagePattern): Receiving {
    const group = this.#group, { source, tag } = pattern;
    const type = datatypeOf(buffer);
    if (!mayCome(this.#group, pattern)) {
      return { status: Promise.resolve(NULL_STATUS), cancel: ignore };
    }
    if (group.failure !== null) return { status: Promise.reject(group.failure), cancel: ignore };
    const { promise, resolve, reject } = Promise.withResolvers<Status>();
    const receive: PostedReceive = {
      operation: "recv",
      source,
      tag,
      buffer,
      type,
      resolve,
      reject,
    };
    const unexpected = this.#queues.takeMessage(receive);
    if (unexpected !== null) {
      const { source, envelope } = unexpected;
      if (envelope.kind === MessageKind.REQUEST_TO_SEND) this.#grant(receive, source, envelope);
      else if (unexpected.complete) this.#take(receive, unexpected);
      else this.#arriving[source] = unexpected.takenBy = receive;
    } else {
      const gone = unreachable(this.#group, source);
      if (gone !== null) {
        reject(group.lostError(gone, receiving("recv", group, receive)));
      } else {
        this.#queues.receives.push(receive);
        const wait = expectSource(this.#group, source), settle = () => wait[Symbol.dispose]();
        promise.then(settle, settle);
      }
    }
    const cancel = (error: unknown) => {
      const index = this.#queues.receives.indexOf(receive);
      if (index < 0) return;
      this.#queues.receives.splice(index, 1);
      reject(error);
    };
    return { status: promise, cancel };
  }

  /** Status of the first message that a receive would get, or null. */
  #peek(pattern: MessagePattern): Status | null {
    if (this.#group.failure !== null) throw this.#group.failure;
    return this.#queues.peek(pattern);
  }

  /** Waits until a message is there that a receive would get. */
  async probe(source: number, tag: number): Promise<Status> {
    const group = this.#group, operation = "probe", pattern = { source, tag };
    if (!mayCome(this.#group, pattern)) return NULL_STATUS;
    const found = this.#peek(pattern);
    if (found !== null) return found;
    const gone = unreachable(this.#group, source);
    if (gone !== null) throw group.lostError(gone, receiving(operation, group, pattern));
    using _wait = expectSource(this.#group, source);
    return await new Promise<Status>((resolve, reject) => {
      this.#queues.probes.push({ operation, source, tag, resolve, reject });
    });
  }

  /**
   * Looks whether a message is there that a receive would get; null if it is not after one turn of the
   * event loop. Rejects where a rank has died without which none can come, for whoever asks again and
   * again.
   */
  async iprobe(source: number, tag: number): Promise<Status | null> {
    const group = this.#group, pattern = { source, tag };
    if (!mayCome(this.#group, pattern)) return NULL_STATUS;
    let status = this.#peek(pattern);
    if (status !== null) return status;
    await yieldToEventLoop();
    status = this.#peek(pattern);
    const gone = status === null ? unreachable(this.#group, source) : null;
    if (gone === null || group.lossOf(gone)!.orderly) return status;
    throw group.lostError(gone, receiving("iprobe", group, pattern));
  }

  /** What waits for another member, in words. */
  pending(): string[] {
    const group = this.#group, { receives, probes } = this.#queues;
    return [
      ...[...receives, ...probes].map((posted) => receiving(posted.operation, group, posted)),
      ...[...this.#granted.values()].map(({ receive }) => receiving("recv", group, receive)),
      ...[...this.#announced.values()].map(({ to, tag }) => sending(group, to, tag)),
    ];
  }

  /** Takes in a frame of a message. */
  accept(from: number, frame: PointToPointFrame, length: number): Destination {
    switch (frame.kind) {
      case MessageKind.EAGER: {
        if (this.#group.lossOf(from) === undefined) return this.#acceptEager(from, frame, length);
        // As others say it is lost, so the rest may not come, and nobody would hear of its loss again.
        return keptAside(length, (payload) => {
          deliverWhole(this.#acceptEager(from, frame, length), payload);
        });
      }
      case MessageKind.REQUEST_TO_SEND:
        return keptAside(length, () => this.#acceptAnnouncement(from, frame));
      case MessageKind.CLEAR_TO_SEND:
        return keptAside(length, () => this.#sendAnnounced(frame));
      case MessageKind.MESSAGE:
        return this.#acceptGranted(from, frame.message, length);
      case MessageKind.CREDIT:
        return keptAside(length, () => this.#credit.returned(from, frame.bytes));
    }
  }

  #acceptEager(from: number, envelope: EagerFrame, length: number): Destination {
    const receive = this.#queues.takeReceive(from, envelope);
    if (receive === null) {
      const payload = new Uint8Array(length);
      const unexpected: UnexpectedMessage = {
        source: from,
        envelope,
        payload,
        complete: false,
        takenBy: null,
      };
      this.#queues.keep(unexpected);
      return {
        into: payload,
        done: () => {
          unexpected.complete = true;
          this.#arriving[from] = undefined;
          if (unexpected.takenBy !== null) this.#take(unexpected.takenBy, unexpected);
          else if (unexpected.isDoubtful) {
            deliverWhole(this.#acceptEager(from, envelope, length), payload);
          }
        },
      };
    }
    this.#consume(from, length);
    const error = refusalOf(receive, this.#group.name(from), envelope);
    if (error !== null) return keptAside(length, () => receive.reject(error));
    this.#arriving[from] = receive;
    return {
      into: bytesOf(receive.buffer).subarray(0, length),
      done: () => {
        this.#arriving[from] = undefined;
        receive.resolve(statusOf(from, envelope));
      },
    };
  }

  /** Gives a message that is all there to a receive. */
  #take(receive: PostedReceive, { source, envelope, payload }: UnexpectedMessage): void {
    this.#consume(source, payload!.length);
    const error = refusalOf(receive, this.#group.name(source), envelope);
    if (error !== null) return receive.reject(error);
    bytesOf(receive.buffer).set(payload!);
    receive.resolve(statusOf(source, envelope));
  }

  #acceptAnnouncement(source: number, envelope: RequestToSendFrame): void {
    if (this.#group.lossOf(source) !== undefined) return; // as others say
    const receive = this.#queues.takeReceive(source, envelope);
    if (receive !== null) this.#grant(receive, source, envelope);
    else this.#queues.keep({ source, envelope, payload: null, complete: true, takenBy: null });
  }

  /** Asks for an announced message, or declines it. */
  #grant(receive: PostedReceive, from: number, announcement: RequestToSendFrame): void {
    const group = this.#group, { message } = announcement;
    const error = refusalOf(receive, group.name(from), announcement);
    if (error !== null) receive.reject(error);
    else {
      const wait = group.expecting(from);
      this.#granted.set(`${from} ${message}`, { receive, from, announcement, wait });
    }
    const header = encodeClearToSend({ context: group.id, message, declined: error !== null });
    group.send(from, header).catch(ignore);
  }

  #sendAnnounced({ message, declined }: ClearToSendFrame): void {
    const announced = this.#announced.get(message);
    if (announced === undefined) return;
    if (declined) return announced.resolve();
    const group = this.#group, { to, payload, resolve, reject } = announced;
    group.stats.of("send").bytesSent += payload.length;
    group.send(to, encodeMessage({ context: group.id, message }), payload).then(resolve, reject);
  }

  #acceptGranted(from: number, message: number, length: number): Destination {
    const key = `${from} ${message}`;
    const granted = this.#granted.get(key);
    if (granted === undefined) return keptAside(length, ignore); // the communicator has failed
    const { receive, announcement } = granted;
    if (announcement.bytes !== length) {
      throw new Error(`rank ${from} announced ${announcement.bytes} bytes and sent ${length}`);
    }
    return {
      into: bytesOf(receive.buffer).subarray(0, length),
      done: () => {
        if (!this.#forget(key)) return;
        this.#group.stats.of("recv").bytesReceived += length;
        receive.resolve(statusOf(from, announcement));
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

  /** Counts a message as received and returns credit to its sender. */
  #consume(from: number, length: number): void {
    const group = this.#group;
    group.stats.of("recv").bytesReceived += length;
    if (from === group.rank) return;
    const bytes = this.#credit.consume(from, length);
    if (bytes > 0) group.send(from, encodeCredit({ context: group.id, bytes })).catch(ignore);
  }

  #sendError(to: number, tag: number, error: unknown): unknown {
    const group = this.#group;
    if (group.failure !== null) return group.failure;
    return group.lossOf(to) === undefined ? error : group.lostError(to, sending(group, to, tag));
  }

  /** Ends all that is pending; what is coming in may still be written where it was to go. */
  fail(error: unknown): void {
    const { receives, probes } = this.#queues;
    for (const receive of this.#arriving.splice(0)) receive?.reject(error);
    for (const posted of [...receives.splice(0), ...probes.splice(0)]) posted.reject(error);
    for (const message of this.#announced.values()) message.reject(error);
    for (const [key, { receive }] of [...this.#granted]) {
      this.#forget(key);
      receive.reject(error);
    }
  }

  /** Ends what needs a member that is gone. */
  peerLost(rank: number): void {
    const group = this.#group;
    const lost = (gone: number, posted: PostedReceive | PostedProbe) =>
      posted.reject(group.lostError(gone, receiving(posted.operation, group, posted)));
    this.#queues.forgetUnsent(rank);
    const cut = this.#arriving[rank];
    this.#arriving[rank] = undefined;
    if (cut !== undefined) lost(rank, cut);
    for (const list of [this.#queues.receives, this.#queues.probes]) {
      for (const posted of [...list]) {
        const gone = posted.source === rank || posted.source === ANY_SOURCE
          ? unreachable(group, posted.source)
          : null;
        if (gone === null) continue;
        list.splice((list as (PostedReceive | PostedProbe)[]).indexOf(posted), 1);
        lost(gone, posted);
      }
    }
    for (const [key, { receive, from }] of [...this.#granted]) {
      if (from !== rank) continue;
      this.#forget(key);
      lost(rank, receive);
    }
    for (const message of this.#announced.values()) {
      if (message.to === rank) message.reject(new Error("its receiver is gone"));
    }
  }
}
