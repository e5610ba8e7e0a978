/**
 * Pages of a column: a dictionary, or values with the levels that say which rows have one. What a page says of itself
 * is compared with the bytes and the rows that there are before anything is made of it.
 *
 * @module
 */

import type { ParquetPageHeader } from "../../../deps.ts";
import { Cursor } from "./cursor.ts";
import { readDeltas, readRuns } from "./encodings.ts";
import { LONGEST_FACTOR, unsnappy } from "./snappy.ts";

/** A value of a column. */
export type Value = number | Uint8Array<ArrayBuffer> | null;

/** A page as it lies in a file. */
export interface Page {
  readonly header: ParquetPageHeader;
  /** After the header. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** How it is packed. */
  readonly codec: string;
}

/** What a column holds. */
export interface ColumnKind {
  readonly type: string | undefined;
  /** Bytes of a value, where all have the same. */
  readonly length: number | undefined;
  /** What may be missing on the way to a value: of its level, all of it is there. */
  readonly optional: number;
}

/** A dictionary's values. Throws Error with what is wrong. */
export function readDictionary({ header, bytes, codec }: Page, kind: ColumnKind): Value[] {
  const page = unpacked(bytes, header.uncompressed_page_size, codec);
  const count = header.dictionary_page_header?.num_values;
  return plain(new Cursor(page), kind, checked(count, "values", page.length));
}

/**
 * The values of a page's rows, null where one has none.
 *
 * @param rows how many it has at most
 * @throws Error with what is wrong
 */
export function readValues(
  { header, bytes, codec }: Page,
  kind: ColumnKind,
  dictionary: readonly Value[] | null,
  rows: number,
): Value[] {
  const first = header.data_page_header, second = header.data_page_header_v2;
  const said = header.type === "DATA_PAGE" ? first : header.type === "DATA_PAGE_V2" ? second : null;
  if (!said) throw new Error(`has a page of an unknown kind, ${header.type}`);
  const count = checked(said.num_values, "values", rows), size = header.uncompressed_page_size;
  let levels: Cursor, values: Cursor;
  if (said === second) {
    const packed = new Cursor(bytes);
    const repetitions = packed.take(said.repetition_levels_byte_length);
    levels = new Cursor(packed.take(said.definition_levels_byte_length));
    const rest = packed.take(packed.left), before = bytes.length - rest.length;
    values = new Cursor(
      said.is_compressed === false || rest.length === 0
        ? rest
        : unpacked(rest, size - before, codec),
    );
    if (repetitions.length > 0) throw new Error("has lists, which are not read");
  } else {
    values = new Cursor(unpacked(bytes, size, codec));
    levels = new Cursor(values.take(kind.optional > 0 ? values.little(4) : 0));
  }
  if (kind.optional === 0) return decoded(values, kind, said.encoding, dictionary, count);
  const level = readRuns(levels, 32 - Math.clz32(kind.optional), count);
  const there = level.reduce((sum, level) => sum + Number(level === kind.optional), 0);
  const some = decoded(values, kind, said.encoding, dictionary, there).values();
  return Array.from(level, (level) => level === kind.optional ? some.next().value! : null);
}

/** A count that a file gives; throws Error unless it is one, and no larger than it can be. */
function checked(count: unknown, what: string, most: number): number {
  if (typeof count === "number" && Number.isInteger(count) && count >= 0 && count <= most) {
    return count;
  }
  throw new Error(`has a page of ${count} ${what}, where there can be ${most}`);
}

function unpacked(
  bytes: Uint8Array<ArrayBuffer>,
  size: number,
  codec: string,
): Uint8Array<ArrayBuffer> {
  switch (codec) {
    case "UNCOMPRESSED":
      if (size === bytes.length) return bytes;
      throw new Error(`has a page of ${bytes.length} bytes, which says ${size}`);
    case "SNAPPY":
      return unsnappy(bytes, checked(size, "bytes", LONGEST_FACTOR * bytes.length));
    default:
      throw new Error(`is packed with ${codec}, and SNAPPY and UNCOMPRESSED are what is read`);
  }
}

function decoded(
  cursor: Cursor,
  kind: ColumnKind,
  encoding: string,
  dictionary: readonly Value[] | null,
  count: number,
): Value[] {
  // Of a page of nulls alone, writers may leave out what would say that there is nothing.
  if (count === 0) return [];
  switch (encoding) {
    case "PLAIN":
      return plain(cursor, kind, count);
    case "PLAIN_DICTIONARY":
    case "RLE_DICTIONARY": {
      const indices = readRuns(cursor, cursor.byte(), count), size = dictionary?.length ?? 0;
      return Array.from(indices, (index) => {
        if (dictionary && index < size) return dictionary[index];
        throw new Error(`has value ${index} of a dictionary of ${size}`);
      });
    }
    case "DELTA_BINARY_PACKED":
      return Array.from(readDeltas(cursor, count, kind.type === "INT32"));
    case "DELTA_LENGTH_BYTE_ARRAY":
      return Array.from(readDeltas(cursor, count, true), (length) => cursor.take(length));
    case "DELTA_BYTE_ARRAY":
      return continued(cursor, count);
    default:
      throw new Error(`has values in the encoding ${encoding}, which is not read`);
  }
}

/** How many times longer than their page values may be that begin as the one before them does. */
const CONTINUED_FACTOR = 64;

/** Bytes that begin as those before them do, for so long. */
function continued(cursor: Cursor, count: number): Value[] {
  const most = CONTINUED_FACTOR * cursor.left;
  const shared = readDeltas(cursor, count, true), own = readDeltas(cursor, count, true);
  let before = new Uint8Array(), sum = 0;
  return Array.from(shared, (length, i) => {
    const rest = cursor.take(own[i]), whole = length + rest.length;
    if (!(length >= 0 && length <= before.length)) {
      throw new Error(`a page is damaged: ${length} bytes of a value of ${before.length}`);
    }
    if ((sum += whole) > most) throw new Error(`a page is damaged: more than ${most} bytes`);
    const value = new Uint8Array(whole);
    value.set(before.subarray(0, length));
    value.set(rest, length);
    return before = value;
  });
}

/** Numbers by their type: bytes of each, and how one is read. */
const NUMBERS: Record<string, [number, (view: DataView, at: number) => number] | undefined> = {
  INT32: [4, (view, at) => view.getInt32(at, true)],
  INT64: [8, (view, at) => Number(view.getBigInt64(at, true))],
  FLOAT: [4, (view, at) => view.getFloat32(at, true)],
  DOUBLE: [8, (view, at) => view.getFloat64(at, true)],
};

function plain(cursor: Cursor, { type, length }: ColumnKind, count: number): Value[] {
  const number = NUMBERS[type ?? ""];
  if (number) {
    const [size, read] = number, bytes = cursor.take(count * size);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    return Array.from({ length: count }, (_, i) => read(view, i * size));
  }
  if (type === "BYTE_ARRAY") {
    return Array.from({ length: count }, () => cursor.take(cursor.little(4)));
  }
  if (type === "FIXED_LEN_BYTE_ARRAY" && length !== undefined) {
    return Array.from({ length: count }, () => cursor.take(length));
  }
  throw new Error(`has values of the type ${type}, which are not read`);
}
