/**
 * The communicator: a group of ranks that exchange typed arrays, with the calls of MPI under the names
 * of mpi4py.
 *
 * @module
 */

import type { TypedArray } from "./base/datatypes.ts";
import type { Op } from "./base/ops.ts";
import { Request } from "./base/request.ts";
import type { OperationStats } from "./base/stats.ts";
import { ANY_SOURCE, ANY_TAG, type Status } from "./base/status.ts";
import { allgather, allgatherv } from "./collectives/allgather.ts";
import { allreduce, type AllreduceArguments } from "./collectives/allreduce.ts";
import { alltoall, alltoallv } from "./collectives/alltoall.ts";
import { barrier } from "./collectives/barrier.ts";
import { bcast } from "./collectives/bcast.ts";
import { gather, gatherv } from "./collectives/gather.ts";
import { reduce } from "./collectives/reduce.ts";
import { reduceScatter } from "./collectives/reduce_scatter.ts";
import { exscan, scan } from "./collectives/scan.ts";
import { scatter, scatterv } from "./collectives/scatter.ts";
import { dup, split } from "./collectives/split.ts";
import { Context } from "./engine/context.ts";
import { Engine } from "./engine/engine.ts";
import { FailureCalls } from "./failures/failure_calls.ts";
import { LocalPeers } from "./shared_memory/local_peers.ts";
import { type Network, networkOf, type Traffic, type Transport } from "./transport/transport.ts";

let create: (context: Context, isWorld: boolean) => Communicator;

/**
 * The communicator of all ranks of a job, over the transport that connects them; what `init()` returns.
 *
 * @param transport is the communicator's to close
 */
export function worldCommunicator(transport: Transport): Communicator {
  const all = Array.from({ length: transport.size }, (_, rank) => rank);
  const { context = 0, members = all } = transport.membership ?? {};
  const peers = transport.membership && LocalPeers.none();
  return create(new Context(new Engine(transport), context, members, peers), true);
}

/**
 * A group of ranks that exchange typed arrays. `init()` returns that of the whole job, from which
 * {@linkcode Communicator.split} and {@linkcode Communicator.dup} make others.
 *
 * Collective calls (from {@linkcode Communicator.barrier} to {@linkcode Communicator.exscan}) are
 * made by all members in the same order; each returns when every member has made it and this rank's
 * part is done. A call is placed in that order when it is made, not when it is awaited, and several
 * may go on at once. They reject with PeerLostError if a member is gone, and with MismatchError, on
 * every member, if two members did not make the same call. Each has an `i…` form that returns a
 * request instead.
 *
 * Where a call has a `send` and a `recv`, they may overlap: what would change before it has gone out is
 * copied first, and a block that stays where it is costs nothing (MPI_IN_PLACE).
 *
 * @example
 * ```ts ignore
 * import { init } from "./bootstrap/init.ts";
 * await using comm = await init();
 * const mean = new Float32Array(1000).fill(comm.rank);
 * await comm.allreduce(mean, "sum");
 * ```
 */
export class Communicator extends FailureCalls<Communicator> implements AsyncDisposable {
  readonly #context: Context;
  readonly #isWorld: boolean;

  static {
    create = (context, isWorld) => new Communicator(context, isWorld);
  }

  private constructor(context: Context, isWorld: boolean) {
    super(context, (derived) => new Communicator(derived, false));
    this.#context = context;
    this.#isWorld = isWorld;
  }

  /** This process's rank, 0 ≤ rank < size. */
  get rank(): number {
    return this.#context.rank;
  }

  /** Number of ranks. */
  get size(): number {
    return this.#context.size;
  }

  /**
   * The step that the program is at, by its own count; null if it has none. It is named in errors and
   * in the launcher's report of a failure. One for all communicators of this rank.
   */
  get step(): number | null {
    return this.#context.engine.lostPeers.step;
  }
  set step(step: number | null) {
    this.#context.engine.lostPeers.reachStep(step);
  }

