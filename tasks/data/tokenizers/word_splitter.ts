/**
 * Words between white space, from a text that comes in pieces.
 *
 * @module
 */

import { END_OF_LINE } from "./vocabulary.ts";

const LINE_FEED = 10, CARRIAGE_RETURN = 13;

/**
 * Splits a text into its words, with one `<eos>` after each line. White space and line ends are those of
 * Python's `str.split()` on a file opened in text mode, as in the AWD-LSTM reference code, non-breaking and
 * ideographic spaces included.
 */
export class WordSplitter {
  readonly #push: (word: string) => void;
  /** The beginning of a word that the last piece has cut. */
  #open = "";
  #lineBegan = false;
  #returned = false;

  /** @param push is given each word */
  constructor(push: (word: string) => void) {
    this.#push = push;
  }

  /** Takes the next piece of the text. */
  take(text: string): void {
    let start = -1;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (!isSpace(code)) {
        if (start < 0) start = i;
        this.#returned = false;
        continue;
      }
      if (start >= 0 || this.#open !== "") {
        this.#push(this.#open + (start < 0 ? "" : text.slice(start, i)));
        this.#open = "";
        start = -1;
      }
      // The second half of a line's end that is two characters.
      if (code === LINE_FEED && this.#returned) {
        this.#returned = false;
        continue;
      }
      this.#returned = code === CARRIAGE_RETURN;
      this.#lineBegan = code !== LINE_FEED && code !== CARRIAGE_RETURN;
      if (!this.#lineBegan) this.#push(END_OF_LINE);
    }
    if (start >= 0) this.#open += text.slice(start);
  }

  /** Ends the text, and its last line if that has begun. */
  end(): void {
    const open = this.#open !== "";
    if (open) this.#push(this.#open);
    if (open || this.#lineBegan) this.#push(END_OF_LINE);
    this.#open = "";
    this.#lineBegan = false;
  }
}

function isSpace(code: number): boolean {
  if (code <= 32) return code === 32 || code >= 9 && code <= 13 || code >= 28;
  if (code < 0x1680) return code === 0x85 || code === 0xa0;
  return code === 0x1680 || code >= 0x2000 && code <= 0x200a || code === 0x2028 ||
    code === 0x2029 || code === 0x202f || code === 0x205f || code === 0x3000;
}
