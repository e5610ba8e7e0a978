/**
 * The files of a data set, whether they lie in a folder or inside an archive.
 *
 * @module
 */

import { basename, dirname, join } from "node:path";
import { systemReason } from "../../../runtime/base/system_error.ts";
import { loadTarDecoder, loadZip } from "../../../deps.ts";
import { DataError } from "../data_error.ts";

/** Files by their names; nothing is read before it is asked for, except an archive's, which is read whole. */
export interface FileSet {
  /** The folder, archive or file itself, as it was given. */
  readonly place: string;
  /** Paths inside, with `/` between folders, sorted. */
  readonly names: readonly string[];
  /** What a message calls a file: its path on disk, or the archive and the path inside. */
  pathOf(name: string): string;
  /** The files on disk that hold some of these, by their paths. */
  onDisk(names: readonly string[]): string[];
  /** A file's size in bytes, without reading it. Throws DataError where it is no plain file. */
  size(name: string): Promise<number>;
  /** A file's bytes. Throws DataError where it cannot be read. */
  read(name: string): Promise<Uint8Array<ArrayBuffer>>;
}

/** More bytes than this are not unpacked into memory. */
const UNPACKED_LIMIT = 2 ** 30;

/** Whether a path ends as that of an archive that {@linkcode openFileSet} looks into. */
export const isArchive = (path: string): boolean => /\.(tar|tar\.gz|tgz|zip|npz)$/i.test(path);

/**
 * Opens a folder (with its own folders, `depth` levels of them), an archive (`.tar`, `.tar.gz`, `.tgz`,
 * `.zip`, `.npz`), or a file that stands alone, as an archive does where `unpacks` is false.
 *
 * @throws DataError when it is not there, cannot be listed, or is a damaged archive
 */
export async function openFileSet(
  path: string,
  { depth = 1, unpacks = true } = {},
): Promise<FileSet> {
  const place = path.replace(/(?<=.)\/+$/, "");
  let info: Deno.FileInfo;
  try {
    info = await Deno.stat(place);
  } catch (cause) {
    const why = cause instanceof Deno.errors.NotFound
      ? "does not exist"
      : `cannot be read: ${systemReason(cause)}`;
    throw new DataError(`${place} ${why}`, { path: place, cause });
  }
  if (info.isDirectory) return onDisk(place, place, await listFiles(place, depth));
  return unpacks && isArchive(place)
    ? await openArchive(place)
    : onDisk(place, dirname(place), [basename(place)]);
}

function onDisk(place: string, folder: string, names: readonly string[]): FileSet {
  const pathOf = (name: string) => join(folder, name);
  const failed = (name: string, cause: unknown) =>
    new DataError(`${pathOf(name)} cannot be read: ${systemReason(cause)}`, {
      path: pathOf(name),
      cause,
    });
  return {
    place,
    names,
    pathOf,
    onDisk: (names) => names.map(pathOf),
    async size(name) {
      const { isFile, size } = await Deno.stat(pathOf(name)).catch((cause) => {
        throw failed(name, cause);
      });
      if (isFile) return size;
      throw failed(name, "it is no plain file");
    },
    read: (name) =>
      Deno.readFile(pathOf(name)).catch((cause) => {
        throw failed(name, cause);
      }),
  };
}

/** The plain files of a folder and of so many levels of folders in it, in the order of their names. */
async function listFiles(folder: string, depth: number): Promise<string[]> {
  const found: string[] = [];
  const walk = async (inside: string, levels: number) => {
    try {
      for await (const { name, isDirectory } of Deno.readDir(join(folder, inside))) {
        if (!isDirectory) found.push(inside + name);
        else if (levels > 0) await walk(`${inside}${name}/`, levels - 1);
      }
    } catch (cause) {
      if (cause instanceof DataError) throw cause;
      const path = join(folder, inside);
      throw new DataError(`folder ${path} cannot be listed: ${cause}`, { path, cause });
    }
  };
  await walk("", depth);
  return found.sort();
}

async function openArchive(path: string): Promise<FileSet> {
  let files: Map<string, Uint8Array<ArrayBuffer>>;
  try {
    files = await (/\.(zip|npz)$/i.test(path) ? readZip(path) : readTar(path));
  } catch (cause) {
    throw new DataError(
      `${path} cannot be unpacked: ${
        (cause as Error).message
      }; the archive is damaged: fetch it again`,
      { path, cause },
    );
  }
  const get = (name: string) => {
    const bytes = files.get(name);
    if (bytes) return Promise.resolve(bytes);
    return Promise.reject(new DataError(`${path} holds no file ${name}`, { path }));
  };
  return {
    place: path,
    names: [...files.keys()].sort(),
    pathOf: (name) => `${path}:${name}`,
    onDisk: () => [path],
    size: async (name) => (await get(name)).length,
    read: get,
  };
}

/** Counts what is unpacked; throws Error at more than there may be. */
function unpackedCounter(): (bytes: number) => void {
  let all = 0;
  return (bytes) => {
    all += bytes;
    if (all > UNPACKED_LIMIT) throw new Error(`it unpacks to more than ${UNPACKED_LIMIT} bytes`);
  };
}

async function readTar(path: string): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const { createTarDecoder } = await loadTarDecoder();
  const files = new Map<string, Uint8Array<ArrayBuffer>>(), count = unpackedCounter();
  using file = await Deno.open(path);
  const unzipped = /gz$/i.test(path)
    ? file.readable.pipeThrough(new DecompressionStream("gzip"))
    : file.readable;
  for await (const { header, body } of unzipped.pipeThrough(createTarDecoder({ strict: true }))) {
    count(header.size);
    const bytes = await new Response(body).bytes();
    if (header.type === "file") files.set(header.name.replace(/^\.\//, ""), bytes);
  }
  if (files.size === 0) throw new Error("it holds no files");
  return files;
}

async function readZip(path: string): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const { unzipSync } = await loadZip();
  const count = unpackedCounter();
  const files = unzipSync(await Deno.readFile(path), {
    filter: ({ name, originalSize }) => {
      if (name.endsWith("/")) return false;
      count(originalSize);
      return true;
    },
  });
  return new Map(Object.entries(files)) as Map<string, Uint8Array<ArrayBuffer>>;
}
