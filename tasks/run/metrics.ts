/**
 * The file that a run's records are written to: `metrics.jsonl`, one JSON object a line. Every figure is
 * drawn from this one file. `logs/` reads it.
 *
 * @module
 */

import type { MetricRecord } from "../logs/records.ts";
import { isSystemError, WriteError } from "./write_error.ts";
import { platform } from "../../runtime/base/platform.ts";

export type * from "../logs/records.ts";

/** Writes records; one process owns the file. Lines are whole in the file as soon as a write returns. */
export class MetricsLog implements Disposable {
  readonly #path: string | URL;
  readonly #file: Deno.FsFile;
  readonly #encoder = new TextEncoder();
  /** What is kept back; null: nothing is. */
  #held: MetricRecord[] | null = null;

  /**
   * Opens a log.
   *
   * @param path is created, or emptied if it exists
   * @param options.append goes on at the end of an existing log instead; of a line that was cut off nothing stays
   */
  constructor(path: string | URL, { append = false }: { append?: boolean } = {}) {
    this.#path = path;
    if (append) forgetTornLine(path);
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
    if (this.#held) return void this.#held.push(...records);
    let rest = this.#encoder.encode(
      records.map((record) => JSON.stringify(record) + "\n").join(""),
    );
    try {
      while (rest.length > 0) rest = rest.subarray(this.#file.writeSync(rest));
    } catch (cause) {
      throw isSystemError(cause) ? new WriteError(this.#path, cause) : cause;
    }
  }

  /** Keeps back what is written from here on, until it is known to stand. */
  hold(): void {
    this.#held = [];
  }

  /**
   * Writes what was kept back, or drops it.
   *
   * @throws WriteError if the disk is full
   */
  release(stands: boolean): void {
    const held = this.#held ?? [];
    this.#held = null;
    if (stands) this.write(...held);
  }

  /** Waits until what has been written is on the disk. Throws WriteError if it is full. */
  async sync(): Promise<void> {
    try {
      await this.#file.sync();
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
