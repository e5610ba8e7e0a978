/**
 * What a job does later.
 *
 * @module
 */

import { platform, type Timer } from "../../base/platform.ts";

/** Does things later, unless it is disposed before. */
export class Timers implements Disposable {
  readonly #timers = new Set<Timer>();

  /** Does something in so many ms. */
  after(ms: number, action: () => void): void {
    const timer = platform.setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, ms);
    this.#timers.add(timer);
  }

  /** Forgets what has not been done yet. */
  [Symbol.dispose](): void {
    for (const timer of this.#timers) platform.clearTimeout(timer);
    this.#timers.clear();
  }
}
