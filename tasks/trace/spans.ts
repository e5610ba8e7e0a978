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
export interface Began {
  readonly from: number;
}

/** What takes them down. */
export interface SpanSink {
  /** The run's folder. */
  readonly directory: string;
  /** Notes spans that have ended, whose beginnings are in ms of `performance.now()`. */
  note(...spans: readonly Span[]): void;
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
