/**
 * The communicator: a group of ranks that exchange typed arrays, with the calls of MPI under the names
 * of mpi4py.
 *
 * @module
 */

import { allreduce } from "./collectives/allreduce.ts";
import { barrier } from "./collectives/barrier.ts";
import { bcast } from "./collectives/bcast.ts";
import { gather } from "./collectives/gather.ts";
import { Context } from "./context.ts";
import type { TypedArray } from "./datatypes.ts";
import { Engine } from "./engine.ts";
import type { Op } from "./ops.ts";
import type { OperationStats } from "./stats.ts";
import { ANY_SOURCE, ANY_TAG, type Status } from "./status.ts";
import type { Transport } from "./transport.ts";

/** A group of ranks that exchange typed arrays. */
export class Communicator implements AsyncDisposable {
  readonly #context: Context;

  /** Made by `init()`, {@linkcode Communicator.split} and {@linkcode Communicator.dup}. */
  constructor(wire: Transport | Context) {
    if (wire instanceof Context) this.#context = wire;
    else {
      const group = Array.from({ length: wire.size }, (_, rank) => rank);
      this.#context = new Context(new Engine(wire), 0, group);
    }
  }

  /** This process's rank, 0 ≤ rank < size. */
  get rank(): number {
    return this.#context.rank;
  }

  /** Number of ranks. */
  get size(): number {
    return this.#context.size;
  }

  /** The caller's training step, named in errors; null if there is none. */
  get step(): number | null {
    return this.#context.engine.step;
  }
  set step(step: number | null) {
    this.#context.engine.step = step;
  }

  send(buffer: TypedArray, dest: number, tag = 0): Promise<void> {
    return this.#context.stats.time("send", this.#context.messages.send(buffer, dest, tag));
  }

  recv(buffer: TypedArray, source = ANY_SOURCE, tag = ANY_TAG): Promise<Status> {
    return this.#context.stats.time("recv", this.#context.messages.receive(buffer, source, tag));
  }

  barrier(): Promise<void> {
    return barrier(this.#context);
  }

  bcast(buffer: TypedArray, root = 0): Promise<void> {
    return bcast(this.#context, buffer, root);
  }

  allreduce(buffer: TypedArray, op: Op = "sum"): Promise<void> {
    return allreduce(this.#context, buffer, op);
  }

  gather(send: TypedArray, recv: TypedArray | null, root = 0): Promise<void> {
    return gather(this.#context, send, recv, root);
  }

  stats(): Record<string, OperationStats> {
    return this.#context.stats.snapshot();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await barrier(this.#context);
    await this.#context.engine.transport.close();
  }
}
