/**
 * The communicator: a group of ranks that exchange typed arrays, with the calls of MPI under the names
 * of mpi4py.
 *
 * @module
 */

import { CollectiveCalls } from "./_collective_calls.ts";
import { dup, split } from "./collectives/split.ts";
import { Context } from "./engine/context.ts";
import { Engine } from "./engine/engine.ts";
import type { OperationStats } from "./base/stats.ts";
import type { Transport } from "./transport/transport.ts";

/**
 * A group of ranks that exchange typed arrays.
 *
 * Members make collective calls in the same order. A call is placed in that order when it is made, not
 * when it is awaited, and several may go on at once.
 *
 * @example
 * ```ts ignore
 * import { init } from "./bootstrap/init.ts";
 * await using comm = await init();
 * const mean = new Float32Array(1000).fill(comm.rank);
 * await comm.allreduce(mean, "sum");
 * ```
 */
export class Communicator extends CollectiveCalls implements AsyncDisposable {
  readonly #isWorld: boolean;

  /** Made by `init()`, {@linkcode Communicator.split} and {@linkcode Communicator.dup}. */
  constructor(wire: Transport | Context) {
    super(wire instanceof Context ? wire : worldOf(wire));
    this.#isWorld = !(wire instanceof Context);
  }

  /** The caller's training step, named in errors; null if there is none. Shared by derived ones. */
  get step(): number | null {
    return this.context.engine.lostPeers.step;
  }
  set step(step: number | null) {
    this.context.engine.lostPeers.reachStep(step);
  }

  /**
   * Divides the members into communicators, one for each color.
   *
   * Calls of `split` and `dup` on one communicator may go on at once; those on different ones must not
   * on any rank, or two communicators could get one number.
   *
   * @param color a non-negative integer, or null to be left out
   * @param key orders the ranks of the new communicator; equal keys keep the order of this one
   * @returns the communicator of this rank's color, or null
   */
  async split(color: number | null, key = 0): Promise<Communicator | null> {
    const context = await split(this.context, color, key);
    return context === null ? null : new Communicator(context);
  }

  /**
   * The members on this rank's host, which no network is between, in their order here; as
   * MPI_Comm_split_type with MPI_COMM_TYPE_SHARED does (MPI 4.1, section 7.4.2). A rank all
   * of whose frames have to go its transport's way is alone: behind a link that is shaped, or with
   * `--transport tcp` or `unix`, which stand for a network.
   */
  async splitHost(): Promise<Communicator> {
    const { members, rank, engine: { transport } } = this.context;
    const hosts = members.map((member) => transport.hosts[member]);
    const color = transport.bypassesSharedMemory ? this.size + rank : hosts.indexOf(hosts[rank]);
    return (await this.split(color, rank))!;
  }

  /** A communicator of the same members whose traffic never meets that of this one. */
  async dup(): Promise<Communicator> {
    return new Communicator(await dup(this.context));
  }

  /**
   * Ends the use of a derived communicator on this rank. What is still pending on it rejects. The
   * one that `init()` made is closed instead.
   */
  free(): void {
    if (this.#isWorld) {
      throw new TypeError("cannot free the communicator of the whole job: close it");
    }
    this.context.free("the communicator has been freed");
  }

  /** Ends the whole job on every rank, with this exit code (MPI_Abort). Does not return. */
  abort(code = 1, message = `rank ${this.rank} called abort(${code})`): Promise<never> {
    return this.context.engine.transport.abort(code, message);
  }

  /**
   * Leaves the job: says goodbye to all ranks once they have read everything sent to them. Ranks that
   * still need this one get a PeerLostError. A derived communicator is freed.
   */
  async close(): Promise<void> {
    this.context.free("the communicator has been closed");
    if (this.#isWorld) await this.context.engine.transport.close();
  }

  /** As {@linkcode Communicator.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What has been done on this communicator so far, for each operation. */
  stats(): Record<string, OperationStats> {
    return this.context.stats.snapshot();
  }

  /** Bytes this process has moved over the wire on all communicators, headers included. */
  get traffic(): { readonly sent: number; readonly received: number } {
    return this.context.engine.transport.traffic;
  }
}

function worldOf(transport: Transport): Context {
  const group = Array.from({ length: transport.size }, (_, rank) => rank);
  return new Context(new Engine(transport), 0, group);
}
