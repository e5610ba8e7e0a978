/**
 * A run that is asked to end early: the ranks agree on the step at which they stop, so that all of them can
 * write the same checkpoint.
 *
 * @module
 */

import type { Communicator } from "../../runtime/communicator.ts";
import type { Request } from "../../runtime/mod.ts";

/** A run that was asked to end has ended, with a checkpoint to go on from. */
export class StoppedError extends Error {
  /** The name of the class. */
  override readonly name = "StoppedError";
}

/** One rank's end of the agreement. Every rank makes the same calls in the same order. */
export class StopRequest {
  readonly #comm: Communicator;
  readonly #isAsked: () => boolean;
  /** A communicator of its own: the question travels while other collectives go on. */
  #aside: Communicator | null = null;
  #travelling: Request | null = null;
  #answer = new Uint8Array(1);

  /**
   * Nothing is sent yet.
   *
   * @param comm the ranks; stays the caller's
   * @param isAsked whether the run was asked to end: rank 0's word counts
   */
  constructor(comm: Communicator, isAsked: () => boolean) {
    this.#comm = comm;
    this.#isAsked = isAsked;
  }

  /**
   * Whether all ranks stop here: if rank 0 had been asked at the call before this one. Nobody waits for an
   * answer, it has travelled since. Collective.
   */
  async poll(): Promise<boolean> {
    const { rank, size } = this.#comm;
    if (size === 1) return this.#isAsked();
    const stops = await this.settle();
    this.#answer = Uint8Array.of(rank === 0 && this.#isAsked() ? 1 : 0);
    const aside = this.#aside ??= await this.#comm.dup();
    this.#travelling = aside.ibcast(this.#answer, 0);
    return stops;
  }

  /** Takes in the answer that is on its way. Collective; to be called before the communicator goes. */
  async settle(): Promise<boolean> {
    const travelling = this.#travelling;
    this.#travelling = null;
    if (!travelling) return false;
    await travelling.wait();
    return this.#answer[0] === 1;
  }
}
