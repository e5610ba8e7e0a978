/**
 * What a job does later.
 *
 * @module
 */

import { platform, type Timer } from "../../base/platform.ts";

/** Does things later, unless it is disposed of before. */
export class Timers implements Disposable {
  readonly #timers = new Set<Timer>();
  #isOver = false;

  /** Does something in so many ms. */
  after(ms: number, action: () => void): void {
    if (this.#isOver) return;
    const timer = platform.setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, ms);
    this.#timers.add(timer);
  }

  /** Forgets what has not been done yet, and all that comes. */
  [Symbol.dispose](): void {
    this.#isOver = true;
    for (const timer of this.#timers) platform.clearTimeout(timer);
    this.#timers.clear();
  }
}
