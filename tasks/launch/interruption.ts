/**
 * What becomes of a run when somebody wants it to end: at the first Ctrl-C it is asked to write a checkpoint,
 * at the second it ends at once.
 *
 * @module
 */

import { join } from "node:path";
import { FILES } from "../run/folder.ts";

/** Listens to Ctrl-C while a run goes on. */
export class Interruption implements AsyncDisposable {
  /** Whether there was one. */
  pressed = false;
  readonly #controller = new AbortController();
  readonly #file: string;
  readonly #outer: AbortSignal | undefined;
  readonly #asks: boolean;
  readonly #say: (line: string) => void;
  readonly #abort = () => this.#controller.abort();
  readonly #onInterrupt = () => {
    const again = this.pressed;
    this.pressed = true;
    if (again || !this.#asks) return this.#abort();
    Deno.writeTextFileSync(this.#file, "");
    this.#say("the run is to end with a checkpoint; Ctrl-C again ends it at once");
  };

  /**
   * Begins to listen.
   *
   * @param directory the run's folder
   * @param outer the caller's, which ends the run at once
   * @param asks whether the run can be asked; if not it ends at once
   */
  constructor(
    directory: string,
    outer: AbortSignal | undefined,
    asks: boolean,
    say: (line: string) => void,
  ) {
    this.#file = join(directory, FILES.stop);
    this.#outer = outer;
    this.#asks = asks;
    this.#say = say;
    outer?.addEventListener("abort", this.#abort);
    if (outer?.aborted) this.#abort();
    Deno.addSignalListener("SIGINT", this.#onInterrupt);
  }

  /** Ends the run at once when it aborts. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Listens no longer, and takes the question back. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#outer?.removeEventListener("abort", this.#abort);
    Deno.removeSignalListener("SIGINT", this.#onInterrupt);
    await Deno.remove(this.#file).catch(() => {});
  }
}
