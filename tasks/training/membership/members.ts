/**
 * Who trains: the ranks there are, and how they become others between two steps.
 *
 * @module
 */

import type { Communicator } from "../../../runtime/communicator.ts";
import type { Change, Worlds } from "../../data/sampling/worlds.ts";
import type { RunHost } from "../../logs/records.ts";
import type { Carried } from "./carried.ts";

/** The ranks that go on, as one of them has it. */
export interface Crew {
  readonly comm: Communicator;
  /** Theirs is the last. */
  readonly worlds: Worlds;
  /** What this rank goes on from; absent where the run begins. */
  readonly carried?: Carried;
  /** The hosts that they are on. @default {those that the run began on} */
  readonly hosts?: readonly RunHost[] | undefined;
  /** Whether any of them has callbacks. @default {if any had when the run began} */
  readonly anyCallbacks?: boolean;
}

/** Who goes on where some have not come. */
export interface Assembled {
  /** Null on a rank that has come too late; all others go on from what they have. */
  readonly crew: Crew | null;
}

/** How ranks leave and come. Every rank makes the same calls in the same order. */
export interface Members {
  /** What this rank has been given, which stays the giver's; those made of it are freed when crews become others. */
  readonly given: Communicator | null;
  /** Those that begin; null on a rank that waits. Collective. */
  begin(): Promise<Crew | null>;
  /** Whether ranks leave before those that stay do together what follows step `t`. Nothing is sent. */
  leavesAt(t: number): boolean;
  /**
   * Waits for the members before they do together what follows step `t`; null if all are there. Collective.
   *
   * @param since see `LostRank.since`
   * @default {they wait for each other}
   */
  assemble?(t: number, since: (rank: number) => number): Promise<Assembled | null>;
  /**
   * This rank's part in the run is over.
   *
   * @param done whether it came to its end; then those who are absent are told
   * @default {they know}
   */
  end?(done: boolean): Promise<void>;
  /**
   * Whether ranks come, or leave, when all that follows step `t` has been done, and others follow. The same on all
   * ranks.
   *
   * @param isRound whether a round has followed it
   */
  changeAfter(t: number, isRound: boolean): boolean;
  /**
   * Whether step `t`, the last, was followed by what ranks do together, and the run then ended among others.
   *
   * @default {it was not}
   */
  endsApart?(t: number): boolean;
  /**
   * Those that there are then; null on a rank that has left. Collective.
   *
   * @param since see `LostRank.since`
   */
  next(
    t: number,
    since: (rank: number) => number,
    carried: Carried,
  ): Promise<Crew | null>;
  /** Waits, on a rank that is not among those that train, until it is; null: it will not be. */
  absent(): Promise<Crew | null>;
  /** How ranks that are lost are left out; null: the loss of one is the end. */
  readonly recovery: Recovery | null;
}

/** How what ranks do together is done again without those that are lost meanwhile. */
export interface Recovery {
  /** Whether fewer ranks are left than a run may have: it stops at the next opportunity, with a checkpoint. */
  readonly isTooFew: boolean;
  /** Whether an error says that a rank is lost, or that others have found one to be. */
  isLoss(error: unknown): boolean;
  /** Calls the others out of what they wait for. */
  revoke(): void;
  /** Whether all that live have done it. Collective over these, and the same answer on all. */
  agree(done: boolean): Promise<boolean>;
  /**
   * Those that live. Collective over these.
   */
  survivors(change: Change, carried: Carried): Promise<Crew>;
}

/** What a rank has done with the others stands no longer, or is over: it goes on among other ranks. */
export class CrewChange extends Error {
  /** The name of the class. */
  override readonly name = "CrewChange";

  /** Says who goes on, and from what. */
  constructor(
    /** Null on a rank that leaves. */
    readonly crew: Crew | null,
  ) {
    super("the ranks that train are others");
  }
}

/** A rank that has no part in the rest of a run. */
export class LeftError extends Error {
  /** The name of the class. */
  override readonly name = "LeftError";
}
