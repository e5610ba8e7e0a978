/**
 * Tables as CSV (RFC 4180), with a head that names the columns; commas, semicolons or tabs between them.
 *
 * @module
 */

import { loadCsvParser } from "../../../deps.ts";
import { DataError } from "../data_error.ts";
import { firstInvalidByte, invalidError, zeroError } from "../text/utf8.ts";
import type { NamedArray, NumberArray } from "./npy.ts";

/** A table. */
export interface Table {
  /** The file, for messages. */
  readonly path: string;
  /** Names of the columns, in their order. */
  readonly columns: readonly string[];
  /** The rows below the head. */
  readonly rows: readonly (readonly string[])[];
  /** In which line of the file a row begins, counted from 1. */
  lineOf(row: number): number;
}

/** What stands where a value is missing, as pandas reads it. */
const MISSING = /^(|na|n\/a|nan|-nan|null|none|\?|#n\/a)$/i;

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** What is written for yes and no. */
const TRUTH: Readonly<Record<string, number>> = { true: 1, false: 0 };

/** A longer file is no text that an engine could hold. */
const MOST_BYTES = 2 ** 29 - 2 ** 20;

/**
 * Reads a table.
 *
 * @throws DataError that names the file and the line
 */
export async function readTable(path: string, bytes: Uint8Array): Promise<Table> {
  const cannot = (why: string, cause?: unknown) =>
    new DataError(`cannot read the table ${path}: ${why}`, { path, cause });
  if (bytes.length > MOST_BYTES) {
    throw cannot(
      `it has ${bytes.length} bytes, of CSV at most ${MOST_BYTES} can be read: save its arrays as .npz`,
    );
  }
  const zero = bytes.indexOf(0), invalid = zero < 0 ? firstInvalidByte(bytes) : null;
  if (zero >= 0) throw zeroError(path, zero);
  if (invalid !== null) throw invalidError(path, invalid, bytes[invalid], undefined);
  const text = new TextDecoder().decode(bytes), separator = separatorOf(text);
  const { parse } = await loadCsvParser();
  let records: string[][];
  try {
    records = parse(text, { separator });
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw cannot(`${cause.message.slice(0, 200)}: quote fields as RFC 4180 has it`, cause);
  }
  const [head = [], ...rows] = records, columns = head.map((name) => name.trim());
  if (columns.length === 0 || rows.length === 0) {
    throw cannot("a head with the names of its columns, and rows below, are required");
  }
  const second = columns.findIndex((name, i) => name === "" || columns.indexOf(name) !== i);
  if (second >= 0) {
    throw cannot(
      columns[second] === ""
        ? `column ${second + 1} of its head has no name`
        : `its head names two columns ${brief(columns[second])}`,
    );
  }
  if (columns.every((name) => NUMBER.test(name))) {
    throw cannot("its first line is all numbers; a head with the names of its columns is required");
  }
  const lineOf = (row: number) => beginningOf(text, row + 1);
  const ragged = rows.findIndex((row) => row.length !== columns.length);
  if (ragged >= 0) {
    throw cannot(
      `line ${lineOf(ragged)} has ${rows[ragged].length} fields, the head ${columns.length}`,
    );
  }
  return { path, columns, rows, lineOf };
}

/** A column as numbers if all of it is, else as texts. */
export function columnOf(table: Table, name: string): NamedArray {
  const values = valuesOf(table, name), { length } = values;
  const numbers = values.map(numberOf);
  if (numbers.some(Number.isNaN)) return { kind: "text", dims: [length], data: values };
  const kind = values.every((value) => value.toLowerCase() in TRUTH)
    ? "boolean"
    : numbers.every(Number.isInteger)
    ? "whole"
    : "float";
  return { kind, dims: [length], data: numbers };
}

/** Columns of numbers side by side, `[rows, columns]`. Throws DataError that names a field which is none. */
export function columnsOf(table: Table, names: readonly string[]): NumberArray {
  const { path, rows } = table, data = new Float64Array(rows.length * names.length);
  for (const [at, name] of names.entries()) {
    for (const [row, value] of valuesOf(table, name).entries()) {
      const number = numberOf(value);
      if (Number.isNaN(number)) {
        throw new DataError(
          `cannot read the table ${path}: in line ${table.lineOf(row)}, column ${
            brief(name)
          }, stands ` +
            `${
              brief(value)
            }, which is no number: leave the column out with --inputs, or make numbers of it`,
          { path },
        );
      }
      data[row * names.length + at] = number;
    }
  }
  return { kind: "float", dims: [rows.length, names.length], data };
}

/** A column's fields. Throws DataError where one is missing. */
function valuesOf(table: Table, name: string): string[] {
  const at = table.columns.indexOf(name);
  return table.rows.map((row, i) => {
    const value = row[at].trim();
    if (!MISSING.test(value)) return value;
    throw new DataError(
      `cannot read the table ${table.path}: line ${table.lineOf(i)} has no value in column ` +
        `${brief(name)}${
          value === "" ? "" : ` (${value})`
        }: fill it in, or leave the row or the column out`,
      { path: table.path },
    );
  });
}

/** A finite number, or NaN. */
function numberOf(value: string): number {
  const number = NUMBER.test(value) ? Number(value) : TRUTH[value.toLowerCase()] ?? NaN;
  return Number.isFinite(number) ? number : NaN;
}

/** A text of the user's in a message, quoted, and not longer than a line. */
export const brief = (text: string): string =>
  JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);

/** What stands between the fields: what the first line has most of. */
function separatorOf(text: string): string {
  const [line] = /^[^\r\n]*/.exec(text)!, plain = line.replaceAll(/"[^"]*"/g, "");
  const count = (separator: string) => plain.split(separator).length;
  return [",", ";", "\t"].reduce((most, each) => count(each) > count(most) ? each : most);
}

/** The line in which the n-th record begins; empty lines and those inside of quotes are none. */
function beginningOf(text: string, n: number): number {
  let line = 1, record = -1, isInside = false, isEmpty = true;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (isEmpty && character !== "\n" && character !== "\r") {
      isEmpty = false;
      if (!isInside && ++record === n) return line;
    }
    if (character === '"') isInside = !isInside;
    if (character !== "\n") continue;
    line++;
    if (!isInside) isEmpty = true;
  }
  return line;
}
