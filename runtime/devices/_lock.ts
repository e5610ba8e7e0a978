/**
 * One thing at a time, in the order of asking. onnxruntime's web engine suspends its single wasm
 * stack while it waits for the GPU and cannot be entered a second time, and creating two sessions at
 * once in a process breaks both of its engines.
 *
 * @module
 */

/** A queue of asynchronous sections that never overlap. */
export class Lock {
  #tail: Promise<unknown> = Promise.resolve();

  /** Runs `section` when all earlier ones have ended, whether well or badly. */
  run<T>(section: () => T | Promise<T>): Promise<T> {
    const result = this.#tail.then(section);
    this.#tail = result.catch(() => {});
    return result;
  }
}