  /**
   * Sends a message. Returns when `buffer` may be changed, which for more than 64 KiB is not before the
   * receiver has asked for it.
   *
   * @param tag a number from 0 to 2³¹ − 1 by which the receiver tells messages apart
   * @throws PeerLostError if the receiver is gone; RangeError if the message has 2³² bytes or more
   */
  send(buffer: TypedArray, dest: number, tag = 0): Promise<void> {
    return this.#context.messages.send(buffer, dest, tag);
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
    return this.#context.messages.receive(buffer, source, tag);
  }

  /**
   * Sends one message while it receives another. The buffers may overlap: what is sent is then copied
   * first (MPI_Sendrecv_replace). If the send fails, the receive is taken back, or awaited if its
   * message is already coming in.
   */
  sendrecv(
    sendBuffer: TypedArray,
    dest: number,
    recvBuffer: TypedArray,
    source = ANY_SOURCE,
    sendTag = 0,
    recvTag = ANY_TAG,
  ): Promise<Status> {
    const { messages } = this.#context;
    return messages.sendReceive(sendBuffer, dest, sendTag, recvBuffer, source, recvTag);
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
    return this.#context.messages.probe(source, tag);
  }

  /**
   * Looks whether a message is there; if not, returns null after one turn of the event loop.
   *
   * @throws PeerLostError if the rank that it has to come from has died
   */
  iprobe(source = ANY_SOURCE, tag = ANY_TAG): Promise<Status | null> {
    return this.#context.messages.iprobe(source, tag);
  }

