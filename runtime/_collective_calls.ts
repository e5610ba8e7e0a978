/**
 * The communicator's calls that all members make together. Each returns when every member has made
 * it and this rank's part is done; each has an `i…` form that returns a request instead.
 *
 * All reject with PeerLostError if a member is gone, and with MismatchError, on every member, if two
 * members did not make the same call.
 *
 * @module
 */

import { allgather, allgatherv } from "./collectives/allgather.ts";
import { allreduce, type AllreduceOptions } from "./collectives/allreduce.ts";
import { alltoall, alltoallv } from "./collectives/alltoall.ts";
import { barrier } from "./collectives/barrier.ts";
import { bcast } from "./collectives/bcast.ts";
import { gather, gatherv } from "./collectives/gather.ts";
import { reduce } from "./collectives/reduce.ts";
import { reduceScatter } from "./collectives/reduce_scatter.ts";
import { exscan, scan } from "./collectives/scan.ts";
import { scatter, scatterv } from "./collectives/scatter.ts";
import type { TypedArray } from "./base/datatypes.ts";
import { MessageCalls } from "./_message_calls.ts";
import type { Op } from "./base/ops.ts";
import { Request } from "./base/request.ts";

/** The calls that all members of a communicator make together. */
export abstract class CollectiveCalls extends MessageCalls {
  /** Returns when every member has called it. */
  barrier(): Promise<void> {
    return barrier(this.context);
  }

  /** Copies the root's `buffer` to every member, in place. */
  bcast(buffer: TypedArray, root = 0): Promise<void> {
    return bcast(this.context, buffer, root);
  }

  /**
   * Reduces the members' buffers element by element; every member gets the result, in place and with
   * the same bits. Floats are summed in the order of ranks in float64 and rounded once.
   *
   * @param op a name, a function of two elements, or what `createOp` returns
   */
  allreduce(buffer: TypedArray, op: Op = "sum", options?: AllreduceOptions): Promise<void> {
    return allreduce(this.context, buffer, op, options);
  }

  /** Reduces the members' buffers element by element; the root gets the result, in place. */
  reduce(buffer: TypedArray, op: Op = "sum", root = 0): Promise<void> {
    return reduce(this.context, buffer, op, root);
  }

  /**
   * Collects blocks of one length at the root, in the order of ranks.
   *
   * @param recv at the root, `size` times as long as `send`; elsewhere null or ignored
   */
  gather(send: TypedArray, recv: TypedArray | null, root = 0): Promise<void> {
    return gather(this.context, send, recv, root);
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
    return gatherv(this.context, send, recv, counts && { counts, displacements }, root);
  }

  /**
   * Gives every member its block of the root's `send`.
   *
   * @param send at the root, `size` times as long as `recv`; elsewhere null or ignored
   */
  scatter(send: TypedArray | null, recv: TypedArray, root = 0): Promise<void> {
    return scatter(this.context, send, recv, root);
  }

  /** Gives every member its block of the root's `send`, with counts as {@linkcode gatherv}. */
  scatterv(
    send: TypedArray | null,
    counts: readonly number[] | null,
    recv: TypedArray,
    root = 0,
    displacements?: readonly number[],
  ): Promise<void> {
    return scatterv(this.context, send, counts && { counts, displacements }, recv, root);
  }

  /** Collects blocks of one length at every member; `recv` is `size` times as long as `send`. */
  allgather(send: TypedArray, recv: TypedArray): Promise<void> {
    return allgather(this.context, send, recv);
  }

  /** Collects blocks of different lengths at every member; all pass the same counts. */
  allgatherv(
    send: TypedArray,
    recv: TypedArray,
    counts: readonly number[],
    displacements?: readonly number[],
  ): Promise<void> {
    return allgatherv(this.context, send, recv, { counts, displacements });
  }

  /** Sends the r-th block of `send` to rank r; block r of `recv` comes from rank r. */
  alltoall(send: TypedArray, recv: TypedArray): Promise<void> {
    return alltoall(this.context, send, recv);
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
      this.context,
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
    return reduceScatter(this.context, send, recv, op);
  }

  /** Rank r gets the reduction of the buffers of ranks 0 … r, in place. */
  scan(buffer: TypedArray, op: Op = "sum"): Promise<void> {
    return scan(this.context, buffer, op);
  }

  /** Rank r gets the reduction of the buffers of ranks 0 … r−1, in place; rank 0 keeps its own. */
  exscan(buffer: TypedArray, op: Op = "sum"): Promise<void> {
    return exscan(this.context, buffer, op);
  }

  /** Begins a {@linkcode barrier}. */
  ibarrier(): Request {
    return this.#begin(() => this.barrier());
  }

  /** Begins a {@linkcode bcast}. */
  ibcast(...args: Parameters<CollectiveCalls["bcast"]>): Request {
    return this.#begin(() => this.bcast(...args));
  }

  /** Begins an {@linkcode allreduce}. */
  iallreduce(...args: Parameters<CollectiveCalls["allreduce"]>): Request {
    return this.#begin(() => this.allreduce(...args));
  }

  /** Begins a {@linkcode reduce}. */
  ireduce(...args: Parameters<CollectiveCalls["reduce"]>): Request {
    return this.#begin(() => this.reduce(...args));
  }

  /** Begins a {@linkcode gather}. */
  igather(...args: Parameters<CollectiveCalls["gather"]>): Request {
    return this.#begin(() => this.gather(...args));
  }

  /** Begins a {@linkcode gatherv}. */
  igatherv(...args: Parameters<CollectiveCalls["gatherv"]>): Request {
    return this.#begin(() => this.gatherv(...args));
  }

  /** Begins a {@linkcode scatter}. */
  iscatter(...args: Parameters<CollectiveCalls["scatter"]>): Request {
    return this.#begin(() => this.scatter(...args));
  }

  /** Begins a {@linkcode scatterv}. */
  iscatterv(...args: Parameters<CollectiveCalls["scatterv"]>): Request {
    return this.#begin(() => this.scatterv(...args));
  }

  /** Begins an {@linkcode allgather}. */
  iallgather(...args: Parameters<CollectiveCalls["allgather"]>): Request {
    return this.#begin(() => this.allgather(...args));
  }

  /** Begins an {@linkcode allgatherv}. */
  iallgatherv(...args: Parameters<CollectiveCalls["allgatherv"]>): Request {
    return this.#begin(() => this.allgatherv(...args));
  }

  /** Begins an {@linkcode alltoall}. */
  ialltoall(...args: Parameters<CollectiveCalls["alltoall"]>): Request {
    return this.#begin(() => this.alltoall(...args));
  }

  /** Begins an {@linkcode alltoallv}. */
  ialltoallv(...args: Parameters<CollectiveCalls["alltoallv"]>): Request {
    return this.#begin(() => this.alltoallv(...args));
  }

  /** Begins a {@linkcode reduceScatter}. */
  ireduceScatter(...args: Parameters<CollectiveCalls["reduceScatter"]>): Request {
    return this.#begin(() => this.reduceScatter(...args));
  }

  /** Begins a {@linkcode scan}. */
  iscan(...args: Parameters<CollectiveCalls["scan"]>): Request {
    return this.#begin(() => this.scan(...args));
  }

  /** Begins an {@linkcode exscan}. */
  iexscan(...args: Parameters<CollectiveCalls["exscan"]>): Request {
    return this.#begin(() => this.exscan(...args));
  }

  #begin(call: () => Promise<void>): Request {
    return new Request(this.context.inBackground(call));
  }
}
