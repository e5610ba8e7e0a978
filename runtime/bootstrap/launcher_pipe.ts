/**
 * A rank's pipe from its launcher: one line with the job's secret, then nothing, for as long as the
 * launcher is there. Its end is the end of the rank, so that no rank outlives its launcher.
 *
 * The pipe is the descriptor that CELGC_SECRET_FD names, beside the three standard ones, so that
 * standard input is the program's own; without that variable it is standard input.
 *
 * The launcher preloads this module into every rank (`deno run --preload`), so that a program which
 * never joins the job is covered too. It does not keep the process alive.
 *
 * @module
 */

import { Socket } from "node:net";
import { platform } from "../base/platform.ts";

// The program may import the runtime under another URL; both must share the one pipe.
const SHARED = Symbol.for("celgc.secret");

/** Exit code of a rank whose launcher is gone: as if ended by SIGTERM. */
const ORPHANED = 143;

/** Longest line that is taken for a secret. */
const LONGEST_LINE = 1024;

/** Ends this process because whoever started it is gone, and with it who would clean up. */
export function endOrphan(): never {
  try {
    platform.removeSync(Deno.env.get("CELGC_SOCKETS")!, { recursive: true });
  } catch {
    // Another rank was faster, or there was none.
  }
  platform.exit(ORPHANED);
}

/** The first line of the launcher's pipe; the same promise for all who ask. */
export function secretLine(): Promise<string> {
  const shared = globalThis as { [SHARED]?: Promise<string> };
  return shared[SHARED] ??= watch();
}

function watch(): Promise<string> {
  const line = Promise.withResolvers<string>();
  const fd = Number(Deno.env.get("CELGC_SECRET_FD") ?? 0);
  // A socket, unlike Deno.stdin, can wait for the end without keeping the process alive.
  const input = new Socket({ fd, readable: true, writable: false });
  let text = "", known = false;
  input.on("data", (bytes: Uint8Array) => {
    if (known) return;
    text += new TextDecoder().decode(bytes);
    const end = text.indexOf("\n");
    if (end < 0 && text.length <= LONGEST_LINE) return;
    known = true;
    line.resolve(text.slice(0, Math.max(0, end)).trim());
    text = "";
  });
  const end = () => {
    if (!known) console.error("the launcher's pipe ended before the line with the job's secret");
    endOrphan();
  };
  input.on("error", end);
  input.on("end", end);
  input.unref();
  return line.promise;
}
