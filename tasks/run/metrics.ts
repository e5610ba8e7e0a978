/**
 * The file that a run's records are written to: `metrics.jsonl`, one JSON object a line. Every figure is
 * drawn from this one file. `logs/` reads it.
 *
 * @module
 */

import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { isSystemError } from "../../runtime/base/system_error.ts";
import type { MetricRecord } from "../logs/records.ts";
import { syncFolder, WriteError, writeText } from "./write_error.ts";
import { platform } from "../../runtime/base/platform.ts";

export type * from "../logs/records.ts";

/** Writes records; one process owns the file. Lines are whole in the file as soon as a write returns. */
export class MetricsLog implements Disposable {
  readonly #path: string | URL;
  readonly #file: Deno.FsFile;
  /** What is kept back, and the number of the piece of work that it is of; null: nothing is. */
  #held: { readonly piece: number; readonly records: MetricRecord[] } | null = null;

  /**
   * Opens a log.
   *
   * @param path is created, or emptied if it exists
   * @param options.append goes on at the end of an existing log instead; of a line that was cut off nothing stays
   * @param options.redone the piece of work that is to be done again: what another writer had kept back of those
   * before it stands
   */
  constructor(
    path: string | URL,
    { append = false, redone = -Infinity }: { append?: boolean; redone?: number } = {},
  ) {
    this.#path = path;
    if (append) forgetTornLine(path);
    settleHeld(path, (piece) => append && piece < redone);
    this.#file = platform.openSync(
      path,
      append ? { append, create: true } : { write: true, create: true, truncate: true },
    );
  }

  /**
   * Appends records, in order.
   *
   * @throws WriteError if the disk is full
   */
  write(...records: MetricRecord[]): void {
    if (this.#held) return void this.#held.records.push(...records);
    writeText(this.#file, linesOf(records), this.#path);
  }

  /**
   * Keeps back what is written from here on, until it is known to stand.
   *
   * @param piece of work that it is of; they are done in the order of their numbers
   */
  hold(piece: number): void {
    this.#held = { piece, records: [] };
  }

  /**
   * Writes what is kept back to a file of its own, beside the log: whoever writes the log after this process takes
   * it in if the piece stands. Throws WriteError if the disk is full.
   */
  keep(): void {
    const { piece, records } = this.#held!, path = heldPath(this.#path);
    using file = platform.openSync(path, { write: true, create: true, truncate: true });
    writeText(file, `${piece}\n${linesOf(records)}`, path);
  }

  /**
   * Writes what was kept back, or drops it.
   *
   * @throws WriteError if the disk is full
   */
  release(stands: boolean): void {
    const held = this.#held!.records;
    this.#held = null;
    if (stands) this.write(...held);
    removeHeld(this.#path);
  }

  /** Waits until what has been written, or is kept back, is on the disk. Throws WriteError if it is full. */
  async sync(): Promise<void> {
    try {
      await this.#file.sync();
      if (!this.#held) return;
      this.keep();
      const path = heldPath(this.#path);
      {
        using file = await platform.open(path, { write: true });
        await file.sync();
      }
      await syncFolder(dirname(path));
    } catch (cause) {
      throw isSystemError(cause) ? new WriteError(this.#path, cause) : cause;
    }
  }

  /** Closes the file; what it says is then on the disk, as far as the system can tell. */
  [Symbol.dispose](): void {
    try {
      this.#file.syncSync();
    } catch {
      // Not every file can be synced, such as a pipe.
    }
    this.#file.close();
  }
}

/** More bytes than a line has. */
const LINE_BYTES = 1 << 16;

/** Cuts off what a writer that was killed has left behind the last whole line. */
function forgetTornLine(path: string | URL): void {
  let file: Deno.FsFile;
  try {
    file = platform.openSync(path, { read: true, write: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  using log = file;
  const { size } = log.statSync(), from = Math.max(0, size - LINE_BYTES);
  const tail = new Uint8Array(size - from);
  log.seekSync(from, Deno.SeekMode.Start);
  for (let at = 0; at < tail.length;) at += log.readSync(tail.subarray(at)) ?? tail.length;
  const whole = from + tail.lastIndexOf("\n".charCodeAt(0)) + 1;
  if (whole < size) log.truncateSync(whole);
}

/** The number of what ranks do together after step `t`, or, after that, at the end of the run. */
export function pieceAfter(t: number, isEnd: boolean): number {
  return 2 * t + Number(isEnd);
}

/** The lines of records. */
function linesOf(records: readonly MetricRecord[]): string {
  return records.map((record) => JSON.stringify(record) + "\n").join("");
}

/** The file beside a log that has what is kept back of it. */
function heldPath(log: string | URL): string {
  const path = typeof log === "string" ? log : fileURLToPath(log);
  return join(dirname(path), `.${basename(path)}.held`);
}

function removeHeld(log: string | URL): void {
  try {
    platform.removeSync(heldPath(log));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/**
 * Takes what a writer had kept back of a log into it, as far as it is not in it already, or drops it.
 *
 * @param stands whether a piece of work does, by its number
 */
export function settleHeld(log: string | URL, stands: (piece: number) => boolean): void {
  let held: string;
  try {
    held = platform.readTextFileSync(heldPath(log));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  // The last line may have been cut off.
  const [piece, ...lines] = held.slice(0, held.lastIndexOf("\n")).split("\n");
  if (lines.length > 0 && stands(Number(piece))) {
    const written = platform.readTextFileSync(log).split("\n").slice(0, -1);
    let both = Math.min(lines.length, written.length);
    while (lines.slice(0, both).join("\n") !== written.slice(written.length - both).join("\n")) {
      both--;
    }
    using file = platform.openSync(log, { append: true });
    writeText(file, lines.slice(both).map((line) => line + "\n").join(""), log);
  }
  removeHeld(log);
}
