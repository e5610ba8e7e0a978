/**
 * What ends a launcher from outside: signals, its caller, and the end of the `deno task` that runs it. That
 * passes signals on, but not SIGKILL: killed, it would leave a launcher and ranks that nobody knows of.
 *
 * @module
 */

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

/** Who may end a launcher; see `LaunchProgramOptions`. */
export interface InterruptOptions {
  /** A caller's. */
  readonly signal?: AbortSignal;
  /** Whether SIGINT and SIGTERM do, or which of them. @default {true} */
  readonly handleSignals?: boolean | readonly ("SIGINT" | "SIGTERM")[];
}

/**
 * Calls `interrupt` with the name of the signal, or "abort", each time that somebody wants an end.
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
    const handler = () => interrupt(name);
    Deno.addSignalListener(name, handler);
    undo.push(() => Deno.removeSignalListener(name, handler));
  }
  return () => {
    for (const action of undo) action();
  };
}
