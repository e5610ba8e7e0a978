/**
 * The inside of a communicator: a group of ranks, a number that keeps its traffic apart, its
 * messages and its collective calls.
 *
 * @module
 */

import { ClosedError, MismatchError, type PeerLostError, RevokedError } from "../base/errors.ts";
import { Stats } from "../base/stats.ts";
import type { WorkspacePool } from "../reduction/workspace.ts";
import type { LocalPeers } from "../shared_memory/local_peers.ts";
import { CollectiveCall } from "./call.ts";
import { deliverWhole, type Destination, EarlyFrames, keptAside } from "./destination.ts";
import type { Engine, FrameReceiver } from "./engine.ts";
import type { CollectiveGroup } from "./group.ts";
import { type Hosts, hostsOf } from "../base/hosts.ts";
import {
  type CallFrame,
  type ContextFrame,
  encodeMismatch,
  encodeRevoked,
  MessageKind,
} from "./header.ts";
import type { LostPeer } from "./lost_peers.ts";
import { PointToPoint } from "./point_to_point.ts";
import { Agreements } from "./recovery/agreements.ts";
import { Tree } from "./tree.ts";
import { describeMismatch, type Signature } from "./signature.ts";
import { platform } from "../base/platform.ts";

/** A group of ranks with traffic of its own. */
export class Context implements CollectiveGroup, FrameReceiver {
  readonly engine: Engine;
  readonly id: number;
  readonly members: readonly number[];
  readonly rank: number;
  readonly size: number;
  readonly stats: Stats = new Stats();
  readonly localPeers: LocalPeers;
  /** The messages between two members. */
  readonly messages: PointToPoint;
  /** What members agree on whoever is lost. */
  readonly agreements: Agreements;

  readonly #ranks: ReadonlyMap<number, number>;
  readonly #calls = new Map<number, CollectiveCall>();
  readonly #early = new EarlyFrames<CallFrame>();
  #sequence = 0;
  #inBackground = false;
  #failure: Error | null = null;
  #isRevoked = false;
  #isFreed = false;
  #acknowledged: readonly number[] = [];
  #hosts: Hosts | null = null;
  #tree: Tree | null = null;

  /**
   * @param members ranks of the job, this one among them
   * @param localPeers which of them share memory
   */
  constructor(
    engine: Engine,
    id: number,
    members: readonly number[],
    localPeers: LocalPeers = engine.localPeers,
  ) {
    this.engine = engine;
    this.localPeers = localPeers;
    this.id = id;
    this.members = members;
    this.size = members.length;
    this.#ranks = new Map(members.map((world, rank) => [world, rank]));
    this.rank = this.#ranks.get(engine.transport.rank)!;
    this.messages = new PointToPoint(this);
    this.agreements = new Agreements(this);
    engine.attach(this);
  }

  get failure(): Error | null {
    return this.#failure;
  }

  get activeCalls(): number {
    return this.engine.activeCalls;
  }

  get hosts(): Hosts {
    this.#hosts ??= hostsOf(this.members, this.engine.transport);
    return this.#hosts;
  }

  get tree(): Tree {
    this.#tree ??= new Tree(this.hosts);
    return this.#tree;
  }

  get workspaces(): WorkspacePool {
    return this.engine.workspaces;
  }

  name(rank: number): string {
    return this.members[rank] === rank
      ? `rank ${rank}`
      : `rank ${rank} (${this.members[rank]} of the job)`;
  }

  send(rank: number, header: Uint8Array, payload?: Uint8Array): Promise<void> {
    return this.engine.transport.send(this.members[rank], header, payload);
  }

  expecting(rank: number): Disposable {
    return this.engine.transport.expecting(this.members[rank]);
  }

  lossOf(rank: number): LostPeer | undefined {
    return this.engine.lostPeers.get(this.members[rank]);
  }

  lostError(rank: number, operation: string, agreed?: number): PeerLostError {
    return this.engine.lostPeers.error(this.members[rank], operation, agreed);
  }

  /** Members are lost, as others say. */
  noteLost(ranks: readonly number[], words: string): void {
    for (const rank of ranks) this.engine.lostPeers.add(this.members[rank], words);
  }

  /** Whether a member has revoked the communicator. */
  get isRevoked(): boolean {
    return this.#isRevoked;
  }

  /** Members that are known to be gone, in the order in which they were lost. */
  get failed(): number[] {
    const ranks: number[] = [];
    for (const world of this.engine.lostPeers.ranks()) {
      const rank = this.#ranks.get(world);
      if (rank !== undefined && rank !== this.rank) ranks.push(rank);
    }
    return ranks;
  }

  /** Those of {@linkcode Context.failed} that the program has said it knows of. */
  get acknowledged(): readonly number[] {
    return this.#acknowledged;
  }

