/** A range of elements, `start` included, `end` not. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * Cuts `count` elements into `pieces` consecutive ranges whose lengths differ by at most one group of
 * `width` elements that belong together.
 */
export function partition(count: number, pieces: number, width = 1): Range[] {
  const groups = Math.ceil(count / width);
  const bound = (i: number) => Math.min(count, Math.floor(groups * i / pieces) * width);
  return Array.from({ length: pieces }, (_, i) => ({ start: bound(i), end: bound(i + 1) }));
}

/** Cuts a range into segments of at most `length` elements. */
export function segments({ start, end }: Range, length: number): Range[] {
  const cuts = [];
  for (let from = start; from < end; from += length) {
    cuts.push({ start: from, end: Math.min(from + length, end) });
  }
  return cuts;
}
