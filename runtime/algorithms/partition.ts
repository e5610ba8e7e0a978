/**
 * How buffers are divided: into chunks, one for each rank, and those into segments, which follow one
 * another through a pipeline. (The words are gloo's.)
 *
 * @module
 */

/** A range of elements, `start` included, `end` not. */
export interface Range {
  /** The first. */
  readonly start: number;
  /** Behind the last. */
  readonly end: number;
}

/**
 * Divides `count` elements into one chunk for each of `ranks` ranks: consecutive ranges whose lengths
 * differ by at most one group of `width` elements that belong together.
 */
export function chunks(count: number, ranks: number, width = 1): Range[] {
  const groups = Math.ceil(count / width);
  const bound = (i: number) => Math.min(count, Math.floor(groups * i / ranks) * width);
  return Array.from({ length: ranks }, (_, i) => ({ start: bound(i), end: bound(i + 1) }));
}

/** Divides a range into segments of at most `length` elements. */
export function segments({ start, end }: Range, length: number): Range[] {
  const ranges = [];
  for (let from = start; from < end; from += length) {
    ranges.push({ start: from, end: Math.min(from + length, end) });
  }
  return ranges;
}
