/**
 * What rank 0 does beside its steps, with the time of each: checkpoints, and the engine's kernels. A run with `--trace`
 * notes them in a file of its own as they come, from which the trace is made when it has ended.
 *
 * @module
 */

import { join } from "node:path";

/** Name of the file in a run's folder. */
export const SPANS_FILE = "spans.jsonl";

/** Something that took its time. */
export interface Span {
  readonly kind: "checkpoint" | "kernel";
  /** What was done, such as a kernel's operator. */
  readonly name: string;
  /** When it began, in ms. */
  readonly start: number;
  readonly milliseconds: number;
  /** What else is known of it: the steps that were done, a kernel's node. */
  readonly of: Readonly<Record<string, string | number>>;
}

/** A process has begun here: what one before it has noted of later does not count, since the run went on from a checkpoint. */
interface Began {
  readonly from: number;
}

/** Notes spans, whose beginnings are in ms of `performance.now()`; one process owns the file. */
export class SpanLog implements Disposable {
  /** The run's folder. */
  readonly directory: string;
  readonly #file: Deno.FsFile;
  /** When the run's first step began; null: it has not. */
  #origin: number | null = null;

  /** @param append whether the run goes on that has written there */
  constructor(directory: string, append: boolean) {
    const how = append ? { append, create: true } : { write: true, create: true, truncate: true };
    this.directory = directory;
    this.#file = Deno.openSync(join(directory, SPANS_FILE), how);
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

  /** Notes spans that have ended. */
  note(...spans: readonly Span[]): void {
    const origin = this.#origin;
    if (origin === null) return;
    this.#write(spans.map((span) => ({ ...span, start: span.start - origin })));
  }

  #write(lines: readonly (Span | Began)[]): void {
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    for (let left = new TextEncoder().encode(text); left.length > 0;) {
      left = left.subarray(this.#file.writeSync(left));
    }
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** The spans that hold, in the order in which they began, since the run's first step; none where there is no file. */
export async function readSpans(directory: string): Promise<Span[]> {
  let text: string;
  try {
    text = await Deno.readTextFile(join(directory, SPANS_FILE));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  let spans: Span[] = [];
  for (const line of text.split("\n")) {
    const entry = parse(line);
    if (entry === null) continue;
    if ("from" in entry) spans = spans.filter(({ start }) => start < entry.from);
    else if (entry.start >= 0) spans.push(entry);
  }
  return spans.sort((a, b) => a.start - b.start);
}

/** A line; null if it is none, such as the last of a process that was killed. */
function parse(line: string): Span | Began | null {
  try {
    const entry = JSON.parse(line);
    if (typeof entry?.from === "number") return entry;
    const { kind, name, start, milliseconds, of } = entry;
    const whole = (kind === "checkpoint" || kind === "kernel") && typeof name === "string" &&
      Number.isFinite(start) && Number.isFinite(milliseconds) && typeof of === "object";
    return whole ? entry : null;
  } catch {
    return null;
  }
}
