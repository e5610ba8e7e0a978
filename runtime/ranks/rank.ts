/**
 * A rank as whoever starts it sees it, wherever it runs.
 *
 * @module
 */

import type { Readable, Writable } from "node:stream";

/** Which of a rank's two streams. */
export type StreamName = "stdout" | "stderr";

/** How a rank's process ended. */
export interface ExitStatus {
  /** Its exit code; 128 and the number of the signal if one ended it. */
  readonly code: number;
  readonly signal: string | null;
  /** What became of it, in words to follow "rank 3 on b", if its end was not seen; else null. */
  readonly lost: string | null;
}

/** A rank that has been started. */
export interface Rank {
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Its standard input, or null if that is empty. */
  readonly stdin: Writable | null;
  /** How it ended. */
  readonly status: Promise<ExitStatus>;
  /** Sends a signal to the rank and to what it has started; nothing happens if it has ended. */
  kill(signal: Deno.Signal): void;
}
