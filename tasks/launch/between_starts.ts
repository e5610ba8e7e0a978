/**
 * A run while it has no ranks: before they are started, and before they are started again. Who wants an end then has no
 * checkpoint to wait for, and a run that has not begun leaves no folder behind.
 *
 * @module
 */

import { join } from "node:path";
import { ENDING_SIGNALS, onInterrupt, signalCode } from "../../runtime/launcher/interrupts.ts";
import type { Options } from "../options/table.ts";
import { checkpointSteps } from "../run/checkpoint.ts";
import { FILES, INPUT_FILE_NAMES } from "../run/folder.ts";

/** What is written into a run's folder before its ranks are started. */
const FIRST_FILES = [FILES.config, `${FILES.config}.part`, ...Object.values(INPUT_FILE_NAMES)];

/** Hears what comes to this launcher meanwhile. Who asks again ends this process as if nobody heard. */
export class BetweenStarts implements AsyncDisposable {
  /** Whether ranks have been started. */
  #hasBegun = false;
  readonly #outer: AbortSignal | undefined;
  /** While it listens: aborts when somebody wants an end. */
  #controller: AbortController | null = null;
  /** The signal that has come, or "abort"; null: none has. */
  #how: string | null = null;
  #undo = () => {};
  #removeFolder: (() => Promise<void>) | null = null;

  /**
   * Listens not yet.
   *
   * @param outer the caller's
   */
  constructor(outer: AbortSignal | undefined) {
    this.#outer = outer;
  }

  /** Begins to listen: there are no ranks. */
  listen(): void {
    const outer = this.#outer ? { signal: this.#outer } : {};
    this.#controller = new AbortController();
    this.#undo = onInterrupt({ ...outer, handleSignals: ENDING_SIGNALS }, (how) => this.#take(how));
    if (this.#outer?.aborted) this.#take("abort");
  }

  /** Takes what has come. What comes twice for once is told once, but for a signal of which the caller made an abort. */
  #take(how: string): void {
    if (this.#how === null || this.#how === "abort") {
      this.#how = how;
      this.#controller!.abort();
    } else if (how !== "abort") {
      this.#undo();
      Deno.kill(Deno.pid, how as Deno.Signal);
    }
  }

  /** Leaves what comes to the launcher of the ranks, which are about to be started. */
  begin(): void {
    this.#undo();
    this.#controller = null;
    this.#hasBegun = true;
  }

  /**
   * Takes note of a folder that is about to be made for a new run, and is removed again unless the run begins.
   *
   * @param path null: one that is not there, with a name that is still to be found
   * @returns is to be told its path once it is made, and nobody else writes to it
   */
  async folder(path: string | null): Promise<(made: string) => void> {
    const there = path === null ? null : await namesIn(path);
    return (made) => {
      this.#removeFolder = async () => {
        const ours = FIRST_FILES.filter((name) => !there?.has(name));
        for (const name of ours) await Deno.remove(join(made, name)).catch(() => {});
        if (!there) await Deno.remove(made).catch(() => {}); // unless somebody has put something there
      };
    };
  }

  /** Aborts when somebody wants an end. */
  get signal(): AbortSignal | undefined {
    return this.#controller?.signal;
  }

  /** What is to be said of a run that somebody has ended meanwhile, and its exit code; null: nobody has. */
  async outcome(
    directory: string,
    { preemptedCode }: Options,
  ): Promise<{ readonly message: string; readonly code: number } | null> {
    const how = this.#how, again = this.#hasBegun ? " again" : "";
    if (how === null) return null;
    const step = (await checkpointSteps(directory)).at(-1);
    const early = `the run was ended by ${how} before its ranks were started${again}`;
    const isScheduler = how === "SIGTERM" || how === "SIGUSR1";
    if (step === undefined) return { message: early, code: signalCode(how) };
    return {
      message: `${early}; --resume ${directory} goes on from step ${step}`,
      code: isScheduler ? preemptedCode : signalCode(how),
    };
  }

  /** Listens no longer. Removes the folder of a run that has not begun. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#undo();
    if (!this.#hasBegun) await this.#removeFolder?.();
  }
}

/** What is in a folder; null where there is none. */
async function namesIn(path: string): Promise<Set<string> | null> {
  try {
    return new Set((await Array.fromAsync(Deno.readDir(path))).map(({ name }) => name));
  } catch {
    return null; // whoever makes it says why it cannot be
  }
}
