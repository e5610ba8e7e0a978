/**
 * The inside of a communicator: a group of ranks, a number that keeps its traffic apart, its
 * messages and its collective calls.
 *
 * @module
 */

import { CollectiveCall, type Signature } from "./call.ts";
import { describeMismatch } from "./signature.ts";
import {
  type Destination,
  destination,
  type EarlyFrame,
  type Engine,
  type LostPeer,
} from "./engine.ts";
import { ClosedError, MismatchError } from "../base/errors.ts";
import { encodeFrame, type Frame, MessageKind } from "./header.ts";
import { LocalPeers } from "../shared_memory/local_peers.ts";
import { PointToPoint } from "./point_to_point.ts";
import { type OperationStats, Stats } from "../base/stats.ts";

/** A group of ranks with traffic of its own. */
export class Context {
  readonly engine: Engine;
  /** Number that every frame of this communicator carries. */
  readonly id: number;
  /** The job's rank of each member, in the order of the members' ranks. */
  readonly group: readonly number[];
  /** This process's rank among the members. */
  readonly rank: number;
  readonly size: number;
  readonly messages: PointToPoint;
  readonly stats: Stats = new Stats();
  /** Stretches that this communicator's members have put up on the board; the same on all of them. */
  shown = 0;
  /** Settles when the last call that makes another communicator of this one is over. */
  derived: Promise<unknown> = Promise.resolve();
  /** Why the communicator cannot be used any more, or null. */
  failure: Error | null = null;

  readonly #members: Map<number, number>;
  readonly #calls = new Map<number, CollectiveCall>();
  readonly #early = new Map<number, EarlyFrame[]>();
  #sequence = 0;
  #background = false;

  constructor(engine: Engine, id: number, group: readonly number[]) {
    this.engine = engine;
    this.id = id;
    this.group = group;
    this.size = group.length;
    this.#members = new Map(group.map((world, rank) => [world, rank]));
    this.rank = this.#members.get(engine.transport.rank)!;
    this.messages = new PointToPoint(this);
    engine.attach(this);
  }

  /** A member in words; says its rank in the job where that is another. */
  name(rank: number): string {
    return this.group[rank] === rank
      ? `rank ${rank}`
      : `rank ${rank} (${this.group[rank]} of the job)`;
  }

  /** Sends one frame to a member and counts its payload. */
  send(
    rank: number,
    fields: Partial<Frame> & { kind: number },
    payload?: Uint8Array,
    stats?: OperationStats,
  ): Promise<void> {
    if (stats !== undefined && payload !== undefined) stats.bytesSent += payload.length;
    fields.context = this.id;
    return this.engine.transport.send(this.group[rank], encodeFrame(fields), payload);
  }

  /** Whether a member is gone, and how. */
  lossOf(rank: number): LostPeer | undefined {
    return this.engine.lostPeers.get(this.group[rank]);
  }

  /** Begins calls in whose course the program goes on: they must not put the process to sleep. */
  inBackground<T>(begin: () => Promise<T>): Promise<T> {
    this.#background = true;
    try {
      return begin();
    } finally {
      this.#background = false;
    }
  }

