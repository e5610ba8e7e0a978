/**
 * The functions that a job's caller has passed, such as for what ranks print.
 *
 * @module
 */

/** Calls them while the job runs; what one throws is the end of the job, and is the caller's to catch. */
export class Caller {
  readonly #thrown = Promise.withResolvers<never>();

  constructor() {
    this.#thrown.promise.catch(() => {}); // whoever waits gets it
  }

  /** What a function returns; undefined if it throws. */
  call<T>(act: () => T): T | undefined {
    try {
      return act();
    } catch (error) {
      this.#thrown.reject(error);
    }
  }

  /** Waits for work. @throws what a function has thrown, or throws meanwhile */
  async unlessThrown<T>(work: Promise<T>): Promise<T> {
    return await Promise.race([this.#thrown.promise, work]);
  }
}
