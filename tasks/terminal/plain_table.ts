/**
 * Tables for a terminal or a pipe: two spaces between columns, no frame.
 *
 * @module
 */

import { loadTables } from "../../deps.ts";

const SIGNS = {
  "top": "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  "bottom": "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  "left": "",
  "left-mid": "",
  "mid": "",
  "mid-mid": "",
  "right": "",
  "right-mid": "",
  "middle": "  ",
};

/** A column of a table. */
export interface PlainColumn {
  readonly head: string;
  /** From the top. */
  readonly cells: readonly string[];
  /** Whether it holds numbers, which stand on the right. */
  readonly number: boolean;
}

/**
 * A table as lines.
 *
 * @param dispensable headings of columns that it does without where it is too wide, the least missed first
 * @param width columns of the terminal, in which it must fit as far as it can
 * @returns the lines, and the headings of the columns that are left out
 */
export async function plainTable(
  columns: readonly PlainColumn[],
  dispensable: readonly string[] = [],
  width = Infinity,
): Promise<{ readonly lines: string[]; readonly leftOut: string[] }> {
  const leftOut: string[] = [];
  let shown = columns, lines = await linesOf(shown);
  for (const head of dispensable) {
    if (lines.every((line) => line.length <= width)) break;
    if (!shown.some((column) => column.head === head)) continue;
    shown = shown.filter((column) => column.head !== head);
    leftOut.push(head);
    lines = await linesOf(shown);
  }
  return { lines, leftOut };
}

async function linesOf(columns: readonly PlainColumn[]): Promise<string[]> {
  const table = new (await loadTables())({
    head: columns.map(({ head }) => head),
    colAligns: columns.map(({ number }) => number ? "right" as const : "left" as const),
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
    chars: SIGNS,
  });
  const rows = Math.max(0, ...columns.map(({ cells }) => cells.length));
  for (let row = 0; row < rows; row++) table.push(columns.map(({ cells }) => cells[row]));
  return table.toString().split("\n").map((line) => line.trimEnd());
}

/** Columns of the terminal on standard output; undefined where it is none, or does not say. */
export function terminalColumns(): number | undefined {
  return Deno.stdout.isTerminal() ? Deno.consoleSize().columns || undefined : undefined;
}
