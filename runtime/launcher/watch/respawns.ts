/**
 * Ranks that are started while a job runs, in the stead of those that it has lost.
 *
 * @module
 */

import type { RankStatus } from "../root_cause.ts";

/** What the job does about ranks that it starts later. */
export interface RespawnActions {
  /** Starts a rank in the stead of another; it is to knock at the rendezvous. */
  start(rank: number, lost: number): Promise<void>;
  /** Ends a rank. */
  kill(rank: number): void;
}

/** Keeps account of the ranks that a job has been given since it began. */
export class Respawns {
  readonly #ranks: RankStatus[];
  readonly #actions: RespawnActions;
  readonly #size: number;

  /** @param ranks what is known of each; grows here */
  constructor(ranks: RankStatus[], actions: RespawnActions) {
    this.#ranks = ranks;
    this.#actions = actions;
    this.#size = ranks.length;
  }

  /**
   * Starts a rank in the stead of one that is lost, unless nobody is left to let it in.
   *
   * @returns why it could not be started, or null
   */
  async respawn(lost: number): Promise<string | null> {
    if (!this.#anyoneLetsIn()) return null;
    const rank = this.#ranks.length, { host, stead = lost } = this.#ranks[lost];
    this.#ranks.push({ ...statusOf(host), stead });
    try {
      await this.#actions.start(rank, lost);
      this.check();
      return null;
    } catch (error) {
      const { message } = error as Error;
      this.#ranks[rank].ended = true;
      this.#ranks[rank].exit = { code: 1, signal: null, lost: message, order: Infinity };
      return message;
    }
  }

  /** The ranks of the job have let a newcomer in. */
  admitted(rank: number): void {
    this.#ranks[rank].joined = true;
  }

  /** A rank has ended or left: those that wait outside go when there is nobody left to let them in. */
  check(): void {
    if (this.#anyoneLetsIn()) return;
    for (const [rank, status] of this.#ranks.entries()) {
      if (rank < this.#size || status.joined || status.exit !== null) continue;
      status.ended = true;
      this.#actions.kill(rank);
    }
  }

  #anyoneLetsIn(): boolean {
    return this.#ranks.some(({ joined, finalized, exit }) => joined && !finalized && exit === null);
  }
}

/** What is known of a rank that has just been started. */
export function statusOf(host: string): RankStatus {
  return {
    host,
    joined: false,
    finalized: false,
    report: null,
    losses: [],
    pending: null,
    exit: null,
    ended: false,
  };
}
