/**
 * What is known of the ranks of a job that are gone, and how it gets around.
 *
 * @module
 */

import { PeerLostError } from "../base/errors.ts";
import type { Transport } from "../transport/transport.ts";
import { encodeLost } from "./header.ts";

/** The end of a rank, as far as it is known. */
export interface LostPeer {
  /** Whether it said goodbye. */
  readonly orderly: boolean;
  /** Why it is gone, and who noticed. */
  readonly reason: string;
  /** Why it is gone, in the words of who noticed first. */
  readonly words: string;
  /** The error underneath, if any; of an error that is nothing but the reason there is none. */
  readonly cause: unknown;
}

/** The ranks of the job that are gone, by their rank in the job. */
export class LostPeers {
  readonly #transport: Transport;
  readonly #onLost: (rank: number, loss: LostPeer) => void;
  readonly #losses = new Map<number, LostPeer>();
  /** Those of which the others have been told. */
  readonly #told = new Set<number>();
  /** Resolves when the last of these has been noted here, in the order in which they were lost. */
  #noted: Promise<void> = Promise.resolve();
  #reported = false;
  #step: number | null = null;

  /** @param onLost called for each loss, and once more for one that turns out not to be orderly */
  constructor(transport: Transport, onLost: (rank: number, loss: LostPeer) => void) {
    this.#transport = transport;
    this.#onLost = onLost;
  }

  /** The step that the program says it is at, for errors; null if it does not say. */
  get step(): number | null {
    return this.#step;
  }

  /** The program says what step it is at. */
  reachStep(step: number | null): void {
    this.#step = step;
  }

  /** The end of a rank, or undefined while it is there. */
  get(rank: number): LostPeer | undefined {
    return this.#losses.get(rank);
  }

  /** The ranks that are gone, in the order in which they were lost. */
  ranks(): Iterable<number> {
    return this.#losses.keys();
  }

  /**
   * The transport has lost a rank, or taken leave of it if there is no cause. Resolves when what cannot do
   * without it has failed.
   */
  lost(rank: number, cause: Error | undefined): void | Promise<void> {
    const words = cause === undefined ? "it has left the job" : cause.message;
    return this.#add(rank, {
      orderly: cause === undefined,
      reason: words,
      words,
      cause: cause?.cause,
    });
  }

  /** Another rank says that `rank` is gone; its own connection to us may take longer to notice. */
  heard(from: number, rank: number, payload: Uint8Array): void {
    // Of two that have lost each other the one that was given up has no say.
    if (this.#survives && this.#losses.get(from)?.orderly === false) return;
    this.add(rank, new TextDecoder().decode(payload), ` (noticed by rank ${from})`);
  }

  /**
   * A rank is gone, as others say.
   *
   * @param words why, in their words
   * @param source who says so, to follow these
   */
  add(rank: number, words: string, source = ""): void {
    const transport = this.#transport, reason = words + source;
    if (rank === transport.rank) {
      if (this.#survives) transport.expelled?.(reason);
      return;
    }
    if (!(rank < transport.size)) return;
    this.#add(rank, { orderly: false, reason, words, cause: undefined });
  }

  /** Whether the others go on when a rank is lost. */
  get #survives(): boolean {
    return this.#transport.onFailure === "return";
  }

  #add(rank: number, loss: LostPeer): void | Promise<void> {
    const known = this.#losses.get(rank);
    if (known !== undefined && (!known.orderly || loss.orderly)) return;
    if (loss.orderly) return this.#note(rank, loss);
    if (this.#told.has(rank)) return this.#noted;
    this.#told.add(rank);
    this.#tell(rank, loss);
    // A program that fails takes what it has not sent along, and whom it told half of a frame would blame it.
    const sent = this.#survives ? null : this.#transport.wordsSent?.() ?? null;
    if (sent !== null) {
      return this.#noted = Promise.all([this.#noted, sent]).then(() => this.#note(rank, loss));
    }
    this.#note(rank, loss);
    if (this.#survives) this.#giveUp(rank, loss);
  }

  #note(rank: number, loss: LostPeer): void {
    this.#losses.set(rank, loss);
    this.#onLost(rank, loss);
  }

  /** Should a rank that is lost be there after all, nobody may hear of it again: it is told to end. */
  #giveUp(rank: number, { words, reason }: LostPeer): void {
    const transport = this.#transport, payload = new TextEncoder().encode(words);
    const told = transport.send(rank, encodeLost({ rank }), payload).catch(() => {});
    transport.giveUp?.(rank, new Error(reason), told);
  }

  /**
   * Tells the others that a rank is gone. Those that wait for this rank, but not for the lost one,
   * would otherwise blame this one when it gives up. Where the others go on, whoever looks after the job is told
   * too: it sees to it that the rank has ended.
   */
  #tell(rank: number, loss: LostPeer): void {
    if (this.#survives) {
      const message = `lost rank ${rank} on ${this.#transport.hosts[rank]}: ${loss.words}`;
      this.#transport.report({ message, step: this.#step, lost: rank }).catch(() => {});
    }
    const payload = new TextEncoder().encode(loss.words);
    for (let other = 0; other < this.#transport.size; other++) {
      if (other === this.#transport.rank || this.#isGone(other)) continue;
      this.#transport.send(other, encodeLost({ rank }), payload).catch(() => {});
    }
  }

  /** Whether a rank has left or is lost, also if that has not been noted here yet. */
  #isGone(rank: number): boolean {
    return this.#losses.has(rank) || this.#told.has(rank);
  }

  /**
   * The error for an operation that cannot do without a lost rank; tells the launcher of the first.
   * It blames the rank that was lost first, whose end is why the others went; where ranks go on without
   * each other, the one that is needed.
   */
  error(needed: number, operation: string, agreed?: number): PeerLostError {
    const missing = this.#losses.get(needed);
    let first = [...this.#losses].find(([rank, { orderly }]) =>
      !orderly && (!this.#survives || rank === needed)
    );
    if (first === undefined && missing !== undefined) {
      // It left while it was needed.
      const missed = { ...missing, orderly: false };
      this.#losses.set(needed, missed);
      this.#tell(needed, missed);
      first = [needed, missed];
    }
    const [rank, loss] = first ?? [needed, undefined];
    const error = withoutOwnStack(() =>
      new PeerLostError({
        rank,
        host: this.#transport.hosts[rank],
        operation,
        step: this.#step,
        reason: loss?.reason,
        cause: loss?.cause,
        agreed,
      })
    );
    if (!this.#reported && !this.#survives) {
      this.#reported = true;
      this.#transport.report({ message: error.message, operation, step: this.#step, lost: rank })
        .catch(() => {});
    }
    return error;
  }
}

const RUNTIME = new URL("../", import.meta.url).href;

/**
 * Makes an error; without a stack where all of it would be the runtime's, as it is when a call fails that
 * waits: the program that gets the error uncaught then shows its words alone.
 */
function withoutOwnStack<E extends Error>(make: () => E): E {
  const frames = (new Error().stack ?? "").split("\n").filter((line) => line.includes("://"));
  if (frames.some((frame) => !frame.includes(RUNTIME))) return make();
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
