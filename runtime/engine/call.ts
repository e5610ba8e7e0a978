/**
 * One collective call on one rank: the tree exchanges that every collective begins with, and the
 * segments that large ones send afterwards.
 *
 * @module
 */

import type { OperationStats } from "../base/stats.ts";
import type { Destination } from "./destination.ts";
import type { CollectiveGroup } from "./group.ts";
import { type CallFrame, encodeSegment, MessageKind, type SignatureCodes } from "./header.ts";
import { Inbox, refused } from "./_inbox.ts";
import type { LostPeer } from "./lost_peers.ts";
import { pack, unpack } from "../base/pack.ts";
import { codesOf, type Signature } from "./signature.ts";
import { type Answer, TreeExchanges } from "./tree_exchange.ts";

/** One collective call on one rank. */
export class CollectiveCall {
  /** The members that make the call. */
  readonly group: CollectiveGroup;
  /** Place among the collective calls of this communicator. */
  readonly sequence: number;
  /** What this rank passed. */
  readonly codes: SignatureCodes;
  readonly stats: OperationStats;

  readonly #name: string;
  readonly #inBackground: boolean;
  readonly #inbox: Inbox;
  readonly #exchanges: TreeExchanges;

  /** @param inBackground whether the program wants to go on meanwhile */
  constructor(
    group: CollectiveGroup,
    sequence: number,
    signature: Signature,
    inBackground: boolean,
  ) {
    this.group = group;
    this.sequence = sequence;
    this.codes = codesOf(signature);
    this.stats = group.stats.of(signature.name);
    this.#name = signature.name;
    this.#inBackground = inBackground;
    this.#inbox = new Inbox(this);
    this.#exchanges = new TreeExchanges(this, this.#inbox);
  }

  /** The call in words, for errors. */
  get operation(): string {
    return `${this.#name} (collective call ${this.sequence + 1})`;
  }

  /** Whether the whole process may sleep for a moment: nothing else that we know of goes on in it. */
  get mayBlock(): boolean {
    return !this.#inBackground && this.group.activeCalls === 1;
  }

  /** Waits until every member has made this call with the same arguments. */
  async agree(): Promise<void> {
    await this.exchange(NOTHING, () => NOTHING);
  }

  /**
   * Sends a contribution of every rank to rank 0 and its answer back: {@linkcode
   * TreeExchanges.run}.
   */
  exchange(
    mine: Uint8Array,
    respond: (contributions: readonly Uint8Array[]) => Answer,
  ): Promise<Uint8Array> {
    return this.#exchanges.run(mine, respond);
  }

  /** One exchange that gives every rank everybody's contribution, in the order of ranks. */
  async exchangeAll(mine: Uint8Array): Promise<Uint8Array[]> {
    return unpack(await this.exchange(mine, pack), this.group.size);
  }

  /**
   * Posts the receive of a segment from a member. Should be called before {@linkcode
   * CollectiveCall.agree}, or the segment may be kept aside first and copied.
   */
  receive(from: number, segment: number, into: Uint8Array): Promise<Uint8Array> {
    return this.#inbox.receive(MessageKind.SEGMENT, segment, from, into);
  }

  /**
   * Waits for a segment whose length only the sender knows; it is kept aside.
   *
   * @param take gives memory for so many bytes; for what comes before anybody waits there is some already
   */
  receiveAny(
    from: number,
    segment: number,
    take?: (length: number) => Uint8Array,
  ): Promise<Uint8Array> {
    return this.#inbox.receive(MessageKind.SEGMENT, segment, from, take);
  }

  /**
   * Posts the receive of a segment, or of something of another length that the member may send in its
   * stead, which is kept aside.
   */
  receiveOrOther(from: number, segment: number, into: Uint8Array): Promise<Uint8Array> {
    return this.#inbox.receive(MessageKind.SEGMENT, segment, from, into, true);
  }

  /** Sends a segment to a member; resolves when `payload` may be changed. */
  send(to: number, segment: number, payload: Uint8Array): Promise<void> {
    const { group, stats } = this, inbox = this.#inbox;
    if (inbox.error !== null) return refused(inbox.error);
    stats.bytesSent += payload.length;
    const header = encodeSegment({ context: group.id, call: this.sequence, segment });
    const sent = group.send(to, header, payload).catch((error) => {
      throw inbox.error ??
        (group.lossOf(to) === undefined ? error : group.lostError(to, this.operation));
    });
    sent.catch(() => {});
    return sent;
  }

  /**
   * Says that this rank waits for all members, in memory, until what it returns is disposed of. A
   * member that dies or falls silent meanwhile ends the call; for one that takes its leave see
   * {@linkcode CollectiveCall.missed}.
   */
  expectingAll(): Disposable {
    const { group } = this, waits = new DisposableStack();
    for (let member = 0; member < group.size; member++) {
      if (member !== group.rank) waits.use(group.expecting(member));
    }
    return waits;
  }

  /** The error for a member that has taken its leave, if one has, when it is still waited for. */
  missed(): Error | null {
    const { group } = this;
    for (let member = 0; member < group.size; member++) {
      if (group.lossOf(member) !== undefined) return group.lostError(member, this.operation);
    }
    return null;
  }

  /** Throws what the call has failed with, if it has. */
  check(): void {
    this.#inbox.check();
  }

  /** Takes in a frame of this call. */
  accept(from: number, frame: CallFrame, length: number): Destination {
    this.stats.bytesReceived += length;
    if (frame.kind === MessageKind.SEGMENT) {
      return this.#inbox.accept(frame.kind, frame.segment, from, length);
    }
    if (frame.kind === MessageKind.FAN_IN && frame.answerSlotEmpty) {
      this.#exchanges.noteEmptySlot(from);
    }
    return this.#inbox.accept(frame.kind, frame.exchange, from, length);
  }

  /** Ends the call on this rank. */
  fail(error: unknown): void {
    this.#inbox.fail(error);
  }

  /** A member is gone: needed if it died, or if something is still to come from it. */
  peerLost(rank: number, loss: LostPeer): void {
    if (loss.orderly && !this.#inbox.waitsFor(rank)) return;
    this.fail(this.group.lostError(rank, this.operation));
  }
}

const NOTHING = new Uint8Array(0);
