/**
 * The communicator's calls that move one message.
 *
 * @module
 */

import type { Context } from "./engine/context.ts";
import type { TypedArray } from "./base/datatypes.ts";
import { Request } from "./base/request.ts";
import { ANY_SOURCE, ANY_TAG, type Status } from "./base/status.ts";

/** What every communicator knows, and its messages from one rank to another. */
export abstract class MessageCalls {
  /**
   * The inside; not for programs.
   * @internal
   */
  protected readonly context: Context;

  /**
   * Made by `init()`, `split()` and `dup()`.
   * @internal
   */
  constructor(context: Context) {
    this.context = context;
  }

  /** This process's rank, 0 ≤ rank < size. */
  get rank(): number {
    return this.context.rank;
  }

  /** Number of ranks. */
  get size(): number {
    return this.context.size;
  }

  /**
   * Sends a message. Returns when `buffer` may be changed, which for more than 64 KiB is not before the
   * receiver has asked for it.
   *
   * @param tag a number from 0 to 2³¹ − 1 by which the receiver tells messages apart
   * @throws PeerLostError if the receiver is gone
   */
  send(buffer: TypedArray, dest: number, tag = 0): Promise<void> {
    return this.context.messages.send(buffer, dest, tag);
  }

  /**
   * Receives a message into the beginning of `buffer`. Messages from one rank that a receive could
   * take are taken in the order of sending.
   *
   * @throws TruncationError if the message is longer than `buffer`, which is then left as it was
   * @throws MismatchError if the message holds elements of another type
   * @throws PeerLostError if the sender is gone
   */
  recv(buffer: TypedArray, source = ANY_SOURCE, tag = ANY_TAG): Promise<Status> {
    return this.context.messages.receive(buffer, source, tag);
  }

  /** Sends one message while it receives another; the buffers must not overlap. */
  async sendrecv(
    sendBuffer: TypedArray,
    dest: number,
    recvBuffer: TypedArray,
    source = ANY_SOURCE,
    sendTag = 0,
    recvTag = ANY_TAG,
  ): Promise<Status> {
    const outcome = this.irecv(recvBuffer, source, recvTag);
    await this.send(sendBuffer, dest, sendTag);
    return await outcome.wait();
  }

  /** Begins to send; `buffer` must not be changed until the request is complete. */
  isend(buffer: TypedArray, dest: number, tag = 0): Request {
    return new Request(this.send(buffer, dest, tag));
  }

  /** Begins to receive; `buffer` must not be used until the request is complete. */
  irecv(buffer: TypedArray, source = ANY_SOURCE, tag = ANY_TAG): Request {
    return new Request(this.recv(buffer, source, tag));
  }

  /** Waits until a message is there, without receiving it: its length says what buffer it needs. */
  probe(source = ANY_SOURCE, tag = ANY_TAG): Promise<Status> {
    return this.context.messages.probe(source, tag);
  }

  /** Looks whether a message is there; if not, returns null after one turn of the event loop. */
  iprobe(source = ANY_SOURCE, tag = ANY_TAG): Promise<Status | null> {
    return this.context.messages.iprobe(source, tag);
  }
}
