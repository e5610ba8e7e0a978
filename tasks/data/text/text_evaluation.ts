/**
 * The windows by which a text is evaluated: every token but the first is predicted exactly once, and
 * all windows have one shape.
 *
 * @module
 */

import { counted } from "../../../runtime/base/words.ts";
import type { Tokens } from "./tokens.ts";

/** One window of an evaluation. */
export interface EvaluationWindow {
  /** `[length, columns]` word numbers; 0 where `mask` is 0. */
  readonly input: Int32Array;
  /** `[length, columns]`: the words that follow; 0 where `mask` is 0. */
  readonly target: Int32Array;
  /** `[length, columns]`: 1 where the prediction counts, 0 where the text has ended. */
  readonly mask: Float32Array;
  /** How many predictions count. */
  readonly valid: number;
}

/** How a text is evaluated. */
export interface TextEvaluationOptions {
  /**
   * Columns read side by side: 10 for validation, 1 for test in the reference code.
   * @default {10}
   */
  readonly columns?: number;
  /**
   * Rows of a window.
   * @default {70}
   */
  readonly length?: number;
  /**
   * Only the columns from the first up to, but not including, the second: a rank's share. The state
   * that is carried belongs to a column, so shares give the same losses as the whole.
   * @default {[0, columns]}
   */
  readonly take?: readonly [number, number];
}

/**
 * The windows of an evaluation of `tokens`, in order; the hidden state starts at zero and is carried
 * from each to the next. The reference code drops what does not fill its columns and the first token of
 * each; here every token except the text's first counts once.
 *
 * @throws {RangeError} when an option is out of range or there is no token to predict
 */
export function* evaluationWindows(
  tokens: Tokens,
  options: TextEvaluationOptions = {},
): Generator<EvaluationWindow> {
  const { columns = 10, length = 70, take = [0, columns] } = options;
  for (
    const [what, value] of [["number of columns", columns], ["window length", length]] as const
  ) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`a ${what} is a positive integer, not ${value}`);
    }
  }
  const [first, last] = take;
  if (
    !(Number.isInteger(first) && Number.isInteger(last) && 0 <= first && first < last &&
      last <= columns)
  ) {
    throw new RangeError(`columns ${first} to ${last} are no part of 0 to ${columns}`);
  }
  const predictions = tokens.length - 1;
  if (predictions < 1) {
    throw new RangeError(
      `cannot evaluate a text of ${counted(tokens.length, "token")}: 2 are required`,
    );
  }
  const rows = Math.ceil(predictions / columns), width = last - first;
  for (let row = 0; row < rows; row += length) {
    const input = new Int32Array(length * width), target = new Int32Array(length * width);
    const mask = new Float32Array(length * width);
    let valid = 0;
    for (let c = first; c < last; c++) {
      const start = c * rows + row, end = Math.min((c + 1) * rows, predictions, start + length);
      if (start >= end) continue;
      const column = tokens.slice(start, end + 1);
      for (let at = 0, out = c - first; at < end - start; at++, out += width) {
        input[out] = column[at];
        target[out] = column[at + 1];
        mask[out] = 1;
        valid++;
      }
    }
    yield { input, target, mask, valid };
  }
}
