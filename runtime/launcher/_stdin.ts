/**
 * Passes the launcher's standard input on to ranks.
 *
 * @module
 */

import process from "node:process";
import type { Writable } from "node:stream";
import type { LaunchProgramOptions } from "./options.ts";

/** Whether a rank gets a standard input. */
export function hasStdin(
  { stdin = "none" }: Pick<LaunchProgramOptions, "stdin">,
  rank: number,
): boolean {
  return stdin === "all" || (stdin === "rank0" && rank === 0);
}

/**
 * Copies what comes in on standard input to all of these, as slowly as the slowest reads, until it ends.
 *
 * @returns ends the copying
 */
export function forwardStdin(targets: readonly Writable[]): () => void {
  const input = process.stdin, open = new Set(targets);
  for (const target of targets) {
    const gone = () => {
      open.delete(target);
      input.resume();
    };
    target.once("error", gone).once("close", gone);
  }
  const onData = (bytes: Uint8Array) => {
    for (const target of open) {
      if (target.write(bytes)) continue;
      input.pause();
      target.once("drain", () => {
        if (![...open].some(({ writableNeedDrain }) => writableNeedDrain)) input.resume();
      });
    }
  };
  const onEnd = () => {
    for (const target of open) target.end();
  };
  input.on("data", onData).once("end", onEnd).once("error", onEnd);
  // Of an end that an earlier job has seen nobody hears again.
  if (input.readableEnded || input.destroyed) onEnd();
  return () => {
    input.off("data", onData).off("end", onEnd).off("error", onEnd);
    input.pause();
    // A terminal would otherwise keep the process alive until its next line.
    input.unref?.();
  };
}
