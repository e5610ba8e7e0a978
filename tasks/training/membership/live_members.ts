/**
 * The ranks of a run that goes on without those it loses, and lets in others.
 *
 * @module
 */

import { PeerLostError, RevokedError } from "../../../runtime/base/errors.ts";
import { counted } from "../../../runtime/base/words.ts";
import type { Communicator } from "../../../runtime/communicator.ts";
import { type Change, changeWorlds, membersOf, type Worlds } from "../../data/sampling/worlds.ts";
import type { RunHost } from "../../logs/records.ts";
import { broadcastText } from "../../run/byte_stream.ts";
import { type Carried, share } from "./carried.ts";
import { TrainingError } from "../training_error.ts";
import type { Crew, Members, Recovery } from "./members.ts";

/** Flags on which the ranks agree: that what they did is done, and that nobody waits to be let in. */
const DONE = 1, NOBODY = 2;

/** How a process comes into a run that others train. */
export interface Entrance {
  /** Waits until it is let in: `init()`, on a process that comes to a running job. */
  enter(): Promise<Communicator>;
  /** The rank in whose stead it comes, of those that the job began with; null: nobody's. */
  readonly stead: number | null;
}

/** What the ranks of a run know of it. */
interface Known {
  readonly worlds: Worlds;
  /** The numbers in the run of the ranks that the job began with. */
  readonly firsts: readonly number[];
  readonly anyCallbacks: boolean;
}

/** How ranks go on. */
export interface LiveMembersOptions {
  /** With fewer the run stops. */
  readonly least: number;
  /** Tells on which hosts some ranks are. Collective. */
  hostsOf(comm: Communicator): Promise<readonly RunHost[]>;
  /** Gets a line, on a rank that comes. */
  say(line: string): void;
}

/** The ranks that live. */
export class LiveMembers implements Members, Recovery {
  readonly #options: LiveMembersOptions;
  #given: Communicator | null = null;
  /** Null on a rank that comes and has not been let in. */
  #comm: Communicator | null = null;
  #known: Known | null = null;
  readonly #entrance: Entrance | null;
  /** Whether others wait to be let in, as all have agreed at the end of what they did last. */
  #anyoneWaits = false;

  /** @param from where the run begins on this rank, or how it comes to the others */
  constructor(
    from: (Known & { readonly comm: Communicator }) | Entrance,
    options: LiveMembersOptions,
  ) {
    this.#options = options;
    this.#entrance = "enter" in from ? from : null;
    if ("enter" in from) return;
    this.#given = this.#comm = from.comm;
    this.#known = from;
  }

  get given(): Communicator | null {
    return this.#given;
  }

