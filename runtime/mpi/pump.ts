/**
 * Calls an MPI library often enough, from the event loop: an MPI library makes progress only while it is
 * called, and cannot wake an event loop.
 *
 * The longer nothing has come, the less often: at first in every turn of the event loop, several times
 * a turn; then with short sleeps of the thread in between; in the end by a timer. The first two stages
 * are for a rank that waits, or has just exchanged something.
 *
 * @module
 */

import { clearImmediate, clearTimeout, setImmediate, setTimeout } from "node:timers";

/** What is looked through. */
export interface PumpedWork {
  /** Looks once. @returns how much was done */
  poll(): number;
  /** Whether somebody waits for what it would bring. */
  isAwaited(): boolean;
  /** Lets another process run, if one is ready to. */
  yieldProcessor(): void;
  /** Sleeps; nothing else happens in this process meanwhile. */
  sleep(microseconds: number): void;
}

/** How often it is looked for in one turn while something may come at any moment. */
const LOOKS = 20;
/** For how long after the last arrival that goes on, in ms. */
const EAGER_MS = 1;
/** For how long a rank that waits sleeps and looks, in ms; after that a timer does. */
const DROWSY_MS = 500;
/** How long such a sleep is, in µs. */
const NAP_US = 50;
/** The timer of a rank that waits, and of one that does not, in ms. */
const AWAITED_MS = 1, IDLE_MS = 5;

/**
 * Looks for what has come until it is stopped. It keeps the process alive only while somebody waits: an
 * immediate that does not would not be run.
 */
export class Pump {
  readonly #work: PumpedWork;
  #last = performance.now();
  #stopped = false;
  #immediate: ReturnType<typeof setImmediate> | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** Begins at once. */
  constructor(work: PumpedWork) {
    this.#work = work;
    this.#schedule(0);
  }

  /** Something has begun: its end may come soon. */
  hurry(): void {
    this.#last = performance.now();
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#schedule(0);
  }

  /** Ends it. */
  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#immediate !== null) clearImmediate(this.#immediate);
  }

  #schedule(ms: number): void {
    if (this.#stopped) return;
    if (ms === 0) {
      this.#immediate = setImmediate(this.#turn);
    } else {
      this.#timer = setTimeout(this.#turn, ms);
      this.#timer.unref();
    }
  }

  readonly #turn = (): void => {
    this.#immediate = this.#timer = null;
    const work = this.#work, quiet = performance.now() - this.#last;
    const looks = quiet < EAGER_MS ? LOOKS : 1;
    for (let i = 0; i < looks; i++) {
      if (work.poll() > 0) {
        this.#last = performance.now();
        break;
      }
      if (this.#stopped) return;
      if (looks > 1) work.yieldProcessor();
    }
    const awaited = work.isAwaited();
    if (performance.now() - this.#last < EAGER_MS) return this.#schedule(0);
    if (!awaited) return this.#schedule(IDLE_MS);
    if (quiet > DROWSY_MS) return this.#schedule(AWAITED_MS);
    work.sleep(NAP_US);
    this.#schedule(0);
  };
}
