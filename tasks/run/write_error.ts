/**
 * Writing a run's files so that they outlive a loss of power, and what keeps a run from it: a full disk, above
 * all. The message names the file, the cause and the way out.
 *
 * What is written is on the disk when it has been synced, and its name when its folder has (POSIX, `fsync()`).
 *
 * @module
 */

import { dirname } from "node:path";

import { isSystemError, systemReason } from "../../runtime/base/system_error.ts";
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
    super(`cannot write ${path}: ${systemReason(cause)}${wayOut}`, { cause });
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

/** Writes a file of a run and waits until its content is on the disk. Throws WriteError. */
export async function writeSynced(
  path: string,
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  await writing(path, async () => {
    using file = await platform.open(path, { write: true, create: true, truncate: true });
    for await (const piece of pieces) {
      for (let left = piece; left.length > 0;) left = left.subarray(await file.write(left));
    }
    await file.sync();
  });
}

/**
 * Writes a file that a command was asked for. Nothing is left of one that cannot be written to its end: half a table
 * looks like a whole one.
 *
 * @param write is given the file, empty
 * @param options.isNew refuses a file that is there
 */
export async function writeOutput(
  path: string,
  write: (file: Deno.FsFile) => Promise<void>,
  { isNew = false } = {},
): Promise<void> {
  const how = isNew ? { createNew: true } : { create: true, truncate: true };
  let isOurs = false;
  try {
    using file = await platform.open(path, { write: true, ...how });
    // Standard output and other devices stay.
    isOurs = (await file.stat()).isFile;
    await write(file);
  } catch (error) {
    if (isOurs) await platform.remove(path).catch(() => {});
    throw error;
  }
}

/** Writes such a file at once, see {@linkcode writeOutput}. */
export async function writeOutputAll(
  path: string,
  content: string | Uint8Array,
  options?: { readonly isNew: boolean },
): Promise<void> {
  await writeOutput(path, (file) => writeAll(file, content), options);
}

/** Writes a text, or bytes, to the end of an open file. */
export async function writeAll(file: Deno.FsFile, content: string | Uint8Array): Promise<void> {
  let rest = typeof content === "string" ? new TextEncoder().encode(content) : content;
  while (rest.length > 0) rest = rest.subarray(await file.write(rest));
}

/** Writes a text to an open file, all of it. Throws WriteError, which names the file by its path. */
export function writeText(file: Deno.FsFile, text: string, path: string | URL): void {
  let rest = new TextEncoder().encode(text);
  try {
    while (rest.length > 0) rest = rest.subarray(file.writeSync(rest));
  } catch (cause) {
    throw isSystemError(cause) ? new WriteError(path, cause) : cause;
  }
}

/** Waits until the names in a folder are on the disk. */
export async function syncFolder(path: string): Promise<void> {
  if (Deno.build.os === "windows") return; // there it cannot be opened
  using folder = await platform.open(path);
  await folder.sync();
}

/** Makes a folder, and those that it lies in as far as they are missing; their names are on the disk then. */
export async function makeFolder(path: string): Promise<void> {
  const missing: string[] = [];
  const isThere = (path: string) => platform.stat(path).then(() => true, () => false);
  for (let each = path; !await isThere(each) && dirname(each) !== each; each = dirname(each)) {
    missing.push(each);
  }
  await platform.mkdir(path, { recursive: true });
  for (const each of missing) await syncFolder(dirname(each));
}

/** Writes a file of a run whole or not at all: under another name first, then renamed. Throws WriteError. */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  await writeSynced(`${path}.part`, [bytes]);
  await platform.rename(`${path}.part`, path);
  await syncFolder(dirname(path));
}
