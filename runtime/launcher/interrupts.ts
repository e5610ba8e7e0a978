/**
 * What ends a launcher from outside: signals, its caller, and the end of the `deno task` that runs it. That
 * passes signals on, but not SIGKILL: killed, it would leave a launcher and ranks that nobody knows of.
 *
 * @module
 */

import { constants } from "node:os";
import { isTaskRunner } from "../bootstrap/task_runner.ts";

/** How often the `deno task` is looked for, in ms. */
const LOOK_MS = 250;

/**
 * Sends this process SIGTERM, as the `deno task` that has started it would, when that is gone. Nobody
 * else's end is looked at: a shell that ends leaves its background jobs on purpose.
 *
 * @returns ends the watch
 */
function watchTaskRunner(): () => void {
  const parent = Deno.ppid;
  if (!isTaskRunner(parent)) return () => {};
  const timer = setInterval(() => {
    if (Deno.ppid === parent) return;
    clearInterval(timer);
    Deno.kill(Deno.pid, "SIGTERM");
  }, LOOK_MS);
  return () => clearInterval(timer);
}

/** A signal by which people and schedulers end a launcher. */
export type EndingSignal = "SIGINT" | "SIGTERM" | "SIGUSR1";

/**
 * Within how many ms the same signal is the same message. A scheduler signals whole process groups, and
 * `timeout` and `deno task` pass on what they get themselves, so that one comes twice. Who presses Ctrl-C again means
 * it, and nobody does so that soon.
 */
const SAME_MS = { SIGINT: 50, SIGTERM: 1000, SIGUSR1: 1000 } as const satisfies Record<
  EndingSignal,
  number
>;

/** All of them. */
export const ENDING_SIGNALS = [
  "SIGINT",
  "SIGTERM",
  "SIGUSR1",
] as const satisfies readonly EndingSignal[];

/** The exit code of a job that a signal to its launcher has ended; "abort" counts as SIGTERM. */
export const signalCode = (how: string): number =>
  128 + ((constants.signals as Record<string, number>)[how] ?? constants.signals.SIGTERM);

/** Who may end a launcher; see `LaunchProgramOptions`. */
export interface InterruptOptions {
  /** A caller's. */
  readonly signal?: AbortSignal;
  /** Whether SIGINT and SIGTERM do, or which signals. @default {true} */
  readonly handleSignals?: boolean | readonly EndingSignal[];
}

/**
 * Calls `interrupt` with the name of the signal, or "abort", each time that somebody wants an end. A
 * scheduler's signal that comes twice within a second is told once, and so is one SIGINT that comes by two ways.
 *
 * @returns no longer does
 */
export function onInterrupt(
  { signal, handleSignals = true }: InterruptOptions,
  interrupt: (how: string) => void,
): () => void {
  const undo: (() => void)[] = [];
  const onAbort = () => interrupt("abort");
  signal?.addEventListener("abort", onAbort);
  undo.push(() => signal?.removeEventListener("abort", onAbort));
  const handled = handleSignals === true ? ["SIGINT", "SIGTERM"] as const : handleSignals || [];
  if (handled.length > 0) undo.push(watchTaskRunner());
  // Not SIGHUP: it ends this process, and with it the ranks, unless `nohup` has said otherwise.
  for (const name of handled) {
    if (Deno.build.os === "windows" && name !== "SIGINT") continue;
    let latest = -Infinity;
    const handler = () => {
      const now = performance.now();
      if (now - latest < SAME_MS[name]) return;
      latest = now;
      interrupt(name);
    };
    Deno.addSignalListener(name, handler);
    undo.push(() => Deno.removeSignalListener(name, handler));
  }
  return () => {
    for (const action of undo) action();
  };
}

/** An interrupt, for what goes by an `AbortSignal`; listened to from when it is made. */
export class Interrupt implements Disposable {
  /** The signal that came last, or "abort". */
  how = "abort";
  readonly #controller = new AbortController();
  readonly #undo: () => void;

  /** @param options who may interrupt; may have done so already */
  constructor(options: InterruptOptions) {
    this.#undo = onInterrupt(options, (how) => this.take(how));
    if (options.signal?.aborted) this.take("abort");
  }

  /** Aborted by the first. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Takes one. */
  take(how: string): void {
    this.how = how;
    this.#controller.abort();
  }

  /** Listens no longer. */
  [Symbol.dispose](): void {
    this.#undo();
  }
}

/** That a launch was given up before it had begun. */
export class InterruptedError extends Error {
  /** The name of the class. */
  override readonly name = "InterruptedError";

  /** Says what has ended it. */
  constructor(
    /** The signal to this process, or "abort" for an `AbortSignal`. */
    readonly how: string,
  ) {
    super(`the launch was ended by ${how} before all hosts were there`);
  }
}
