/**
 * One collective call on one rank: the wave that every collective begins with, and the parts that
 * large ones exchange afterwards.
 *
 * @module
 */

import type { Context } from "./context.ts";
import { type Destination, destination, type LostPeer } from "./engine.ts";
import { encodeFrame, type Frame, MessageKind } from "./header.ts";
import type { OperationStats } from "../base/stats.ts";
import { pack, unpack } from "./pack.ts";
import { COLLECTIVES, type Signature } from "./signature.ts";
import { TREE_RADIX } from "./tuning.ts";

export type { Signature };

/** What rank 0 answers to the contributions: the same for all, or one answer for each rank. */
export type Answer = Uint8Array | readonly Uint8Array[];

interface Waiter {
  readonly from: number;
  readonly into: Uint8Array | undefined;
  /** Tells the transport that the member is waited for. */
  readonly wait: Disposable;
  resolve(payload: Uint8Array): void;
  reject(error: unknown): void;
}

/** One collective call on one rank. */
export class CollectiveCall {
  readonly context: Context;
  /** Place among the collective calls of this communicator. */
  readonly sequence: number;
  readonly signature: Signature;
  readonly stats: OperationStats;

  readonly #waiters = new Map<number, Waiter>();
  readonly #arrived = new Map<number, Uint8Array>();
  /** Children in whose mailboxes the place for this rank's answer is empty. */
  readonly #emptyPlaces = new Set<number>();
  readonly #background: boolean;
  #waves = 0;
  #error: unknown = null;

  /** @param background whether the program wants to go on meanwhile */
  constructor(context: Context, sequence: number, signature: Signature, background: boolean) {
    this.#background = background;
    this.context = context;
    this.sequence = sequence;
    this.signature = signature;
    this.stats = context.stats.of(signature.name);
  }

  /** The call in words, for errors. */
  get operation(): string {
    return `${this.signature.name} (collective call ${this.sequence + 1})`;
  }

  /** Whether the whole process may sleep for a moment: nothing else that we know of goes on in it. */
  get mayBlock(): boolean {
    return !this.#background && this.context.engine.activeCalls === 1;
  }

  /** Waits until every member has made this call with the same arguments. */
  async agree(): Promise<void> {
    await this.exchange(NOTHING, () => NOTHING);
  }

  /**
   * Sends one contribution of every rank to rank 0 and its answer back, along a k-nomial tree.
   *
   * The parent of rank r is r with its lowest digit other than 0 cleared, in base k, so a subtree is a
   * range of ranks and contributions stay in the order of ranks. 2(N−1) frames, 2⌈log_k N⌉ dependent
   * steps. Every parent compares its children's signatures with its own: whoever gets an answer knows
   * that all members made the same call. (Thakur, Rabenseifner, Gropp: Optimization of Collective
   * Communication Operations in MPICH, IJHPCA 2005, for k = 2.)
   *
   * @param mine this rank's contribution, which must stay as it is until the answer is there
   * @param respond called at rank 0 with all contributions in the order of ranks; what it returns must
   *   stay as it is for good
   * @returns this rank's answer
   */
  async exchange(
    mine: Uint8Array,
    respond: (contributions: readonly Uint8Array[]) => Answer,
  ): Promise<Uint8Array> {
    const { rank, size } = this.context;
    const wave = this.#waves++;
    const children = childrenOf(rank, size);
    const contributions = [mine];
    this.#lookFor(MessageKind.FAN_IN, wave, children);
    for (const child of children) {
      const payload = await this.#receive(MessageKind.FAN_IN, wave, child);
      const count = subtreeSize(child, size);
      if (count === 1) contributions.push(payload);
      else contributions.push(...unpack(payload, count));
    }
    let answer: Answer;
    if (rank === 0) {
      answer = respond(contributions);
      if (this.#error !== null) throw this.#error; // the contributions contradict each other
    } else {
      const parent = parentOf(rank, size), count = contributions.length;
      this.#post(MessageKind.FAN_IN, wave, parent, count === 1 ? mine : pack(contributions));
      this.#lookFor(MessageKind.FAN_OUT, wave, [parent]);
      const payload = await this.#receive(MessageKind.FAN_OUT, wave, parent);
      if (count === 1) return payload;
      answer = payload[0] === COMMON ? payload.subarray(8) : unpack(payload.subarray(8), count);
    }
    const common = answer instanceof Uint8Array;
    for (let i = children.length - 1; i >= 0; i--) {
      const at = children[i] - rank, count = subtreeSize(children[i], size);
      const payload = count === 1
        ? (common ? answer as Uint8Array : answer[at] as Uint8Array)
        : common
        ? withPrefix(COMMON, answer as Uint8Array)
        : withPrefix(EACH, pack((answer as Uint8Array[]).slice(at, at + count)));
      this.#post(MessageKind.FAN_OUT, wave, children[i], payload);
    }
    return common ? answer as Uint8Array : (answer as Uint8Array[])[0];
  }

  /**
   * Sends a frame of a wave without waiting: its payload stays as it is long enough.
   *
   * A mailbox has one place for each sender and direction. That of the parent is empty if this is the
   * sender's only call, because the answer to the last frame there has come; so is the sender's own
   * place for the answer, which a tag of 1 tells the parent. After a failed call neither is certain.
   */
  #post(kind: number, wave: number, to: number, payload: Uint8Array): void {
    const { name, type, count, op, root, algorithm, segmentBytes } = this.signature;
    const { context, stats } = this, { localPeers, activeCalls } = context.engine;
    const known = kind === MessageKind.FAN_IN ? activeCalls === 1 : this.#emptyPlaces.has(to);
    const isEmpty = known && (localPeers === null || localPeers.enabled);
    const header = encodeFrame({
      kind,
      context: context.id,
      tag: isEmpty ? 1 : 0,
      collective: COLLECTIVES.indexOf(name),
      type,
      count,
      op,
      root,
      flags: algorithm,
      bytes: segmentBytes,
      sequence: this.sequence,
      slot: wave,
    });
    stats.bytesSent += payload.length;
    const world = context.group[to], direction = kind === MessageKind.FAN_IN ? 0 : 1;
    if (isEmpty && localPeers?.post(world, direction, header, payload)) return;
    context.engine.transport.send(world, header, payload).catch(ignore);
  }

