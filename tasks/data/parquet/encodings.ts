/**
 * How Parquet packs whole numbers (its specification's "Encodings"), read with bounds: how many there are is said
 * before, and no run may be longer.
 *
 * @module
 */

import { type Cursor, unpack } from "./cursor.ts";

/**
 * Numbers of some bits each, in runs: of one number that is repeated, or of eights that are packed ("RLE / bit-packing
 * hybrid"). Levels and indices into a dictionary are kept so.
 *
 * @param width bits of a number
 * @param count how many there are
 */
export function readRuns(cursor: Cursor, width: number, count: number): Uint32Array {
  if (width > 32) throw new Error(`a page is damaged: ${width} bits a number, 32 at most`);
  const numbers = new Uint32Array(count);
  for (let seen = 0; seen < count;) {
    const head = cursor.varint(), left = count - seen, length = Math.floor(head / 2);
    if (head % 2 === 0) {
      const value = cursor.little(Math.ceil(width / 8));
      if (length > left) throw runTooLong(length, left);
      numbers.fill(value, seen, seen += length);
    } else {
      // Of the last eight, writers may leave out the bytes that hold nothing.
      const packed = Math.min(length * 8, left);
      const bytes = cursor.take(
        Math.max(Math.ceil(packed * width / 8), Math.min(length * width, cursor.left)),
      );
      if (width > 0) fill(numbers.subarray(seen, seen + packed), unpack(bytes, width));
      seen += packed;
    }
  }
  return numbers;
}

const runTooLong = (length: number, left: number) =>
  new Error(`a page is damaged: a run of ${length} numbers where ${left} are left`);

/** Writes the first of some numbers. */
function fill(into: Uint32Array | Float64Array, numbers: Iterator<number>): void {
  for (let i = 0; i < into.length; i++) into[i] = numbers.next().value ?? 0;
}

/**
 * Numbers as differences from one to the next, in blocks of parts, each part with bits of its own
 * ("DELTA_BINARY_PACKED").
 *
 * @param count how many there are
 * @param small whether they have 32 bits, beyond which sums begin anew; with more, none is beyond 2⁵³
 */
export function readDeltas(cursor: Cursor, count: number, small: boolean): Float64Array {
  const block = cursor.varint(), parts = cursor.varint(), total = cursor.varint();
  const length = block / parts;
  if (!(length >= 8 && length % 8 === 0)) {
    throw new Error(`a page is damaged: blocks of ${block} numbers in ${parts} parts`);
  }
  if (total !== count) throw new Error(`a page is damaged: ${total} numbers, must be ${count}`);
  const numbers = new Float64Array(count);
  let value = cursor.zigzag();
  if (count > 0) numbers[0] = value;
  for (let seen = 1; seen < count;) {
    const least = cursor.zigzag(), widths = cursor.take(parts);
    for (let part = 0; part < parts && seen < count; part++) {
      const width = widths[part], some = numbers.subarray(seen, seen + length);
      if (width > 32) throw new Error(`a page is damaged: differences of ${width} bits`);
      const bytes = cursor.take(
        Math.max(Math.ceil(some.length * width / 8), Math.min(length * width / 8, cursor.left)),
      );
      if (width > 0) fill(some, unpack(bytes, width));
      for (let i = 0; i < some.length; i++) {
        value += least + some[i];
        if (small) value |= 0;
        else if (!Number.isSafeInteger(value)) throw new Error(`a page is damaged: ${value} in it`);
        some[i] = value;
      }
      seen += some.length;
    }
  }
  return numbers;
}
