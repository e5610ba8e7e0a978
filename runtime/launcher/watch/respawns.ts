/**
 * Ranks that are started while a job runs: in the stead of those that it has lost, and on hosts that come to it.
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
  /** How many are to be started, after a pause. */
  #planned = 0;

  /** @param ranks what is known of each; grows here */
  constructor(ranks: RankStatus[], actions: RespawnActions) {
    this.#ranks = ranks;
    this.#actions = actions;
    this.#size = ranks.length;
  }

  /** How many ranks run, or are to be started. */
  get count(): number {
    return this.#planned + this.#ranks.filter(({ exit }) => exit === null).length;
  }

  /** Whether a rank is in the job that could let others in. */
  get anyoneLetsIn(): boolean {
    return this.#ranks.some(({ joined, finalized, exit }) => joined && !finalized && exit === null);
  }

  /** A rank is to be started in another's stead. */
  plan(): void {
    this.#planned++;
  }

  /**
   * Starts a rank that was planned, unless nobody is left to let it in.
   *
   * @returns why it could not be started, or null
   */
  async respawn(lost: number): Promise<string | null> {
    const { host, stead = lost } = this.#ranks[lost];
    this.#planned--;
    return await this.#begin(
      [{ ...statusOf(host), stead }],
      ([rank]) => this.#actions.start(rank, lost),
    );
  }

  /** Starts so many ranks on a host that has come, as {@linkcode Respawns.respawn}. */
  async come(
    host: string,
    count: number,
    start: (ranks: readonly number[]) => Promise<void>,
  ): Promise<string | null> {
    return await this.#begin(Array.from({ length: count }, () => statusOf(host)), start);
  }

  async #begin(
    all: readonly RankStatus[],
    start: (ranks: readonly number[]) => Promise<void>,
  ): Promise<string | null> {
    if (!this.anyoneLetsIn) return null;
    const first = this.#ranks.length;
    this.#ranks.push(...all);
    try {
      await start(all.map((_, i) => first + i));
      this.check();
      return null;
    } catch (error) {
      const { message } = error as Error;
      for (const status of all) {
        status.ended = true;
        status.exit = { code: 1, signal: null, lost: message, order: Infinity };
      }
      return message;
    }
  }

  /** The ranks of the job have let a newcomer in. */
  admitted(rank: number): void {
    this.#ranks[rank].joined = true;
  }

  /** A rank has ended or left: those that wait outside go when there is nobody left to let them in. */
  check(): void {
    if (this.anyoneLetsIn) return;
    for (const [rank, status] of this.#ranks.entries()) {
      if (rank < this.#size || status.joined || status.exit !== null) continue;
      status.ended = true;
      this.#actions.kill(rank);
    }
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
