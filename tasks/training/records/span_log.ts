/**
 * The file that rank 0 writes spans to, with `--trace`. `trace/` reads it.
 *
 * @module
 */

import { join } from "node:path";
import { writeText } from "../../run/write_error.ts";
import { type Began, type Span, SPANS_FILE, type SpanSink } from "../../trace/spans.ts";

/** Notes spans, whose beginnings are in ms of `performance.now()`; one process owns the file. */
export class SpanLog implements SpanSink, Disposable {
  /** The run's folder. */
  readonly directory: string;
  readonly #path: string;
  readonly #file: Deno.FsFile;
  /** When the run's first step began; null: it has not. */
  #origin: number | null = null;

  /** @param append whether the run goes on that has written there */
  constructor(directory: string, append: boolean) {
    const how = append ? { append, create: true } : { write: true, create: true, truncate: true };
    this.directory = directory;
    this.#path = join(directory, SPANS_FILE);
    this.#file = Deno.openSync(this.#path, how);
  }

  /**
   * Says when the run's first step began: before this process did, where the run goes on. What is noted before that
   * is known is left out, and so is all but the first answer.
   */
  begin(origin: number): void {
    if (this.#origin !== null) return;
    this.#origin = origin;
    this.#write([{ from: performance.now() - origin }]);
  }

  /** Notes spans that have ended. Throws WriteError if the disk is full. */
  note(...spans: readonly Span[]): void {
    const origin = this.#origin;
    if (origin === null) return;
    this.#write(spans.map((span) => ({ ...span, start: span.start - origin })));
  }

  #write(lines: readonly (Span | Began)[]): void {
    writeText(this.#file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""), this.#path);
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}
