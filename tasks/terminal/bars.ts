/**
 * Progress bars on the terminal of standard error, in the one look that all views share.
 *
 * @module
 */

import process from "node:process";
import type { Writable } from "node:stream";
import { loadProgressBars } from "../../deps.ts";

/** Where bars are drawn: a terminal of so many columns. */
export type BarStream = Writable & { readonly columns?: number };

/** What a bar's line is made of. */
export interface BarState<Payload> {
  readonly value: number;
  readonly total: number;
  /** For example `1m20s`. */
  readonly timeLeft: string;
  /** What the view has told the bar last. */
  readonly payload: Payload;
}

/** An area of the terminal with a bar at its end and lines above it. */
export interface BarArea<Payload> extends Disposable {
  /** Moves the bar. */
  update(value: number, payload: Payload): void;
  /** Shows a line above the bar, whole: one that is too long for the terminal goes on in the next row. */
  say(line: string): void;
}

/** What the package knows of a bar. */
interface Progress {
  /** From 0 to 1. */
  readonly progress: number;
  readonly value: number;
  readonly total: number;
  /** Seconds that are left. */
  readonly eta: number;
}

const WRAP_ON = "\x1b[?7h", WRAP_OFF = "\x1b[?7l";

/** Columns of a terminal that does not say. */
const USUAL_COLUMNS = 80;

/**
 * Opens an area with one bar.
 *
 * @param total where the bar ends
 * @param parts what stands behind the bar, the most important first: parts for which the terminal is too
 *   narrow are left out, so what is shown is whole
 */
export async function openBar<Payload extends object>(
  total: number,
  start: Payload,
  parts: (state: BarState<Payload>) => readonly string[],
  stream: BarStream = process.stderr,
): Promise<BarArea<Payload>> {
  const { MultiBar, Format } = (await loadProgressBars()).default;
  const bars = new MultiBar({
    stream,
    format(options: object, { progress, value, total, eta }: Progress, payload: Payload) {
      const columns = stream.columns || USUAL_COLUMNS; // some say 0
      const barsize = columns < 100 ? 12 : 24;
      const bar = Format.BarFormat(progress, { ...options, barsize });
      const timeLeft = Format.TimeFormat(eta, options, 5);
      const [first, ...rest] = parts({ value, total, timeLeft, payload });
      return fitParts([`${bar} ${first}`, ...rest], columns - 1);
    },
    barCompleteChar: "█",
    barIncompleteChar: "░",
    etaBuffer: 50,
    hideCursor: true,
    clearOnComplete: true,
    // Whoever opened the view handles Ctrl-C, and closes it.
    gracefulExit: false,
  });
  const bar = bars.create(total, 0, start);
  return {
    update: (value, payload) => bar.update(value, payload),
    // While there is a bar its terminal cuts what is too long: an error's way out stands at its end.
    say: (line) => bars.log(`${WRAP_ON}${line}\n${WRAP_OFF}`),
    [Symbol.dispose]() {
      bars.update(); // lines that wait to be shown
      bars.stop();
    },
  };
}

/** As many of the parts as fit, in order, two spaces between them; the first in any case. */
export function fitParts([first, ...parts]: readonly string[], columns: number): string {
  let line = first;
  for (const part of parts) {
    if (part === "") continue;
    const longer = `${line}  ${part}`;
    if ([...longer].length > columns) break;
    line = longer;
  }
  return line;
}
