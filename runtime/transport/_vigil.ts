/**
 * Who is waited for, and whether those give signs of life.
 *
 * @module
 */

import { platform, type Timer } from "../base/platform.ts";
import { NO_WAIT, type Peer } from "./_peer.ts";
import { PacketKind } from "./connection.ts";
import { Silence } from "./_silence.ts";

/** How long a peer that is waited for may be silent before it is asked for a sign of life, in ms. */
const ASK_MS = 1000;

/** What a vigil is kept by. */
export interface VigilOptions {
  /** How long a peer may be silent, in ms. */
  readonly timeoutMs: number;
  /** The peers, by rank. */
  readonly peers: readonly (Peer | undefined)[];
  /** How much longer a peer is waited for than others, in ms. */
  patience(peer: Peer): number;
  /** A peer has been silent for too long. */
  silent(peer: Peer, cause: Error): void;
  /** Somebody begins to wait. */
  readonly onExpecting: (() => void) | undefined;
}

/** Asks peers that are waited for to give signs of life, and keeps the process alive while any is. */
export class Vigil {
  readonly #options: VigilOptions;
  readonly #tickMs: number;
  readonly #timer: Timer;
  #awaited = 0;
  #held = false;

  constructor(options: VigilOptions) {
    this.#options = options;
    this.#tickMs = Math.max(10, Math.min(500, options.timeoutMs / 20));
    this.#timer = platform.setInterval(() => this.#tick(), this.#tickMs);
    this.#timer.unref();
  }

  /** What counts the silence of one more peer. @param limitMs of the first */
  silence(limitMs: number): Silence {
    return new Silence(this.#tickMs, limitMs);
  }

  /** Somebody waits for a peer until the result is disposed of. */
  expect(peer: Peer | undefined): Disposable {
    if (peer === undefined) return NO_WAIT;
    if (peer.awaited === 0) peer.silence.end();
    peer.awaited++;
    this.#awaited++;
    this.#options.onExpecting?.();
    // Idle reads do not keep a process alive; somebody who waits must. Letting go is left to the
    // next tick, because waits follow each other closely.
    if (!this.#held) {
      this.#held = true;
      this.#timer.ref();
    }
    return peer.wait;
  }

  /** One of the waits for a peer is over. */
  endWait(peer: Peer): void {
    peer.awaited--;
    this.#awaited--;
  }

  /** Whether somebody waits for a peer. */
  get isAwaiting(): boolean {
    return this.#awaited > 0;
  }

  #tick(): void {
    if (this.#held && this.#awaited === 0) {
      this.#held = false;
      this.#timer.unref();
    }
    const { timeoutMs, peers, patience, silent } = this.#options, tickMs = this.#tickMs;
    const limit = timeoutMs / tickMs;
    const ask = Math.max(1, Math.floor(Math.min(limit / 4, ASK_MS / tickMs)));
    for (const peer of peers) {
      // A peer that has left still has to acknowledge this rank's goodbye.
      if (peer === undefined || peer.state.name === "lost" || peer.connection.failure) continue;
      if (peer.awaited === 0 && !peer.connection.busy) continue;
      if (peer.connection.heard) {
        peer.connection.heard = false;
        peer.silence.end(timeoutMs);
        continue;
      }
      const ticks = ++peer.silence.ticks, { limitMs } = peer.silence, more = patience(peer);
      if (ticks >= (limitMs + (more > 0 ? more + tickMs : 0)) / tickMs) {
        silent(peer, new Error(`it gave no sign of life for ${limitMs / 1000} s`));
      } else if (ticks % ask === 0) {
        peer.connection.send(PacketKind.PING).catch(() => {});
      }
    }
  }

  /** Nobody is waited for any more. */
  end(): void {
    platform.clearInterval(this.#timer);
  }
}
