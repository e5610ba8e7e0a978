/**
 * The exchange that every collective call begins with: a fan-in of contributions along a tree to
 * rank 0, and a fan-out of its answer.
 *
 * @module
 */

import type { OperationStats } from "../base/stats.ts";
import type { CollectiveGroup } from "./group.ts";
import { encodeFanIn, encodeFanOut, MessageKind, type SignatureCodes } from "./header.ts";
import type { Inbox } from "./_inbox.ts";
import { pack, unpack } from "../base/pack.ts";
import { LARGEST_PAYLOAD } from "../transport/transport.ts";

/** What rank 0 answers to the contributions: the same for all, or one answer for each rank. */
export type Answer = Uint8Array | readonly Uint8Array[];

/** The collective call that exchanges belong to. */
export interface ExchangingCall {
  readonly group: CollectiveGroup;
  /** The call in words, for errors. */
  readonly operation: string;
  /** Place among the collective calls of the communicator. */
  readonly sequence: number;
  readonly codes: SignatureCodes;
  readonly stats: OperationStats;
  /** Whether the whole process may sleep for a moment. */
  readonly mayBlock: boolean;
}

/** The tree exchanges of one collective call. */
export class TreeExchanges {
  readonly #call: ExchangingCall;
  readonly #inbox: Inbox;
  /** Children in whose mailboxes the slot for this rank's answer is empty; null: none is. */
  #emptySlots: Set<number> | null = null;
  #count = 0;

  constructor(call: ExchangingCall, inbox: Inbox) {
    this.#call = call;
    this.#inbox = inbox;
  }

  /**
   * Sends one contribution of every rank to rank 0 and its answer back: 2(N−1) frames, of which 2(H−1)
   * between H hosts; 2⌈log_k H⌉ + 2⌈log_k L⌉ dependent steps with L ranks a host. Every parent compares
   * its children's signatures with its own: whoever gets an answer knows that all members made the same
   * call.
   *
   * @param mine this rank's contribution, which must stay as it is until the answer is there
   * @param respond called at rank 0 with all contributions in the order of ranks; what it returns must
   *   stay as it is for good
   * @returns this rank's answer
   * @throws RangeError if what a rank passes on is more than a frame holds
   */
  async run(
    mine: Uint8Array,
    respond: (contributions: readonly Uint8Array[]) => Answer,
  ): Promise<Uint8Array> {
    const { rank, tree } = this.#call.group, inbox = this.#inbox;
    const exchange = this.#count++, children = tree.childrenOf(rank);
    const contributions = [mine];
    this.#poll(MessageKind.FAN_IN, exchange, children.map((child) => child.rank));
    for (const child of children) {
      const payload = await inbox.receive(MessageKind.FAN_IN, exchange, child.rank);
      if (child.size === 1) contributions.push(payload);
      else contributions.push(...unpack(payload, child.size));
    }
    let answer: Answer;
    if (rank === 0) {
      const ofRanks: Uint8Array[] = new Array(contributions.length);
      tree.order.forEach((of, position) => ofRanks[of] = contributions[position]);
      const answered = respond(ofRanks);
      answer = answered instanceof Uint8Array ? answered : tree.order.map((of) => answered[of]);
      inbox.check(); // the contributions may contradict each other
    } else {
      const parent = tree.parentOf(rank), count = contributions.length;
      this.#fanIn(exchange, parent, count === 1 ? mine : pack(contributions));
      this.#poll(MessageKind.FAN_OUT, exchange, [parent]);
      const payload = await inbox.receive(MessageKind.FAN_OUT, exchange, parent);
      if (count === 1) return payload;
      answer = payload[0] === COMMON ? payload.subarray(8) : unpack(payload.subarray(8), count);
    }
    const common = answer instanceof Uint8Array, own = tree.positionOf(rank);
    for (const { rank: child, position, size } of children.toReversed()) {
      const at = position - own;
      const payload = size === 1
        ? (common ? answer as Uint8Array : answer[at] as Uint8Array)
        : common
        ? withPrefix(COMMON, answer as Uint8Array)
        : withPrefix(EACH, pack((answer as Uint8Array[]).slice(at, at + size)));
      this.#fanOut(exchange, child, payload);
    }
    return common ? answer as Uint8Array : (answer as Uint8Array[])[0];
  }

  /** A child says that the slot for its answer is empty. */
  noteEmptySlot(child: number): void {
    this.#emptySlots ??= new Set();
    this.#emptySlots.add(child);
  }

  /**
   * Sends contributions without waiting: they stay as they are long enough.
   *
   * A mailbox has one slot for each sender and direction. That of the parent is empty if this is
   * the sender's only call, because the answer to the last frame there has come; so is the sender's
   * own slot for the answer, which the header tells the parent. After a failed call neither is
   * certain.
   */
  #fanIn(exchange: number, parent: number, payload: Uint8Array): void {
    this.#checkLength(payload);
    const { group, sequence, codes, stats } = this.#call, { localPeers } = group;
    const answerSlotEmpty = group.activeCalls === 1 && localPeers.enabled;
    const header = encodeFanIn(
      { context: group.id, call: sequence, exchange, answerSlotEmpty },
      codes,
    );
    stats.bytesSent += payload.length;
    const sent = answerSlotEmpty && localPeers.trySend(group.members[parent], 0, header, payload);
    if (!sent) group.send(parent, header, payload).catch(ignore);
  }

  /** Sends an answer without waiting: it stays as it is. */
  #fanOut(exchange: number, child: number, payload: Uint8Array): void {
    this.#checkLength(payload);
    const { group, sequence, stats } = this.#call;
    const header = encodeFanOut({ context: group.id, call: sequence, exchange });
    stats.bytesSent += payload.length;
    const sent = this.#emptySlots?.has(child) === true &&
      group.localPeers.trySend(group.members[child], 1, header, payload);
    if (!sent) group.send(child, header, payload).catch(ignore);
  }

  /** What a frame does not hold would not be sent, and be waited for. */
  #checkLength({ length }: Uint8Array): void {
    if (length <= LARGEST_PAYLOAD) return;
    throw new RangeError(
      `cannot ${this.#call.operation}: ${length} bytes would go up or down the tree at once, and a frame holds ` +
        `${LARGEST_PAYLOAD} at most; pass smaller buffers or take another algorithm`,
    );
  }

  /** Looks for frames that may come through the mailbox, before waiting for them takes its time. */
  #poll(kind: number, exchange: number, from: readonly number[]): void {
    const { group, mayBlock } = this.#call, { localPeers, members } = group, inbox = this.#inbox;
    if (!mayBlock || localPeers.isEmpty || inbox.error !== null) return;
    const keys = from.filter((rank) => localPeers.isLocal(members[rank]))
      .map((rank) => inbox.key(kind, exchange, rank));
    if (keys.length === 0) return;
    localPeers.poll(() => {
      if (inbox.error !== null) return 0;
      let missing = 0;
      for (const key of keys) if (!inbox.has(key)) missing++;
      return missing;
    });
  }
}

const COMMON = 0, EACH = 1;
const ignore = () => {};

/** The answer behind 8 bytes that say whether it is for all ranks or holds one for each. */
function withPrefix(prefix: number, answer: Uint8Array): Uint8Array {
  const payload = new Uint8Array(8 + answer.length);
  payload[0] = prefix;
  payload.set(answer, 8);
  return payload;
}