  /** Looks for frames that may come through the mailbox, before waiting for them takes its time. */
  #lookFor(kind: number, wave: number, from: readonly number[]): void {
    const { engine, group } = this.context, { localPeers } = engine;
    if (localPeers === null || !this.mayBlock || this.#error !== null) return;
    const keys = from.filter((rank) => localPeers.isNear(group[rank]))
      .map((rank) => this.#key(kind, wave, rank));
    if (keys.length === 0) return;
    localPeers.look(() => {
      if (this.#error !== null) return 0;
      let missing = 0;
      for (const key of keys) if (!this.#arrived.has(key)) missing++;
      return missing;
    });
  }

  /**
   * Offers a place for part `slot` from a member. Should be called before {@linkcode CollectiveCall.agree}, or
   * the part may be kept aside first and copied.
   */
  receive(from: number, slot: number, into: Uint8Array): Promise<Uint8Array> {
    return this.#receive(MessageKind.PART, slot, from, into);
  }

  /** Sends part `slot` to a member; resolves when `payload` may be changed. */
  send(to: number, slot: number, payload: Uint8Array): Promise<void> {
    if (this.#error !== null) return refused(this.#error);
    const frame = { kind: MessageKind.PART, sequence: this.sequence, slot };
    const sent = this.context.send(to, frame, payload, this.stats).catch((error) => {
      throw this.#error ??
        (this.context.lossOf(to) === undefined
          ? error
          : this.context.engine.peerLostError(this.context.group[to], this.operation));
    });
    sent.catch(ignore);
    return sent;
  }

  #receive(kind: number, slot: number, from: number, into?: Uint8Array): Promise<Uint8Array> {
    const key = this.#key(kind, slot, from);
    const early = this.#arrived.get(key);
    if (early !== undefined) {
      this.#arrived.delete(key);
      if (into === undefined) return Promise.resolve(early);
      into.set(early);
      return Promise.resolve(into);
    }
    if (this.#error !== null) return refused(this.#error);
    const { context } = this;
    if (context.lossOf(from) !== undefined) {
      return refused(context.engine.peerLostError(context.group[from], this.operation));
    }
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    promise.catch(ignore);
    const wait = context.engine.transport.expecting(context.group[from]);
    this.#waiters.set(key, { from, into, wait, resolve, reject });
    return promise;
  }

  /**
   * Says that this rank waits for all members, in memory, until what it returns is disposed of. A
   * member that dies or falls silent meanwhile ends the call; for one that takes its leave see
   * {@linkcode CollectiveCall.missed}.
   */
  expectingAll(): Disposable {
    const { group, rank, engine } = this.context;
    const waits = new DisposableStack();
    for (const [member, world] of group.entries()) {
      if (member !== rank) waits.use(engine.transport.expecting(world));
    }
    return waits;
  }

  /** The error for a member that has taken its leave, if one has, when it is still waited for. */
  missed(): Error | null {
    const { group, size, engine } = this.context;
    for (let member = 0; member < size; member++) {
      if (this.context.lossOf(member) === undefined) continue;
      return engine.peerLostError(group[member], this.operation);
    }
    return null;
  }

  /** Throws what the call has failed with, if it has. */
  check(): void {
    if (this.#error !== null) throw this.#error;
  }

  /** Takes in a frame of this call. */
  accept(from: number, frame: Frame, length: number): Destination {
    this.stats.bytesReceived += length;
    if (frame.kind === MessageKind.FAN_IN && frame.tag === 1) this.#emptyPlaces.add(from);
    const key = this.#key(frame.kind, frame.slot, from);
    const into = this.#waiters.get(key)?.into;
    if (into === undefined) return destination(length, (payload) => this.#arrive(key, payload));
    if (into.length !== length) {
      throw new Error(
        `${this.operation}: part ${frame.slot} from ${
          this.context.name(from)
        } has ${length} bytes, ` +
          `expected ${into.length}`,
      );
    }
    return { into, done: () => this.#arrive(key, into) };
  }

  #arrive(key: number, payload: Uint8Array): void {
    const waiter = this.#waiters.get(key);
    if (waiter === undefined) {
      this.#arrived.set(key, payload);
      return;
    }
    this.#settle(key, waiter);
    if (waiter.into !== undefined && waiter.into !== payload) waiter.into.set(payload);
    waiter.resolve(payload);
  }

  #settle(key: number, waiter: Waiter): void {
    this.#waiters.delete(key);
    waiter.wait[Symbol.dispose]();
  }

  #key(kind: number, slot: number, from: number): number {
    return (slot * this.context.size + from) * 16 + kind;
  }

  /** Ends the call on this rank. */
  fail(error: unknown): void {
    if (this.#error !== null) return;
    this.#error = error;
    for (const [key, waiter] of [...this.#waiters]) {
      this.#settle(key, waiter);
      waiter.reject(error);
    }
  }

  /** A member is gone: needed if it died, or if something is still to come from it. */
  peerLost(rank: number, loss: LostPeer): void {
    const needed = !loss.orderly || [...this.#waiters.values()].some((w) => w.from === rank);
    if (needed) {
      this.fail(this.context.engine.peerLostError(this.context.group[rank], this.operation));
    }
  }
}

const NOTHING = new Uint8Array(0);
const COMMON = 0, EACH = 1;
const ignore = () => {};

/** A promise that rejects, and may do so before anybody waits for it. */
function refused(error: unknown): Promise<never> {
  const promise = Promise.reject(error);
  promise.catch(ignore);
  return promise;
}

/** The answer behind 8 bytes that say whether it is for all ranks or holds one for each. */
function withPrefix(prefix: number, answer: Uint8Array): Uint8Array {
  const payload = new Uint8Array(8 + answer.length);
  payload[0] = prefix;
  payload.set(answer, 8);
  return payload;
}

/** R to the position of the lowest digit of `rank` that is not 0, in base R; beyond `size` for 0. */
function span(rank: number, size: number): number {
  let power = 1;
  while (power < size && rank % (power * TREE_RADIX) === 0) power *= TREE_RADIX;
  return power;
}

/** The rank with its lowest digit that is not 0 cleared. */
function parentOf(rank: number, size: number): number {
  return rank - rank % (span(rank, size) * TREE_RADIX);
}

/** Children of a rank, in the order of ranks, which is that of the sizes of their subtrees. */
function childrenOf(rank: number, size: number): number[] {
  const children = [], limit = span(rank, size);
  for (let power = 1; power < limit; power *= TREE_RADIX) {
    for (let digit = 1; digit < TREE_RADIX && rank + digit * power < size; digit++) {
      children.push(rank + digit * power);
    }
  }
  return children;
}

/** Ranks in the subtree below and including `rank`, which are those that follow it. */
function subtreeSize(rank: number, size: number): number {
  return Math.min(span(rank, size), size - rank);
}
