/**
 * The calls by which a program goes on after the loss of a rank, under the names of the MPI Forum's
 * proposal for it, User Level Failure Mitigation (ULFM; MPIX_Comm_* in Open MPI and MPICH).
 *
 * @module
 */

import type { Context } from "../engine/context.ts";
import { agree } from "./agree.ts";
import { createGroup } from "./create_group.ts";
import { grow } from "./grow.ts";
import { shrink } from "./shrink.ts";

/** What a communicator can do when ranks are lost; `C` is the class of the communicator. */
export class FailureCalls<C> {
  readonly #context: Context;
  readonly #derive: (context: Context) => C;

  /**
   * For a communicator's class.
   *
   * @param derive makes a communicator of what a call has made of `context`
   */
  constructor(context: Context, derive: (context: Context) => C) {
    this.#context = context;
    this.#derive = derive;
  }

  /**
   * The members that this rank knows to be lost, in the order in which it learnt of them
   * (MPI_Comm_get_failed). Other ranks may know of fewer or more. Local.
   */
  failed(): number[] {
    return this.#context.failed;
  }

  /**
   * Acknowledges the first `count` of the members that {@linkcode FailureCalls.failed} gives, by default all
   * (MPI_Comm_ack_failed): {@linkcode FailureCalls.agree} no longer fails for them, and a receive from any
   * source waits for the others. Collective calls fail all the same. Local.
   *
   * @returns how many are acknowledged by now
   */
  ackFailed(count = Infinity): number {
    return this.#context.acknowledge(count);
  }

  /** Whether the communicator is revoked, as far as this rank knows (MPI_Comm_is_revoked). Local. */
  get isRevoked(): boolean {
    return this.#context.isRevoked;
  }

  /**
   * Ends the use of this communicator on all members (MPI_Comm_revoke): what is pending there rejects with
   * RevokedError, and so does all that follows, but for {@linkcode FailureCalls.shrink} and
   * {@linkcode FailureCalls.agree}. For a rank that has caught the loss of another, to call those out of
   * their calls that still wait for it. Not collective; other communicators are not touched.
   */
  revoke(): void {
    const { rank } = this.#context;
    this.#context.revoke(`cannot go on: rank ${rank} has revoked the communicator`);
  }

  /**
   * Makes a communicator of the members that live, in their order (MPI_Comm_shrink). Collective over these;
   * others may be lost while it goes on, and it works on a revoked communicator.
   *
   * Its ranks talk over sockets, also within a host.
   *
   * @example
   * ```ts ignore
   * try {
   *   await comm.allreduce(mean, "sum");
   * } catch (error) {
   *   if (!(error instanceof PeerLostError || error instanceof RevokedError)) throw error;
   *   comm.revoke(); // calls the others here
   *   comm = await comm.shrink();
   * }
   * ```
   */
  async shrink(): Promise<C> {
    return this.#derive(await shrink(this.#context));
  }

  /**
   * Makes a communicator of some members, in the order given (MPI_Comm_create_group). Collective over these alone:
   * the others may be late, or lost. Its ranks talk over sockets, also within a host.
   *
   * @param ranks in this communicator, this one's among them; the same on all of them
   * @param tag of the messages that do it, which no others of these ranks have meanwhile
   */
  async createGroup(ranks: readonly number[], tag = 0): Promise<C> {
    return this.#derive(await createGroup(this.#context, ranks, tag));
  }

  /**
   * Agrees with all members that live on the bitwise AND of their flags (MPI_Comm_agree). Collective over
   * these; others may be lost while it goes on, and it works on a revoked communicator. All get the same
   * value, or all get the same error.
   *
   * @param flag an integer of 32 bits
   * @throws PeerLostError on all members, with the value as `agreed`, if a member is lost that not all have
   *   acknowledged ({@linkcode FailureCalls.ackFailed}); after that `failed()` gives it on all
   */
  agree(flag: number): Promise<number> {
    return agree(this.#context, flag);
  }

  /** Whether this process has come to a job that was running already, and been let in by `grow()`. */
  get isNewcomer(): boolean {
    return this.#context.engine.transport.membership !== undefined;
  }

  /**
   * How many processes wait to be let in by {@linkcode FailureCalls.grow}, as far as this rank knows. Other ranks
   * may know of fewer or more. Local.
   */
  get newcomers(): number {
    return this.#context.engine.transport.door?.waiting.size ?? 0;
  }

  /**
   * Makes a communicator of the members that live, in their order, and behind these of all processes that have
   * come to the running job since; these get it from `init()`. Collective over the members that live; others
   * may be lost while it goes on, and it works on a revoked communicator. With nobody to let in it is
   * {@linkcode FailureCalls.shrink}. (MPI has MPI_Comm_spawn or MPI_Comm_accept for it, and
   * MPI_Intercomm_merge.)
   *
   * Its ranks talk over sockets, also within a host.
   */
  async grow(): Promise<C> {
    return this.#derive(await grow(this.#context));
  }
}
