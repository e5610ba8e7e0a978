/**
 * Lines at the end of a terminal that are drawn again in place, below whatever else is said.
 *
 * @module
 */

import process from "node:process";

/** A terminal that can be written to. */
export interface BlockStream {
  write(text: string): unknown;
  readonly columns?: number;
  readonly rows?: number;
}

const HIDE_CURSOR = "\x1b[?25l",
  SHOW_CURSOR = "\x1b[?25h",
  WRAP_ON = "\x1b[?7h",
  WRAP_OFF = "\x1b[?7l";

/** Milliseconds between two drawings; what comes earlier waits for the next. */
const EVERY_MS = 100;

/** A block of lines; its stream must be a terminal. */
export class LiveBlock implements Disposable {
  readonly #stream: BlockStream;
  readonly #lines: (columns: number, rows: number) => readonly string[];
  /** Lines of the block that stand on the terminal. */
  #drawn = 0;
  #last = -Infinity;

  /** @param lines what stands in the block: at most so many lines, which are cut to so many columns */
  constructor(
    lines: (columns: number, rows: number) => readonly string[],
    stream: BlockStream = process.stderr,
  ) {
    this.#lines = lines;
    this.#stream = stream;
    stream.write(HIDE_CURSOR);
    this.draw();
  }

  /** Draws the block again, unless it has been drawn just now. */
  update(): void {
    if (performance.now() - this.#last >= EVERY_MS) this.draw();
  }

  /** Draws the block again. */
  draw(): void {
    this.#last = performance.now();
    const columns = this.#stream.columns || 80, rows = Math.max(2, (this.#stream.rows || 24) - 1);
    const lines = this.#lines(columns - 1, rows).slice(0, rows)
      .map((line) => [...line].slice(0, columns - 1).join(""));
    const text = lines.map((line) => `${line}\n`).join("");
    // Lines that are too long must not become two, or the block would not be found again.
    this.#stream.write(`${this.#erase()}${WRAP_OFF}${text}${WRAP_ON}`);
    this.#drawn = lines.length;
  }

  /** Says a line above the block, whole. */
  say(line: string): void {
    this.#stream.write(`${this.#erase()}${line}\n`);
    this.#drawn = 0;
    this.draw();
  }

  /** Takes the block off the terminal. */
  [Symbol.dispose](): void {
    this.#stream.write(`${this.#erase()}${SHOW_CURSOR}`);
    this.#drawn = 0;
  }

  /** What takes the cursor to the block's beginning, and all from there off the terminal. */
  #erase(): string {
    return this.#drawn === 0 ? "" : `\x1b[${this.#drawn}A\r\x1b[0J`;
  }
}
