/**
 * A reader of something from outside, and what it may do with damage: read it, or say in one clear error that
 * it cannot.
 *
 * @module
 */

/** What is fuzzed. */
export interface Reader {
  readonly name: string;
  /** Whole files, which it must read. */
  readonly seeds: readonly Uint8Array[];
  /**
   * How many of the mutations it is given, where one takes long.
   *
   * @default {1}
   */
  readonly share?: number;
  /** What it may throw. */
  readonly errors: readonly (new (...args: never[]) => Error)[];
  /** Reads; what it gives back is looked at by itself. */
  read(bytes: Uint8Array<ArrayBuffer>): unknown;
}

/** What an engine says of a program's fault, and no author of an error text. */
const FAULT = new RegExp(
  [
    "Cannot (read prop|set prop|convert|destructure|mix|access)",
    "is not (a function|iterable|a constructor|defined|an Object)",
    "Invalid (array|typed array|string|DataView) length",
    "call stack",
    "allocation",
    "out of memory",
    "\\bundefined\\b",
    "\\[object ",
    "Offset is outside",
  ].join("|"),
);

/** Longest text of an error: a file cannot fill a terminal. */
const LONGEST_MESSAGE = 2000;

/** Why an error is not what a user should get; null if it is. */
export function faultOf(error: unknown, { errors }: Reader): string | null {
  if (!(error instanceof Error)) return `threw ${typeof error}`;
  if (!errors.some((type) => error instanceof type)) return `threw a ${error.constructor.name}`;
  if (FAULT.test(error.message)) return "the text is an engine's";
  if (error.message.length > LONGEST_MESSAGE) return `a text of ${error.message.length} characters`;
  return null;
}

/** Reads bytes; throws with how to do it again if the reader does what it must not. */
export async function tryReader(reader: Reader, bytes: Uint8Array<ArrayBuffer>, which: string) {
  const began = performance.now();
  let fault: string | null = null, cause: unknown;
  try {
    await reader.read(bytes);
  } catch (error) {
    cause = error;
    fault = faultOf(error, reader);
  }
  const ms = performance.now() - began;
  if (fault === null && ms > SLOWEST_MS) fault = `took ${Math.round(ms)} ms`;
  if (fault === null) return;
  const what = cause instanceof Error ? `: ${cause.message.slice(0, 300)}` : "";
  throw new Error(`${reader.name}, ${which}: ${fault}${what}\n${bytes.toBase64()}`, { cause });
}

/** Longest time over one small file. A machine that is busy with other things is given time. */
const SLOWEST_MS = 10_000;
