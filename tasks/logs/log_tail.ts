/**
 * Reading `metrics.jsonl`: the one reader of it, whole or as it grows.
 *
 * @module
 */

import { platform } from "../../runtime/base/platform.ts";
import { type ParsedLine, parseLogLine } from "./_log_lines.ts";
import { LogError } from "./log_error.ts";
import type { MetricRecord } from "./records.ts";

export type { ParsedLine };

const CHUNK_BYTES = 1 << 20;

/** What is done with what is read. */
export interface LogSink {
  /** Takes a line, by its number from 1. */
  take(line: ParsedLine, number: number): void;
  /** The file was begun anew: what was taken before holds no longer. */
  restart(): void;
}

/** Reads a log that may still be growing: each call takes in what came since the last. */
export class LogTail {
  /** The file. */
  readonly path: string | URL;
  /** True if the last line is incomplete: the run is writing it, or died doing so. */
  torn = false;
  /** When the file was last written to; null where the system does not say, or before a reading. */
  modified: Date | null = null;
  #offset = 0;
  #line = 0;
  #identity = "";
  #unended = false;

  /** @param path need not exist yet */
  constructor(path: string | URL) {
    this.path = path;
  }

  /**
   * Takes in the lines that were appended since; a file begun anew is read from its start.
   *
   * @returns true if there was anything
   * @throws {Deno.errors.NotFound} if there is no file
   */
  read(sink: LogSink): boolean {
    using file = platform.openSync(this.path);
    const before = this.#offset;
    const info = file.statSync();
    this.modified = info.mtime;
    const identity = `${info.dev}:${info.ino}`;
    const anew = this.#identity !== identity || info.size < this.#offset;
    if (anew) {
      this.#offset = this.#line = 0;
      this.#unended = false;
      sink.restart();
    }
    this.#identity = identity;
    file.seekSync(this.#offset, Deno.SeekMode.Start);
    this.#readLines(file, sink);
    return anew || this.#offset !== before;
  }

  /**
   * The records that were appended since; none while there is no file.
   *
   * @throws {LogError} if a line is damaged
   */
  records(): MetricRecord[] {
    const records: MetricRecord[] = [];
    try {
      this.read({
        restart: () => {},
        take: ({ record, damage }, number) => {
          if (record) records.push(record as unknown as MetricRecord);
          if (damage === undefined) return;
          throw new LogError(`cannot read ${this.path}, line ${number}: ${damage}`);
        },
      });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return records;
  }

  #readLines(file: Deno.FsFile, sink: LogSink): void {
    let rest = new Uint8Array(0);
    const chunk = new Uint8Array(CHUNK_BYTES);
    for (let read = file.readSync(chunk); read !== null; read = file.readSync(chunk)) {
      const bytes = new Uint8Array(rest.length + read);
      bytes.set(rest);
      bytes.set(chunk.subarray(0, read), rest.length);
      const end = bytes.lastIndexOf(0x0a) + 1;
      if (end > 0) this.#takeText(bytes.subarray(0, end), sink);
      rest = bytes.slice(end);
    }
    // No newline yet: a line being written, unless the run ended without one.
    const tail = parseLogLine(new TextDecoder().decode(rest));
    this.torn = tail.damage !== undefined;
    if (!tail.record) return;
    this.#takeText(rest, sink);
    this.#unended = true;
  }

  #takeText(bytes: Uint8Array, sink: LogSink): void {
    this.#offset += bytes.length;
    const lines = new TextDecoder().decode(bytes).split("\n");
    if (lines.at(-1) === "") lines.pop();
    // The newline of a line that was taken before it had one.
    if (this.#unended && lines[0] === "") lines.shift();
    this.#unended = false;
    for (const text of lines) sink.take(parseLogLine(text), ++this.#line);
  }
}

/**
 * All records of a finished or running log; none where there is no file.
 *
 * @throws {LogError} if a line is damaged
 */
export function readMetrics(path: string | URL): MetricRecord[] {
  return new LogTail(path).records();
}
