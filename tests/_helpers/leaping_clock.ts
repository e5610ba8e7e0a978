/** A clock on which nobody waits: it leaps to the next timer as soon as the process has nothing else to do. */

import { platform, runOn, type Timer } from "../../runtime/base/platform.ts";

/** Longest time that is leapt over, in ms: longer timers watch over something, and do not run. */
const LONGEST_MS = 100;

/** Lets the runtime in this process run by such a clock, until it is disposed. */
export class LeapingClock implements Disposable {
  readonly #timers = new Map<Timer, { readonly due: number; act(nothing: undefined): void }>();
  readonly #undo: Disposable;
  #now = platform.now();
  #leap: Timer | undefined;

  constructor() {
    const real = platform;
    this.#undo = runOn({
      ...real,
      now: () => this.#now,
      setTimeout: (act, ms) => {
        const timer = real.setTimeout(() => {}, 0); // for its number
        if (ms <= LONGEST_MS) this.#timers.set(timer, { due: this.#now + Math.max(ms, 0), act });
        this.#wind();
        return timer;
      },
      clearTimeout: (timer) => {
        if (timer === undefined || !this.#timers.delete(timer)) real.clearTimeout(timer);
      },
    });
  }

  /** What it shows, in ms. */
  now(): number {
    return this.#now;
  }

  #wind(): void {
    if (this.#leap !== undefined || this.#timers.size === 0) return;
    this.#leap = setTimeout(() => {
      this.#leap = undefined;
      const [next] = [...this.#timers].sort(([, one], [, other]) => one.due - other.due);
      if (next === undefined) return;
      const [timer, { due, act }] = next;
      this.#timers.delete(timer);
      this.#now = Math.max(this.#now, due);
      act(undefined);
      this.#wind();
    }, 0);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#leap);
    this.#undo[Symbol.dispose]();
  }
}
