import { ReportError } from "./log_error.ts";

/**
 * What the report keeps of one `step` line. A loss or norm that was not finite (`null` in JSON) is
 * NaN.
 */
export const STEP_FIELDS = [
  "rank",
  "iteration",
  "round",
  "epoch",
  "seconds",
  "bytesSent",
  "bytesReceived",
  "samples",
  "loss",
  "gradNorm",
  "clipped",
  "lr",
  "clip",
  "stepMs",
] as const;

/** What the report keeps of one `round` line. `participants` is how many ranks averaged. */
export const ROUND_FIELDS = [
  "rank",
  "iteration",
  "round",
  "epoch",
  "seconds",
  "bytesSent",
  "bytesReceived",
  "samples",
  "syncMs",
  "drift",
  "driftBound",
  "participants",
] as const;

/** What the report keeps of one `eval` line; `accuracy` is a fraction of 1. */
export const EVAL_FIELDS = [
  "rank",
  "iteration",
  "round",
  "epoch",
  "seconds",
  "bytesSent",
  "bytesReceived",
  "samples",
  "loss",
  "accuracy",
  "perplexity",
] as const;

/** Fields without which a line has no place in any figure. */
const REQUIRED = ["rank", "iteration", "epoch", "seconds"] as const;

/** One line of `metrics.jsonl` as an object; `type` tells which. */
export type LogLine = { readonly type: string } & Readonly<Record<string, unknown>>;

/** A line that could not be read. `line` counts from 1. */
export interface DamagedLine {
  readonly line: number;
  readonly reason: string;
}

/**
 * What a line of the log turned out to be: a record, damage (and why), or nothing (a blank line).
 */
export type ParsedLine =
  | { readonly record: LogLine; readonly damage?: undefined }
  | { readonly record?: undefined; readonly damage: string }
  | { readonly record?: undefined; readonly damage?: undefined };

/** Reads one line of `metrics.jsonl`. Never throws. */
export function parseLogLine(text: string): ParsedLine {
  if (text.trim() === "") return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { damage: `not JSON (${excerpt(text)})` };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { damage: `not an object (${excerpt(text)})` };
  }
  const record = value as Record<string, unknown>;
  if (typeof record.type !== "string") return { damage: 'no "type"' };
  if (["step", "round", "eval"].includes(record.type)) {
    for (const field of REQUIRED) {
      if (typeof record[field] !== "number") {
        return { damage: `a ${record.type} needs the number "${field}"` };
      }
    }
  }
  return { record: record as LogLine };
}

function excerpt(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}

/** Numbers of one kind of line, held by column: a long run logs millions of lines. */
export class LogTable<Field extends string> {
  readonly #columns: Record<Field, number[]>;
  readonly #fields: readonly Field[];

  constructor(fields: readonly Field[]) {
    this.#fields = fields;
    this.#columns = Object.fromEntries(fields.map((f) => [f, []])) as unknown as Record<
      Field,
      number[]
    >;
  }

  /** Lines held. */
  get length(): number {
    return this.#columns[this.#fields[0]].length;
  }

  /**
   * The values of one field, in the order of the log; NaN where a line did not have it. Not a copy.
   */
  column(field: Field): readonly number[] {
    return this.#columns[field];
  }

  /** Appends a line. Booleans count as 0 and 1, arrays by their length. */
  push(line: LogLine): void {
    for (const field of this.#fields) this.#columns[field].push(toNumber(line[field]));
  }

  /**
   * The rows that still hold, as indices in the order of the log. A job restarted from a checkpoint
   * logs the iterations since then again; of a rank's rows for an iteration only those of the last
   * pass count.
   *
   * @param series what counts as one series of rising iterations; the rank by default
   */
  rows(series: (row: number) => unknown = (row) => this.column("rank" as Field)[row]): number[] {
    const iteration = this.column("iteration" as Field);
    const earliest = new Map<unknown, number>();
    const kept: number[] = [];
    for (let row = this.length - 1; row >= 0; row--) {
      const key = series(row);
      if (iteration[row] >= (earliest.get(key) ?? Infinity)) continue;
      earliest.set(key, iteration[row]);
      kept.push(row);
    }
    return kept.reverse();
  }

  /** Drops every line (the file was begun anew). */
  clear(): void {
    for (const field of this.#fields) this.#columns[field].length = 0;
  }
}

function toNumber(value: unknown): number {
  if (typeof value === "number") return value;
  if (typeof value === "boolean") return value ? 1 : 0;
  if (Array.isArray(value)) return value.length;
  return NaN;
}

/**
 * Reads a run's `config.json`. Null where there is none. Throws {@link ReportError} where it is not
 * an object.
 */
export async function readConfig(path: string): Promise<Record<string, unknown> | null> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch { /* said below */ }
  throw new ReportError(
    `cannot read ${path}: it must hold one JSON object (a run's options) and does not; ` +
      "delete it to report without the options",
  );
}
