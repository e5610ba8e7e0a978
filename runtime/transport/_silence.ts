/**
 * How long a peer that is waited for has given no sign of life. It is counted in ticks of a timer and not by the
 * clock, so that a pause of this very process (a long computation, SIGSTOP, a sleeping laptop) is not held
 * against the peer.
 *
 * @module
 */

import { SHORTEST_SILENCE_MS } from "./transport.ts";

/** One peer's silence, and those that it has broken. */
export class Silence {
  /** Ticks since its last sign of life, while somebody waits. */
  ticks = 0;
  /** How long it may last before the peer is lost, in ms. */
  limitMs: number;
  readonly #tickMs: number;
  /** Ms of silences that counted and are over. */
  #over = 0;

  /** @param tickMs ms from one tick to the next */
  constructor(tickMs: number, limitMs: number) {
    this.#tickMs = tickMs;
    this.limitMs = limitMs;
  }

  /** The peer has given a sign of life, or nobody has waited for one. @param limitMs of the next silence */
  end(limitMs = this.limitMs): void {
    this.limitMs = limitMs;
    this.#over += this.#lasting;
    this.ticks = 0;
  }

  /** Seconds of all silences that were long enough to count, the present one included. */
  get seconds(): number {
    return (this.#over + this.#lasting) / 1000;
  }

  get #lasting(): number {
    const ms = this.ticks * this.#tickMs;
    return ms >= SHORTEST_SILENCE_MS ? ms : 0;
  }
}