  /**
   * Runs one collective call on this rank; its place in the order of calls is taken at once. One that
   * fails after it has begun ends this rank's use of shared memory for the rest of the job, whatever
   * communicator it is on and whether or not the program catches the error: some of its frames may still
   * be on their way. Sockets do the work from then on, with the same results.
   */
  async collective<T>(
    signature: Signature,
    body: (call: CollectiveCall) => Promise<T>,
  ): Promise<T> {
    const call = new CollectiveCall(this, this.#sequence++, signature, this.#background);
    const start = performance.now();
    const { engine } = this;
    call.stats.calls++;
    engine.activeCalls++;
    let begun = false;
    try {
      if (this.failure !== null) throw this.failure;
      for (const world of engine.lostPeers.keys()) {
        if (this.#members.has(world)) throw engine.peerLostError(world, call.operation);
      }
      begun = true;
      this.#calls.set(call.sequence, call);
      const early = this.#early.get(call.sequence);
      if (early !== undefined) this.#deliverEarly(call, early);
      if (engine.discovery === undefined) await this.#meet(call);
      return await body(call);
    } catch (error) {
      if (begun) engine.localPeers?.disable();
      throw error;
    } finally {
      engine.activeCalls--;
      this.#calls.delete(call.sequence);
      call.stats.seconds += (performance.now() - start) / 1e3;
    }
  }

  /** The job's first collective is also where its ranks find out who shares a host. */
  async #meet(call: CollectiveCall): Promise<void> {
    const { engine } = this, met = LocalPeers.meet(call);
    engine.discovery = met.then((neighbours) => {
      engine.localPeers = neighbours;
    });
    await engine.discovery;
  }

  #deliverEarly(call: CollectiveCall, early: EarlyFrame[]): void {
    this.#early.delete(call.sequence);
    for (const { from, frame, payload } of early) {
      const place = this.#deliver(call, from, frame, payload.length);
      place.into.set(payload);
      place.done();
    }
  }

  /** Takes in a frame from the member whose rank in the job is `world`. */
  accept(world: number, frame: Frame, length: number): Destination {
    const from = this.#members.get(world);
    if (from === undefined) throw new Error(`rank ${world} is no member of context ${this.id}`);
    switch (frame.kind) {
      case MessageKind.FAN_IN:
      case MessageKind.FAN_OUT:
      case MessageKind.PART: {
        const call = this.#calls.get(frame.sequence);
        if (call !== undefined) return this.#deliver(call, from, frame, length);
        return destination(length, (payload) => this.#keep(from, frame, payload));
      }
      case MessageKind.MISMATCH:
        return destination(length, (payload) => {
          this.fail(new MismatchError(new TextDecoder().decode(payload)));
        });
      default:
        return this.messages.accept(from, frame, length);
    }
  }

  #keep(from: number, frame: Frame, payload: Uint8Array): void {
    const call = this.#calls.get(frame.sequence);
    if (call !== undefined) {
      const place = this.#deliver(call, from, frame, payload.length);
      place.into.set(payload);
      place.done();
    } else if (frame.sequence >= this.#sequence) {
      const early = this.#early.get(frame.sequence) ?? [];
      early.push({ from, frame, payload });
      this.#early.set(frame.sequence, early);
    } // else: a call that has failed here
  }

  #deliver(call: CollectiveCall, from: number, frame: Frame, length: number): Destination {
    if (frame.kind === MessageKind.FAN_IN && frame.slot === 0) {
      const text = describeMismatch(call, from, frame);
      if (text !== null) this.mismatch(text);
    }
    return call.accept(from, frame, length);
  }

  /** Ends the communicator on every member, because two of them disagree. */
  mismatch(text: string): void {
    if (this.failure !== null) return;
    const payload = new TextEncoder().encode(text);
    for (let rank = 0; rank < this.size; rank++) {
      if (rank !== this.rank) {
        this.send(rank, { kind: MessageKind.MISMATCH }, payload).catch(() => {});
      }
    }
    this.fail(new MismatchError(text));
  }

  /** Ends the communicator on this rank: all that is pending rejects, and so does all that follows. */
  fail(error: Error): void {
    if (this.failure !== null) return;
    this.failure = error;
    for (const call of this.#calls.values()) call.fail(error);
    this.messages.fail(error);
  }

  /** Ends the use of this communicator on this rank. */
  free(reason: string): void {
    this.fail(new ClosedError(`cannot go on: ${reason}`));
    this.engine.detach(this);
  }

  /** A rank of the job is gone. */
  peerLost(world: number, loss: LostPeer): void {
    const rank = this.#members.get(world);
    if (rank === undefined || rank === this.rank) return;
    for (const call of this.#calls.values()) call.peerLost(rank, loss);
    this.messages.peerLost(rank);
  }
}