  begin(): Promise<Crew | null> {
    if (this.#entrance) return Promise.resolve(null);
    const { worlds, anyCallbacks } = this.#known!;
    return Promise.resolve({ comm: this.#comm!, worlds, anyCallbacks });
  }

  get recovery(): Recovery {
    return this;
  }

  get isTooFew(): boolean {
    return this.#comm!.size < this.#options.least;
  }

  leavesAt(): boolean {
    return false;
  }

  changeAfter(_t: number, isRound: boolean): boolean {
    const waits = this.#anyoneWaits && isRound;
    this.#anyoneWaits = false;
    return waits;
  }

  async next(t: number, since: (rank: number) => number, carried: Carried): Promise<Crew> {
    const change = { step: t, isDone: true, since };
    return await this.#meet(await this.#comm!.grow(), { change, carried });
  }

  async absent(): Promise<Crew | null> {
    // One that was there from the beginning is never absent.
    if (!this.#entrance) return null;
    this.#given = await this.#entrance.enter();
    return await this.#meet(this.#given, null);
  }

  isLoss(error: unknown): boolean {
    return error instanceof PeerLostError || error instanceof RevokedError;
  }

  revoke(): void {
    this.#comm!.revoke();
  }

  /** Not if the first is lost, since with it go the records of what has been done. */
  async agree(done: boolean): Promise<boolean> {
    const comm = this.#comm!, [first] = comm.network.jobRanks;
    const flags = (done ? DONE : 0) | (comm.newcomers > 0 ? 0 : NOBODY);
    const agreed = await agree(comm, flags, first);
    this.#anyoneWaits = (agreed & NOBODY) === 0;
    return (agreed & DONE) !== 0;
  }

  async survivors(change: Change, carried: Carried): Promise<Crew> {
    return await this.#meet(await this.#comm!.shrink(), { change, carried });
  }

  /**
   * Makes a crew of those that live: those that come get what they go on from. Whoever is lost meanwhile is left out,
   * and it is done again.
   *
   * @param own null on a rank that comes
   */
  async #meet(
    first: Communicator,
    own: { readonly change: Change; readonly carried: Carried } | null,
  ): Promise<Crew> {
    for (let comm = first;;) {
      const made: (Known & Crew)[] = [];
      try {
        const known = await this.#tell(comm, own?.change ?? null);
        const { worlds, anyCallbacks } = known;
        const carried = await share(comm, worlds, own?.carried ?? null);
        const hosts = await this.#options.hostsOf(comm);
        made.push({ ...known, comm, worlds, carried, hosts, anyCallbacks });
      } catch (error) {
        if (!this.isLoss(error)) throw error;
        comm.revoke();
      }
      // Another may be lost meanwhile: then all begin again, from those that are left.
      if ((await agree(comm, made.length > 0 ? DONE : 0, null) & DONE) !== 0) {
        this.#comm = comm;
        if (own === null) this.#announce(made[0].worlds);
        this.#known = made[0];
        return made[0];
      }
      const left = comm;
      comm = await left.shrink();
      if (left !== this.#given) left.free();
    }
  }

  /** What the ranks of a communicator know, with its own world as the last. */
  async #tell(
    comm: Communicator,
    change: Change | null,
  ): Promise<Known> {
    const known = this.#known, before = known && membersOf(known.worlds.at(-1)!);
    const mine = change ? before![this.#comm!.rank] : -1;
    const all = new Int32Array(2 * comm.size);
    await comm.allgather(Int32Array.of(mine, this.#entrance?.stead ?? -1), all);
    const numbers = Array.from({ length: comm.size }, (_, place) => all[2 * place]);
    const root = numbers.findIndex((number) => number >= 0);
    if (root < 0) {
      throw new TrainingError(
        "cannot go on: all ranks that have trained are lost; the last checkpoint has what they came to",
      );
    }
    let told: Known | null = null;
    if (known && change) {
      const taken = new Set(before!);
      const members = numbers.map((number, place) => {
        if (number >= 0) return number;
        // One that was lost just now keeps its number in what is written of this step.
        const given = known.firsts[all[2 * place + 1]];
        let own = given === undefined || taken.has(given) ? 0 : given;
        while (taken.has(own)) own++;
        taken.add(own);
        return own;
      });
      told = { ...known, worlds: changeWorlds(known.worlds, members, change) };
    }
    // Those that come know none of it.
    if (numbers.every((number) => number >= 0)) return told!;
    const { worlds, firsts, anyCallbacks } = told ?? {} as Partial<Known>;
    const text = comm.rank === root ? JSON.stringify({ worlds, firsts, anyCallbacks }) : null;
    return JSON.parse(await broadcastText(comm, text, root));
  }

  /** Says as whom this rank has come. */
  #announce(worlds: Worlds): void {
    const { step, ranks } = worlds.at(-1)!, rank = membersOf(worlds.at(-1)!)[this.#comm!.rank];
    const was = worlds.slice(0, -1).some((world) => membersOf(world).includes(rank));
    const what = was ? "is back" : "has come";
    this.#options.say(`rank ${rank} ${what} at step ${step}: ${counted(ranks, "rank")}`);
  }
}

/**
 * What all that live agree on, the same on all of them.
 *
 * @param flags of which those are kept that all have set
 * @param needed a rank that must not be lost, by its number in the job, first of its communicator
 */
async function agree(comm: Communicator, flags: number, needed: number | null): Promise<number> {
  try {
    return await comm.agree(flags);
  } catch (error) {
    // That a rank is lost is no matter if all that live have done their part. The first that is lost is named.
    if (!(error instanceof PeerLostError) || error.agreed === null) throw error;
    return error.rank === needed ? error.agreed & ~DONE : error.agreed;
  }
}
