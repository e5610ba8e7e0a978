/**
 * The ranks of a run that is run again as it was: who left and came is known from its record. All of them are
 * alive; those that were lost, or have not come yet, wait.
 *
 * @module
 */

import type { Communicator } from "../../../runtime/communicator.ts";
import { membersOf, type Worlds } from "../../data/sampling/worlds.ts";
import { type Carried, share } from "./carried.ts";
import type { Crew, Members } from "./members.ts";

/** The ranks of a replay. */
export class ReplayedMembers implements Members {
  readonly recovery = null;
  readonly given: Communicator;
  readonly #script: Worlds;
  /** Worlds that have begun. */
  #begun = 0;

  /**
   * @param all a rank for each number in the run; stays the caller's
   * @param script the worlds of the run that is run again
   */
  constructor(all: Communicator, script: Worlds) {
    this.given = all;
    this.#script = script;
  }

  /** How many ranks a replay needs. */
  static size(script: Worlds): number {
    return 1 + Math.max(...script.flatMap(membersOf));
  }

  /** The ranks that begin; null on one that waits. Collective. */
  begin(): Promise<Crew | null> {
    return this.#next(null);
  }

  leavesAt(t: number): boolean {
    return this.#isNext(t) && this.#script[this.#begun].lost !== undefined;
  }

  changeAfter(t: number): boolean {
    return this.#isNext(t) && !this.leavesAt(t);
  }

  endsApart(t: number): boolean {
    return this.changeAfter(t);
  }

  next(_t: number, _since: unknown, carried: Carried): Promise<Crew | null> {
    return this.#next(carried);
  }

  async absent(): Promise<Crew | null> {
    while (this.#begun < this.#script.length) {
      const crew = await this.#next(null);
      if (crew) return crew;
    }
    return null;
  }

  #isNext(t: number): boolean {
    return this.#script[this.#begun]?.step === t;
  }

  /** The next world; all ranks take part in its making, also those that are not in it. */
  async #next(carried: Carried | null): Promise<Crew | null> {
    const worlds = this.#script.slice(0, ++this.#begun);
    const place = membersOf(worlds.at(-1)!).indexOf(this.given.rank);
    const comm = await this.given.split(place < 0 ? null : 0, place < 0 ? 0 : place);
    if (!comm) return null;
    return this.#begun === 1
      ? { comm, worlds }
      : { comm, worlds, carried: await share(comm, worlds, carried) };
  }
}
