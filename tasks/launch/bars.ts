/**
 * Progress bars on the terminal of standard error, in the one look that all views share.
 *
 * @module
 */

import process from "node:process";
import { loadProgressBars } from "../../deps.ts";

/** Opens an area for bars and for lines above them; whoever opens it stops it. */
export async function openBars(format: string) {
  const { MultiBar } = (await loadProgressBars()).default;
  return new MultiBar({
    stream: process.stderr,
    format,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    barsize: 24,
    etaBuffer: 50,
    hideCursor: true,
    clearOnComplete: true,
    // Whoever opened the view handles Ctrl-C, and closes it.
    gracefulExit: false,
  });
}
