/**
 * What the ranks print: line by line, to whoever shows it, to a log file a rank, and into the memory of
 * the last lines.
 *
 * @module
 */

import { platform } from "../base/platform.ts";
import type { Readable } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import type { StreamName } from "./rank.ts";

export type { StreamName } from "./rank.ts";

/** Longest line that is kept together, in characters; the rest of a longer one is a line of its own. */
const LONGEST_LINE = 16384;
/** In how many parts it is counted how long the streams of a rank that has ended are waited for. */
const LOOKS = 10;
/** More than pipes and streams hold of what a rank has printed before its end, in bytes. */
const MOST_HELD = 1 << 20;
/** How many last lines of a rank are remembered, and how many characters of each. */
const LAST_LINES = 20, LAST_LINE_LENGTH = 500;

/**
 * Opens `rank-<r>.log` in a folder, empty.
 *
 * @throws Deno.errors as the system says
 */
export function openLog(folder: string, rank: number): Promise<Deno.FsFile> {
  return Deno.open(`${folder}/rank-${rank}.log`, { write: true, create: true, truncate: true });
}

/** Where a rank's output goes. */
export interface OutputOptions {
  readonly rank: number;
  /** Each complete line, without its end. */
  line(text: string, stream: StreamName): void | Promise<void>;
  /** The bytes as they come, if somebody wants them. */
  readonly bytes?: (bytes: Uint8Array, stream: StreamName) => void | Promise<void>;
  /** Log file, or null; owned by the output. */
  readonly log: Deno.FsFile | null;
  /** That the log file cannot be written to, said once. @default {as a line on standard error} */
  readonly logFailed?: (text: string) => void | Promise<void>;
}

/** Takes in what one rank prints. */
export class RankOutput {
  readonly #options: OutputOptions;
  readonly #last: string[] = [];
  #logFailed = false;
  /** Bytes that have come. */
  #bytes = 0;
  /** Streams whose bytes are being passed on: nothing more is read of them meanwhile. */
  #passing = 0;
  #streams: readonly Readable[];
  readonly #pumps: readonly Promise<void>[];

  constructor(
    stdout: Readable,
    stderr: Readable,
    options: OutputOptions,
  ) {
    this.#options = options;
    this.#streams = [stdout, stderr];
    this.#pumps = [this.#pump(stdout, "stdout"), this.#pump(stderr, "stderr")];
  }

  /** The last lines so far, oldest first. */
  get lastLines(): readonly string[] {
    return this.#last;
  }

  /**
   * Resolves when both streams have ended, or have been waited for for `graceMs` in all: a process that the rank has
   * left behind may hold them open. That somebody is slow to take what the rank has printed does not count.
   */
  async drain(graceMs: number): Promise<void> {
    const most = this.#bytes + MOST_HELD;
    let left = LOOKS;
    const timer = platform.setInterval(() => {
      if (this.#passing > 0 && this.#bytes < most || --left > 0) return;
      for (const stream of this.#streams) stream.destroy();
    }, graceMs / LOOKS);
    await Promise.allSettled(this.#pumps);
    platform.clearInterval(timer);
    this.#streams = []; // A job may see thousands of ranks end; their last lines stay.
    this.#options.log?.close();
  }

  async #pump(stream: Readable, name: StreamName): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    try {
      for await (const bytes of stream as AsyncIterable<Uint8Array>) {
        this.#bytes += bytes.length;
        this.#passing++;
        await this.#options.bytes?.(bytes, name);
        const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
        rest = lines.pop()!;
        for (const line of lines) await this.#line(await this.#cut(line, name), name);
        rest = await this.#cut(rest, name);
        this.#passing--;
      }
    } catch {
      // Cut off by drain().
    }
    rest += decoder.decode();
    if (rest !== "") await this.#line(rest, name);
  }

  /** Passes on the front of a line that is too long, and returns what is left of it. */
  async #cut(line: string, name: StreamName): Promise<string> {
    let rest = line;
    while (rest.length > LONGEST_LINE) {
      const front = frontOf(rest, LONGEST_LINE);
      rest = rest.slice(front.length);
      await this.#line(front, name);
    }
    return rest;
  }

  async #line(text: string, name: StreamName): Promise<void> {
    const line = text.endsWith("\r") ? text.slice(0, -1) : text;
    const plain = stripVTControlCharacters(line);
    if (plain.trim() !== "") {
      this.#last.push(frontOf(plain, LAST_LINE_LENGTH));
      if (this.#last.length > LAST_LINES) this.#last.shift();
    }
    await this.#options.line(line, name);
    await this.#keep(plain);
  }

  /** Writes a line to the log file; where that is not possible it is said, once. */
  async #keep(line: string): Promise<void> {
    const { log } = this.#options;
    if (log === null || this.#logFailed) return;
    try {
      await writeAll(log, new TextEncoder().encode(`${line}\n`));
    } catch (error) {
      this.#logFailed = true;
      const reason = error instanceof Error ? error.message : String(error);
      const text = `its log file ends here: ${reason}`;
      const { logFailed } = this.#options;
      await (logFailed === undefined ? this.#options.line(text, "stderr") : logFailed(text));
    }
  }
}

/** The first so many characters of a text, or one fewer where a pair that is one character would be cut in two. */
function frontOf(text: string, most: number): string {
  const front = text.slice(0, most);
  return front.isWellFormed() ? front : front.slice(0, -1);
}

/** Writes whole pieces to one of this process's own streams, one after another. */
export class Printer {
  readonly #target: { write(bytes: Uint8Array): Promise<number> };
  #last: Promise<void> = Promise.resolve();

  constructor(target: { write(bytes: Uint8Array): Promise<number> }) {
    this.#target = target;
  }

  /** Resolves when written; whoever prints faster than the reader reads has to wait. */
  print(bytes: Uint8Array): Promise<void> {
    // A reader that has gone away, such as `head`, is no reason to end the job.
    return this.#last = this.#last.then(() => writeAll(this.#target, bytes)).catch(() => {});
  }
}

async function writeAll(
  target: { write(bytes: Uint8Array): Promise<number> },
  bytes: Uint8Array,
): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await target.write(bytes.subarray(at));
}
