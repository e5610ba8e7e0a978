/**
 * What becomes of a run when somebody wants it to end. Ctrl-C, SIGTERM and SIGUSR1 ask it for a checkpoint at one
 * of its next rounds. A scheduler waits for that only so long, so after SIGTERM and SIGUSR1 there is a limit.
 * Who asks again by Ctrl-C or SIGTERM ends it at once.
 *
 * @module
 */

import { join } from "node:path";
import { signalCode } from "../../runtime/launcher/interrupts.ts";
import { checkpointSteps } from "../run/checkpoint.ts";
import { FILES } from "../run/folder.ts";
import type { Options } from "../options/table.ts";

/** Exit code of what Ctrl-C has ended. */
const INTERRUPTED = 130;

/** Hears what comes to the launchers while a run goes on. */
export class Interruption implements AsyncDisposable {
  /** The signal by which the run was asked to end; null: by none. */
  how: string | null = null;
  readonly #directory: string;
  readonly #options: Options;
  readonly #outer: AbortSignal | undefined;
  readonly #say: (line: string) => void;
  readonly #controller = new AbortController();
  /** Launchers to which SIGTERM has come; null is this one. */
  readonly #terminated = new Set<object | null>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isLate = false;
  readonly #abort = () => this.#controller.abort();

  /**
   * Nobody has asked yet.
   *
   * @param directory the run's folder
   * @param outer the caller's, which ends the run at once
   */
  constructor(
    directory: string,
    options: Options,
    outer: AbortSignal | undefined,
    say: (line: string) => void,
  ) {
    this.#directory = directory;
    this.#options = options;
    this.#outer = outer;
    this.#say = say;
    outer?.addEventListener("abort", this.#abort);
    if (outer?.aborted) this.#abort();
  }

  /** Ends the run at once when it aborts. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /**
   * Takes a signal that has come to a launcher.
   *
   * @param from the launcher; null for this one
   * @returns whether the run goes on, to its next checkpoint
   */
  take(how: string, from: object | null): boolean {
    const again = how === "SIGTERM" && this.#terminated.has(from);
    if (how === "SIGTERM") this.#terminated.add(from);
    const first = this.how === null;
    this.how ??= how;
    const ends = how === "abort" || this.signal.aborted || this.#options.syncEvery !== null;
    const insists = again || !first && (how === "SIGINT" || this.how === "SIGINT");
    if (ends || insists) return false;
    if (!first) return true;
    Deno.writeTextFileSync(join(this.#directory, FILES.stop), "");
    const { grace } = this.#options;
    if (how === "SIGINT") {
      this.#say("the run is to end with a checkpoint; Ctrl-C again ends it at once");
    } else {
      this.#say(
        `${how}: the run is to end with a checkpoint within ${grace} s; SIGTERM again ends it at once`,
      );
      this.#timer = setTimeout(() => {
        this.#isLate = true;
        this.#abort();
      }, 1000 * grace);
    }
    return true;
  }

  /**
   * What is to be said of a run that has ended as it was asked to, and its exit code; null if it has ended in
   * another way.
   *
   * @param code with which its ranks have ended
   */
  async outcome(code: number): Promise<{ readonly message: string; readonly code: number } | null> {
    const { how } = this, { preemptedCode, grace } = this.#options;
    if (how === null || code !== 0 && !this.#isLate) return null;
    const step = (await checkpointSteps(this.#directory)).at(-1);
    const resume = `--resume ${this.#directory} goes on from`;
    if (!this.#isLate) {
      const message =
        `the run was ended by ${how} after step ${step}, with a checkpoint; ${resume} there`;
      return { message, code: how === "SIGINT" ? INTERRUPTED : preemptedCode };
    }
    const late = `the run was ended by ${how} without a checkpoint, since it came to no round ` +
      `within --grace ${grace} s`;
    return step === undefined
      ? { message: `${late}; there is no other`, code: signalCode(how) }
      : { message: `${late}; ${resume} step ${step}`, code: preemptedCode };
  }

  /** Listens no longer, and takes the question back. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener("abort", this.#abort);
    await Deno.remove(join(this.#directory, FILES.stop)).catch(() => {});
  }
}
