/**
 * What keeps a run from writing its files: a full disk, above all. The message names the file, the cause
 * and the way out.
 *
 * @module
 */

import { platform } from "../../runtime/base/platform.ts";

/** A file of a run could not be written. */
export class WriteError extends Error {
  /** The name of the class. */
  override readonly name = "WriteError";

  /**
   * Says which file, and why.
   *
   * @param path of the file
   * @param cause what the system said
   */
  constructor(path: string | URL, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const full = /ENOSPC|EDQUOT|os error (28|122)\b/.test(`${codeOf(cause)} ${reason}`);
    const wayOut = full ? ": make room; what the run has written until then is whole" : "";
    super(`cannot write ${path}: ${reason}${wayOut}`, { cause });
  }
}

const codeOf = (error: unknown): unknown =>
  error instanceof Error && "code" in error ? error.code : "";

/**
 * Writes a file of a run.
 *
 * @param path of the file, of which nothing is left if it cannot be written
 * @throws WriteError if it cannot be written
 */
export async function writing(path: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (cause) {
    if (!isSystemError(cause)) throw cause;
    await platform.remove(path).catch(() => {});
    throw new WriteError(path, cause);
  }
}

/** Whether the system has refused something, in contrast to a peer that is lost while its bytes are awaited. */
export function isSystemError(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  return /\(os error \d+\)/.test(error.message) || error.name in Deno.errors;
}
