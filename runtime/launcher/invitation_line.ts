/**
 * An invitation that comes in on standard input.
 *
 * @module
 */

import process from "node:process";

/** Longest line that is taken for an invitation, in bytes. */
const LONGEST_LINE = 65536;

/**
 * Reads the first line of standard input.
 *
 * @returns the line, and what resolves when standard input ends; waiting for that does not keep the
 *   process alive
 */
export function readInvitationLine(): Promise<{ line: string; ended: Promise<void> }> {
  const line = Promise.withResolvers<{ line: string; ended: Promise<void> }>();
  const end = Promise.withResolvers<void>();
  const input = process.stdin;
  let text = "", known = false;
  const give = (words: string) => {
    known = true;
    line.resolve({ line: words.trim(), ended: end.promise });
  };
  input.on("data", (bytes: Uint8Array) => {
    if (known) return;
    text += new TextDecoder().decode(bytes);
    const at = text.indexOf("\n");
    if (at >= 0) give(text.slice(0, at));
    else if (text.length > LONGEST_LINE) give(text);
  });
  const onEnd = () => {
    if (!known) give(text);
    end.resolve();
  };
  input.once("end", onEnd).once("error", onEnd);
  return line.promise;
}
