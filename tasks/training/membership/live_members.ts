/**
 * The ranks of a run that goes on without those it loses.
 *
 * @module
 */

import { PeerLostError, RevokedError } from "../../../runtime/base/errors.ts";
import type { Communicator } from "../../../runtime/communicator.ts";
import { changeWorlds, membersOf, type Worlds } from "../../data/sampling/worlds.ts";
import type { Crew, Members, Recovery } from "./members.ts";

/** The ranks that live. */
export class LiveMembers implements Members, Recovery {
  #comm: Communicator;
  #worlds: Worlds;
  readonly #least: number;
  /** The ranks' numbers in the job, by which errors name them, by place. */
  #jobRanks: readonly number[];

  /**
   * @param comm those there are, whose losses are errors, see `InitOptions.onFailure`; stays the caller's
   * @param worlds up to theirs
   * @param least with fewer the run stops
   */
  constructor(comm: Communicator, worlds: Worlds, least: number) {
    this.#least = least;
    this.#comm = comm;
    this.#worlds = worlds;
    this.#jobRanks = Array.from({ length: comm.size }, (_, rank) => rank);
  }

  get recovery(): Recovery {
    return this;
  }

  get isTooFew(): boolean {
    return this.#comm.size < this.#least;
  }

  leavesAt(): boolean {
    return false;
  }

  changeAfter(): Promise<boolean> {
    return Promise.resolve(false);
  }

  next(): Promise<Crew | null> {
    return Promise.reject(new TypeError("nobody has come"));
  }

  absent(): Promise<Crew | null> {
    return Promise.resolve(null);
  }

  isLoss(error: unknown): boolean {
    return error instanceof PeerLostError || error instanceof RevokedError;
  }

  revoke(): void {
    this.#comm.revoke();
  }

  /** Not if the first is lost, since with it go the records of what has been done. */
  agree(done: boolean): Promise<boolean> {
    return agree(this.#comm, done, this.#jobRanks[0]);
  }

  async survivors(t: number, since: ((rank: number) => number) | null): Promise<Crew> {
    const place = this.#comm.rank, member = membersOf(this.#worlds.at(-1)!)[place];
    const own = Int32Array.of(member, this.#jobRanks[place]);
    for (let from = this.#comm;;) {
      const comm = await from.shrink(), all = new Int32Array(2 * comm.size);
      let told = true;
      try {
        await comm.allgather(own, all);
      } catch (error) {
        if (!this.isLoss(error)) throw error;
        told = false;
        comm.revoke();
      }
      from = comm;
      // Another may be lost meanwhile: then all begin again, from those that are left.
      if (!await agree(comm, told, null)) continue;
      this.#comm = comm;
      this.#jobRanks = Array.from(all.filter((_, i) => i % 2 === 1));
      const members = Array.from(all.filter((_, i) => i % 2 === 0));
      this.#worlds = changeWorlds(this.#worlds, t, members, since);
      return { comm, worlds: this.#worlds };
    }
  }
}

/**
 * Whether all that live have done it, the same answer on all.
 *
 * @param needed a rank that must not be lost, by its number in the job, first of its communicator
 */
async function agree(comm: Communicator, done: boolean, needed: number | null): Promise<boolean> {
  try {
    return await comm.agree(done ? 1 : 0) === 1;
  } catch (error) {
    // That a rank is lost is no matter if all that live have done their part. The first that is lost is named.
    if (!(error instanceof PeerLostError) || error.agreed === null) throw error;
    return error.agreed === 1 && error.rank !== needed;
  }
}
