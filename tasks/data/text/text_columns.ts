/**
 * A text laid out in columns that are read side by side, as the reference code's `batchify` does: the
 * text is cut into `columns` runs of `rows` tokens, and row t of the batch holds the t-th token of each.
 * Only where the columns start is kept; the tokens stay where they are.
 *
 * @module
 */

import type { Passage } from "./text_passage.ts";

/** Where the columns of a text start, and how long they are. */
export interface TextColumns {
  /** Tokens of a column. */
  readonly rows: number;
  /** `[columns]`: index of each column's first token. */
  readonly starts: Uint32Array;
}

/** Tokens that a column has at least. */
export const LEAST_ROWS = 3;

/** Where columns start has 32 bits. */
const MOST_TOKENS = 2 ** 32;

/**
 * Cuts the tokens from `start` up to `end` into `columns` runs of equal length, one after another. The
 * remainder, fewer tokens than there are columns, is left over at the end.
 *
 * @throws {RangeError} when a column would hold fewer than 3 tokens, the least that is trained on
 */
export function batchify(start: number, end: number, columns: number): TextColumns {
  if (!Number.isInteger(columns) || columns < 1) {
    throw new RangeError(`a number of columns is a positive integer, not ${columns}`);
  }
  if (end > MOST_TOKENS) {
    throw new RangeError(`cannot read ${end} tokens in columns: ${MOST_TOKENS} are the most`);
  }
  const rows = Math.floor((end - start) / columns);
  if (rows < LEAST_ROWS) {
    throw new RangeError(
      `cannot read ${
        end - start
      } tokens in ${columns} columns: each needs ${LEAST_ROWS} tokens at least; ` +
        `take a smaller batch, fewer ranks or a longer text`,
    );
  }
  return { rows, starts: Uint32Array.from({ length: columns }, (_, c) => start + c * rows) };
}

/**
 * Writes `length` rows of the columns that begin at `starts`, from row `row` on, to `input`, and the
 * words that each of them is to predict to `target` (both `[length, columns]`).
 */
export function copyWindow(
  text: Passage,
  starts: Uint32Array,
  row: number,
  length: number,
  input: Int32Array,
  target: Int32Array,
): void {
  const stride = starts.length;
  for (const [at, start] of starts.entries()) {
    text.copy(start + row, start + row + length, { input, target, at, stride });
  }
}