  /** Returns when every member has called it. */
  barrier(): Promise<void> {
    return barrier(this.#context);
  }

  /** Copies the root's `buffer` to every member, in place. */
  bcast(buffer: TypedArray, root = 0): Promise<void> {
    return bcast(this.#context, buffer, root);
  }

  /**
   * Reduces the members' buffers element by element; every member gets the result, in place and with
   * the same bits. Floats are summed in the order of ranks in float64 and rounded once.
   *
   * Its arguments are `buffer`, `op` and `options`. The buffer may be `EncodedNumbers`, which lie elsewhere, such as
   * on a GPU. The op is a name, a function of two elements, or what `createOp` returns; or all options, such as
   * `{ op: "sum", compress: "int8", residual }`, which sends a quarter of the bytes.
   */
  allreduce(...args: AllreduceArguments): Promise<void> {
    return allreduce(this.#context, ...args);
  }

  /** Reduces the members' buffers element by element; the root gets the result, in place. */
  reduce(buffer: TypedArray, op: Op = "sum", root = 0): Promise<void> {
    return reduce(this.#context, buffer, op, root);
  }

  /**
   * Collects blocks of one length at the root, in the order of ranks.
   *
   * @param recv at the root, `size` times as long as `send`; elsewhere null or ignored
   */
  gather(send: TypedArray, recv: TypedArray | null, root = 0): Promise<void> {
    return gather(this.#context, send, recv, root);
  }

  /**
   * Collects blocks of different lengths at the root.
   *
   * @param counts at the root, elements from each rank; elsewhere null or ignored
   * @param displacements where each block starts in `recv`; without it they follow one another
   */
  gatherv(
    send: TypedArray,
    recv: TypedArray | null,
    counts: readonly number[] | null,
    root = 0,
    displacements?: readonly number[],
  ): Promise<void> {
    return gatherv(this.#context, send, recv, counts && { counts, displacements }, root);
  }

  /**
   * Gives every member its block of the root's `send`.
   *
   * @param send at the root, `size` times as long as `recv`; elsewhere null or ignored
   */
  scatter(send: TypedArray | null, recv: TypedArray, root = 0): Promise<void> {
    return scatter(this.#context, send, recv, root);
  }

  /** Gives every member its block of the root's `send`, with counts as {@linkcode gatherv}. */
  scatterv(
    send: TypedArray | null,
    counts: readonly number[] | null,
    recv: TypedArray,
    root = 0,
    displacements?: readonly number[],
  ): Promise<void> {
    return scatterv(this.#context, send, counts && { counts, displacements }, recv, root);
  }

  /** Collects blocks of one length at every member; `recv` is `size` times as long as `send`. */
  allgather(send: TypedArray, recv: TypedArray): Promise<void> {
    return allgather(this.#context, send, recv);
  }

  /** Collects blocks of different lengths at every member; all pass the same counts. */
  allgatherv(
    send: TypedArray,
    recv: TypedArray,
    counts: readonly number[],
    displacements?: readonly number[],
  ): Promise<void> {
    return allgatherv(this.#context, send, recv, { counts, displacements });
  }

  /** Sends the r-th block of `send` to rank r; block r of `recv` comes from rank r. */
  alltoall(send: TypedArray, recv: TypedArray): Promise<void> {
    return alltoall(this.#context, send, recv);
  }

  /** As {@linkcode alltoall} with a length for each block; what one sends the other must expect. */
  alltoallv(
    send: TypedArray,
    sendCounts: readonly number[],
    recv: TypedArray,
    recvCounts: readonly number[],
    sendDisplacements?: readonly number[],
    recvDisplacements?: readonly number[],
  ): Promise<void> {
    return alltoallv(
      this.#context,
      send,
      { counts: sendCounts, displacements: sendDisplacements },
      recv,
      { counts: recvCounts, displacements: recvDisplacements },
    );
  }

  /**
   * Reduces the members' `send` and gives every member its block of the result. Blocks may differ in
   * length; the members' `recv` together are as long as `send`.
   */
  reduceScatter(send: TypedArray, recv: TypedArray, op: Op = "sum"): Promise<void> {
    return reduceScatter(this.#context, send, recv, op);
  }

  /** Rank r gets the reduction of the buffers of ranks 0 … r, in place. */
  scan(buffer: TypedArray, op: Op = "sum"): Promise<void> {
    return scan(this.#context, buffer, op);
  }

  /** Rank r gets the reduction of the buffers of ranks 0 … r−1, in place; rank 0 keeps its own. */
  exscan(buffer: TypedArray, op: Op = "sum"): Promise<void> {
    return exscan(this.#context, buffer, op);
  }

  /** Begins a {@linkcode barrier}. */
  ibarrier(): Request {
    return this.#begin(() => this.barrier());
  }

  /** Begins a {@linkcode bcast}. */
  ibcast(...args: Parameters<Communicator["bcast"]>): Request {
    return this.#begin(() => this.bcast(...args));
  }

  /** Begins an {@linkcode allreduce}. */
  iallreduce(...args: Parameters<Communicator["allreduce"]>): Request {
    return this.#begin(() => this.allreduce(...args));
  }

  /** Begins a {@linkcode reduce}. */
  ireduce(...args: Parameters<Communicator["reduce"]>): Request {
    return this.#begin(() => this.reduce(...args));
  }

  /** Begins a {@linkcode gather}. */
  igather(...args: Parameters<Communicator["gather"]>): Request {
    return this.#begin(() => this.gather(...args));
  }

  /** Begins a {@linkcode gatherv}. */
  igatherv(...args: Parameters<Communicator["gatherv"]>): Request {
    return this.#begin(() => this.gatherv(...args));
  }

  /** Begins a {@linkcode scatter}. */
  iscatter(...args: Parameters<Communicator["scatter"]>): Request {
    return this.#begin(() => this.scatter(...args));
  }

  /** Begins a {@linkcode scatterv}. */
  iscatterv(...args: Parameters<Communicator["scatterv"]>): Request {
    return this.#begin(() => this.scatterv(...args));
  }

  /** Begins an {@linkcode allgather}. */
  iallgather(...args: Parameters<Communicator["allgather"]>): Request {
    return this.#begin(() => this.allgather(...args));
  }

  /** Begins an {@linkcode allgatherv}. */
  iallgatherv(...args: Parameters<Communicator["allgatherv"]>): Request {
    return this.#begin(() => this.allgatherv(...args));
  }

  /** Begins an {@linkcode alltoall}. */
  ialltoall(...args: Parameters<Communicator["alltoall"]>): Request {
    return this.#begin(() => this.alltoall(...args));
  }

  /** Begins an {@linkcode alltoallv}. */
  ialltoallv(...args: Parameters<Communicator["alltoallv"]>): Request {
    return this.#begin(() => this.alltoallv(...args));
  }

  /** Begins a {@linkcode reduceScatter}. */
  ireduceScatter(...args: Parameters<Communicator["reduceScatter"]>): Request {
    return this.#begin(() => this.reduceScatter(...args));
  }

  /** Begins a {@linkcode scan}. */
  iscan(...args: Parameters<Communicator["scan"]>): Request {
    return this.#begin(() => this.scan(...args));
  }

  /** Begins an {@linkcode exscan}. */
  iexscan(...args: Parameters<Communicator["exscan"]>): Request {
    return this.#begin(() => this.exscan(...args));
  }

  #begin(call: () => Promise<void>): Request {
    return new Request(this.#context.inBackground(call));
  }

  /**
   * Divides the members into communicators, one for each color.
   *
   * Several calls of `split` and `dup` may go on at once, on one communicator, where all members make them in one
   * order, and on different ones.
   *
   * @param color a non-negative integer, or null to be left out
   * @param key orders the ranks of the new communicator; equal keys keep the order of this one
   * @returns the communicator of this rank's color, or null
   */
  async split(color: number | null, key = 0): Promise<Communicator | null> {
    const context = await split(this.#context, color, key);
    return context === null ? null : new Communicator(context, false);
  }

  /**
   * The members on this rank's host, which no network is between, in their order here; as
   * MPI_Comm_split_type with MPI_COMM_TYPE_SHARED does (MPI 4.1, section 7.4.2). A rank all
   * of whose frames have to go its transport's way is alone: behind a link that is shaped, or with
   * `--transport tcp` or `unix`, which stand for a network.
   */
  async splitHost(): Promise<Communicator> {
    const { members, rank, engine: { transport } } = this.#context;
    const hosts = members.map((member) => transport.hosts[member]);
    const color = transport.bypassesSharedMemory ? this.size + rank : hosts.indexOf(hosts[rank]);
    return (await this.split(color, rank))!;
  }

  /** A communicator of the same members whose traffic never meets that of this one. */
  async dup(): Promise<Communicator> {
    return new Communicator(await dup(this.#context), false);
  }

  /**
   * Ends the use of a derived communicator on this rank. What is still pending on it rejects. The
   * one that `init()` made is closed instead.
   */
  free(): void {
    if (this.#isWorld) {
      throw new TypeError("cannot free the communicator of the whole job: close it");
    }
    this.#context.free("the communicator has been freed");
  }

  /** Ends the whole job on every rank, with this exit code (MPI_Abort). Does not return. */
  abort(code = 1, message = `rank ${this.rank} called abort(${code})`): Promise<never> {
    return this.#context.engine.transport.abort(code, message);
  }

  /**
   * Leaves the job: says goodbye to all ranks once they have read everything sent to them. Ranks that
   * still need this one get a PeerLostError. A derived communicator is freed.
   */
  async close(): Promise<void> {
    this.#context.free("the communicator has been closed", this.#isWorld);
    if (this.#isWorld) await this.#context.engine.transport.close();
  }

  /** As {@linkcode Communicator.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What has been done on this communicator so far, for each operation. */
  stats(): Record<string, OperationStats> {
    return this.#context.stats.snapshot();
  }

  /** Bytes this process has moved over the wire on all communicators, headers included. */
  get traffic(): Traffic {
    return this.#context.engine.transport.traffic;
  }

  /** Where the members are, what carries frames to them, and the bytes that left this host. */
  get network(): Network {
    const { members, engine: { transport } } = this.#context;
    return networkOf(transport, members);
  }
}
