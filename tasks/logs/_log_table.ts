import type { LogLine } from "./_log_lines.ts";

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
