/**
 * The ranks that have left a job and do not end.
 *
 * @module
 */

import { platform, type Timer } from "../../base/platform.ts";
import type { RankStatus } from "../root_cause.ts";

/** How often a rank that has left the job is asked for a sign of life before it is given up. */
const SIGNS_OF_LIFE = 8;

/** What the job does about ranks that have left it. */
export interface LeaverActions {
  /** Whether the job is being ended anyway. */
  isEnding(): boolean;
  /** Asks all ranks for a sign of life. */
  inquire(): void;
  /** A rank has given none. */
  stalled(rank: number): void;
}

/**
 * Once the job waits for nothing but the end of ranks that have said goodbye, asks these for signs of
 * life, as ranks do with each other before that. Silence is counted in answers that did not come and
 * not by the clock, so that a pause of the launcher is not held against them.
 */
export class Leavers implements Disposable {
  readonly #ranks: readonly RankStatus[];
  readonly #actions: LeaverActions;
  readonly #seconds: number;
  #timer: Timer | undefined;

  /** @param seconds without a sign of life after which a rank is given up */
  constructor(ranks: readonly RankStatus[], seconds: number, actions: LeaverActions) {
    this.#ranks = ranks;
    this.#seconds = seconds;
    this.#actions = actions;
  }

  /** A rank has ended: begins to watch the others if they have all left. */
  check(): void {
    const ranks = this.#ranks, actions = this.#actions;
    const running = ranks.filter(({ exit }) => exit === null);
    if (this.#timer !== undefined || running.length === 0) return;
    if (actions.isEnding() || running.length === ranks.length) return;
    if (!running.every(({ finalized }) => finalized)) return;
    const silences: number[] = [];
    this.#timer = platform.setInterval(() => {
      for (const [rank, status] of ranks.entries()) {
        if (status.exit !== null || actions.isEnding()) continue;
        silences[rank] = status.pending === null ? (silences[rank] ?? 0) + 1 : 0;
        status.pending = null;
        if (silences[rank] > SIGNS_OF_LIFE) actions.stalled(rank);
      }
      actions.inquire();
    }, 1000 * this.#seconds / SIGNS_OF_LIFE);
    actions.inquire();
  }

  /** Ends the watch. */
  [Symbol.dispose](): void {
    platform.clearInterval(this.#timer);
  }
}