  /** The program knows of the first so many members that are lost. Returns how many it knows of. */
  acknowledge(count: number): number {
    if (count > this.#acknowledged.length) this.#acknowledged = this.failed.slice(0, count);
    return this.#acknowledged.length;
  }

  pending(): string[] {
    return [
      ...this.agreements.pending(),
      ...[...this.#calls.values()].map(({ operation }) => operation),
      ...this.messages.pending(),
    ];
  }

  /** Begins calls in whose course the program goes on: they must not put the process to sleep. */
  inBackground<T>(begin: () => Promise<T>): Promise<T> {
    this.#inBackground = true;
    try {
      return begin();
    } finally {
      this.#inBackground = false;
    }
  }

  /**
   * Runs one collective call on this rank; its place in the order of calls is taken at once.
   *
   * The job's first call is also where its ranks find out who shares memory with whom, so that a
   * program without collectives takes none. All calls wait for that, since all members must know
   * the same.
   *
   * A call that fails after it has begun ends this rank's use of shared memory for the rest of the
   * job, whatever communicator it is on and whether or not the program catches the error: some of
   * its frames may still be on their way. Sockets do the work from then on, with the same results.
   */
  async collective<T>(
    signature: Signature,
    body: (call: CollectiveCall) => Promise<T>,
  ): Promise<T> {
    const call = new CollectiveCall(this, this.#sequence++, signature, this.#inBackground);
    const start = platform.now();
    const { engine, localPeers } = this;
    call.stats.calls++;
    engine.beginCall();
    let begun = false;
    try {
      if (this.#failure !== null) throw this.#failure;
      for (const world of engine.lostPeers.ranks()) {
        if (this.#ranks.has(world)) throw engine.lostPeers.error(world, call.operation);
      }
      begun = true;
      this.#calls.set(call.sequence, call);
      for (const { from, frame, payload } of this.#early.take(call.sequence)) {
        deliverWhole(this.#deliver(call, from, frame, payload.length), payload);
      }
      if (!localPeers.discovered) await localPeers.discover((mine) => call.exchangeAll(mine));
      return await body(call);
    } catch (error) {
      if (begun) localPeers.disable();
      throw error;
    } finally {
      engine.endCall();
      this.#calls.delete(call.sequence);
      call.stats.seconds += (platform.now() - start) / 1e3;
    }
  }

  accept(world: number, frame: ContextFrame, length: number): Destination {
    const from = this.#ranks.get(world);
    if (from === undefined) throw new Error(`rank ${world} is no member of context ${this.id}`);
    if (this.#isFreed && frame.kind !== MessageKind.AGREEMENT) return keptAside(length, () => {});
    switch (frame.kind) {
      case MessageKind.FAN_IN:
      case MessageKind.FAN_OUT:
      case MessageKind.SEGMENT: {
        const call = this.#calls.get(frame.call);
        if (call !== undefined) return this.#deliver(call, from, frame, length);
        return keptAside(length, (payload) => this.#keep(from, frame, payload));
      }
      case MessageKind.MISMATCH:
        return keptAside(length, (payload) => {
          this.fail(new MismatchError(new TextDecoder().decode(payload)));
        });
      case MessageKind.REVOKED:
        return keptAside(length, (payload) => this.revoke(new TextDecoder().decode(payload)));
      case MessageKind.AGREEMENT:
        return this.agreements.accept(from, frame, length);
      default:
        return this.messages.accept(from, frame, length);
    }
  }

  /** A frame of a call that this rank had not made when it began to arrive. */
  #keep(from: number, frame: CallFrame, payload: Uint8Array): void {
    const call = this.#calls.get(frame.call);
    if (call !== undefined) {
      deliverWhole(this.#deliver(call, from, frame, payload.length), payload);
    } else if (frame.call >= this.#sequence) {
      this.#early.keep(frame.call, { from, frame, payload });
    } // else: a call that has failed here
  }

  #deliver(call: CollectiveCall, from: number, frame: CallFrame, length: number): Destination {
    if (frame.kind === MessageKind.FAN_IN && frame.exchange === 0) {
      const text = describeMismatch(call, from, frame);
      if (text !== null) this.mismatch(text);
    }
    return call.accept(from, frame, length);
  }

  /** Ends the communicator on every member, because two of them disagree. */
  mismatch(text: string): void {
    if (this.#failure !== null) return;
    this.#tellAll(encodeMismatch({ context: this.id }), text);
    this.fail(new MismatchError(text));
  }

  /**
   * Ends the communicator on every member but for agreements (MPI_Comm_revoke). Each member tells all
   * others, so that all hear of it though the first may be lost: N(N−1) frames.
   *
   * @param text why
   */
  revoke(text: string): void {
    if (this.#isRevoked) return;
    this.#isRevoked = true;
    this.#tellAll(encodeRevoked({ context: this.id }), text);
    this.fail(new RevokedError(text));
  }

  #tellAll(header: Uint8Array, text: string): void {
    const payload = new TextEncoder().encode(text);
    for (let rank = 0; rank < this.size; rank++) {
      if (rank !== this.rank) this.send(rank, header, payload).catch(() => {});
    }
  }

  /** Ends the communicator on this rank: all that is pending rejects, and so does all that follows. */
  fail(error: Error): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    for (const call of this.#calls.values()) call.fail(error);
    this.messages.fail(error);
  }

  /** Ends the use of this communicator on this rank, if not the whole engine's. */
  free(reason: string, endsEngine = false): void {
    this.fail(new ClosedError(`cannot go on: ${reason}`));
    if (this.#isFreed) return;
    this.#isFreed = true;
    // Who has taken part in an agreement may be the only one left to know what was decided.
    if (this.agreements.isEmpty) this.engine.detach(this);
    else if (!endsEngine) this.agreements.leave(() => this.engine.detach(this));
  }

  peerLost(world: number, loss: LostPeer): void {
    const rank = this.#ranks.get(world);
    if (rank === undefined || rank === this.rank) return;
    for (const call of this.#calls.values()) call.peerLost(rank, loss);
    this.messages.peerLost(rank);
    this.agreements.peerLost(rank);
  }
}
