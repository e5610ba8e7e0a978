/**
 * What the system refuses of files and folders, in words. Deno's own messages end with the error's number, the
 * call and the path (`No such file or directory (os error 2): stat 'x'`); who tells a user of it has named the
 * path already. Of connections, `describeConnectionError()` in `security/` tells.
 *
 * @module
 */

/** Errors that say more in words of files and folders than in the system's. */
const REASONS: readonly (readonly [abstract new () => Error, string])[] = [
  [Deno.errors.NotFound, "there is no such file or folder"],
  [Deno.errors.AlreadyExists, "a file of that name exists"],
  [Deno.errors.NotADirectory, "a part of its path is a file and no folder"],
  [Deno.errors.IsADirectory, "it is a folder"],
];

/** Whether the system has refused something, in contrast to a peer that is lost while its bytes are awaited. */
export function isSystemError(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  return /\(os error \d+\)/.test(error.message) || error.name in Deno.errors;
}

/**
 * Why something failed, as the end of a sentence that names the file: `cannot read x: there is no such file`.
 *
 * @param cause what was thrown; of what the system has not refused it is the message
 */
export function systemReason(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const known = REASONS.find(([kind]) => cause instanceof kind);
  return known?.[1] ?? cause.message.replace(/ \(os error \d+\).*$/s, "");
}
