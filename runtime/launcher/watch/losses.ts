/**
 * The losses of a job whose ranks go on without those that are lost (`onFailure: "return"`): who is told,
 * and who is ended because others have lost it.
 *
 * @module
 */

import { anyEndedWell, describeEnd, hasFailed, type RankStatus } from "../root_cause.ts";

/** How long a rank that others have lost may take to end by itself, or to give a sign of life, in ms. */
const SILENT_MS = 500;

/** What the job does about losses. */
export interface LossActions {
  /** Tells all other ranks. */
  announce(rank: number, reason: string): void;
  /** Ends a rank. */
  kill(rank: number): void;
  /** Asks all ranks for a sign of life. */
  inquire(): void;
  /** A rank is lost, and others go on. */
  lost(rank: number): void;
  /** Does something later, unless the job is done by then. */
  after(ms: number, action: () => void): void;
}

/** Keeps account of the ranks that a job has lost. */
export class Losses {
  readonly #ranks: readonly RankStatus[];
  readonly #actions: LossActions;
  readonly #lost = new Set<number>();
  /** Ranks that others have needed when they were gone. */
  readonly #missed = new Set<number>();
  /** Hosts of which a rank was given up while it ran, each with that of the rank that had lost it. */
  readonly #gaveWay = new Map<string, Set<string>>();

  /** @param ranks what is known of each; marked as lost here */
  constructor(ranks: readonly RankStatus[], actions: LossActions) {
    this.#ranks = ranks;
    this.#actions = actions;
  }

  /** In the order of their ends. */
  get ranks(): readonly number[] {
    return [...this.#lost];
  }

  /**
   * Looks for ranks that have failed. One that nobody has missed, and after whose end nobody is left who
   * could go on, is not a loss, but the failure of the job.
   */
  check(): void {
    for (const [rank, status] of this.#ranks.entries()) {
      if (this.#lost.has(rank) || !hasFailed(status, true)) continue;
      if (!this.#missed.has(rank) && !this.#anyOthersThan(rank)) continue;
      this.#lose(rank, `it ${describeEnd(status)}`);
    }
  }

  /**
   * A rank says that it has lost another. The first of two that say so of each other is believed, and so are, of two
   * hosts, the ranks of the one that said it first: what has fallen silent may be the way between them, and then all
   * of one host are to go, and none of the other. The word of one that was killed since counts as if it lived: what it
   * did without the other may be there.
   */
  reported(by: number, rank: number, words: string): void {
    const complains = this.#ranks[by];
    const isOver = () => {
      const { exit, finalized } = this.#ranks[rank];
      return exit !== null || finalized || this.#lost.has(rank) || complains.ended;
    };
    if (!this.#lost.has(by)) this.#missed.add(rank);
    if (isOver()) return;
    const { host, pending } = this.#ranks[rank], other = complains.host;
    this.#actions.after(SILENT_MS, () => {
      if (isOver()) return;
      // One that was not killed may have ended because it heard that it is the one to go.
      const isDoubted = this.#gaveWay.get(other)?.has(host) ||
        this.#lost.has(by) && complains.exit?.signal === null;
      if (!isDoubted) return this.#giveUp(rank, other, words);
      // If the rank is alive, it is the one that complains that has to go: neither can go on with the other.
      this.#ranks[rank].pending = null;
      this.#actions.inquire();
      this.#actions.after(SILENT_MS, () => {
        if (isOver()) return;
        const isAlive = this.#ranks[rank].pending !== null;
        this.#ranks[rank].pending ??= pending;
        if (isAlive && this.#lost.has(by)) return;
        if (isAlive) this.#giveUp(by, host, `there is no way between it and rank ${rank}`);
        else this.#giveUp(rank, other, words);
      });
    });
  }

  /** Ends a rank that runs. @param other the host of the rank that has lost it */
  #giveUp(rank: number, other: string, words: string): void {
    const status = this.#ranks[rank], { host } = status;
    if (host !== other && !this.#gaveWay.get(other)?.has(host)) {
      this.#gaveWay.set(host, (this.#gaveWay.get(host) ?? new Set()).add(other));
    }
    status.ended = true;
    this.#lose(rank, words);
    this.#actions.kill(rank);
  }

  /**
   * At the end of the job: what was lost is no failure if others have come to a good end without it, or to one that
   * came from outside: who is killed had gone on until then.
   */
  settle(): void {
    const ranks = this.#ranks,
      wasKilled = ({ exit }: RankStatus) =>
        exit !== null && (exit.signal !== null || exit.lost !== null);
    const failed = ranks.filter((status, rank) => !this.#lost.has(rank) && hasFailed(status, true));
    if (!anyEndedWell(ranks) && !failed.some(wasKilled)) return;
    for (const rank of this.#lost) this.#ranks[rank].survived = true;
  }

  #anyOthersThan(rank: number): boolean {
    return this.#ranks.some(({ joined, exit, finalized }, other) =>
      other !== rank && joined && exit === null && !finalized && !this.#lost.has(other)
    );
  }

  #lose(rank: number, reason: string): void {
    this.#lost.add(rank);
    this.#actions.announce(rank, reason);
    this.#actions.lost(rank);
  }
}
