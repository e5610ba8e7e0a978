/**
 * Taking known files out of a tar.gz or zip archive. Only plain files that are asked for by their exact
 * path are taken, and they get names of our own, so an archive cannot write anywhere else.
 *
 * @module
 */

import { delay, loadTar, loadZip } from "../../../deps.ts";
import { DataError } from "../data_error.ts";

/** A file inside an archive and what becomes of it. */
export interface ArchiveMember {
  /** Its path inside the archive, such as `cifar-10-batches-bin/test_batch.bin`. */
  readonly member: string;
  /** The name it gets. */
  readonly name: string;
  /** Its size in bytes, where that is known. */
  readonly bytes?: number;
}

/**
 * Unpacks `members` from the archive at `path` to `folder`: first to a temporary folder inside it, and
 * once all are complete to their names. A file of such a name is replaced.
 *
 * @param path an archive whose name ends in `.tar.gz`, `.tgz` or `.zip`
 * @throws {DataError} when the archive is damaged or lacks a member, or a member has another size
 */
export async function unpack(
  path: string,
  folder: string,
  members: readonly ArchiveMember[],
): Promise<void> {
  const extract = path.endsWith(".zip")
    ? extractZip
    : /\.(tar\.gz|tgz)$/.test(path)
    ? extractTar
    : null;
  if (extract === null) {
    throw new RangeError(`an archive's name ends in .tar.gz, .tgz or .zip, not as ${path}`);
  }
  const part = `${folder}/${crypto.randomUUID().slice(0, 8)}.part`;
  await Deno.mkdir(part);
  try {
    try {
      await extract(path, part, new Set(members.map(({ member }) => member)));
    } catch (cause) {
      throw new DataError(
        `cannot unpack ${path}: ${
          cause instanceof Error ? cause.message : cause
        }; the archive is ` +
          `damaged or ${folder} cannot be written`,
        { path, cause },
      );
    }
    for (const { member, bytes } of members) {
      const size = await sizeOf(`${part}/${member}`);
      if (size === null || bytes !== undefined && size !== bytes) {
        const fault = size === null
          ? `it holds no file ${member}`
          : `its ${member} has ${size} bytes, ${bytes} are required`;
        throw new DataError(`cannot unpack ${path}: ${fault}; it is another archive`, { path });
      }
    }
    for (const { member, name } of members) {
      await Deno.rename(`${part}/${member}`, `${folder}/${name}`);
    }
  } finally {
    await removeFolder(part);
  }
}

/** Removes a folder that an unpacker which has failed may still be writing its last file to. */
async function removeFolder(path: string): Promise<void> {
  for (let tries = 20;; tries--) {
    try {
      return await Deno.remove(path, { recursive: true });
    } catch (error) {
      if (tries === 0) throw error;
      await delay(50);
    }
  }
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    const { isFile, size } = await Deno.lstat(path);
    return isFile ? size : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Extracts the files at the paths `wanted` to those paths below `folder`. */
async function extractTar(path: string, folder: string, wanted: Set<string>): Promise<void> {
  const { extract } = await loadTar();
  await extract({
    file: path,
    cwd: folder,
    strict: true,
    filter: (name, entry) =>
      wanted.has(name.replace(/^\.\//, "")) && "type" in entry &&
      (entry.type === "File" || entry.type === "OldFile"),
  });
}

async function extractZip(path: string, folder: string, wanted: Set<string>): Promise<void> {
  const { unzipSync } = await loadZip();
  const files = unzipSync(await Deno.readFile(path), { filter: ({ name }) => wanted.has(name) });
  for (const [name, bytes] of Object.entries(files)) {
    const slash = name.lastIndexOf("/");
    if (slash > 0) await Deno.mkdir(`${folder}/${name.slice(0, slash)}`, { recursive: true });
    await Deno.writeFile(`${folder}/${name}`, bytes);
  }
}
