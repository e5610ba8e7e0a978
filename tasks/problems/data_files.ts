/**
 * The files of a data set, so that two machines can tell whether theirs are the same.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { basename } from "node:path";
import { textFiles } from "../data/text/text_corpus.ts";
import { arrayFiles } from "../data/arrays/array_source.ts";
import { type DataLocation, imageSetOf, type LocalFile } from "./image_sets.ts";
import { ownTextFiles } from "../data/text/text_parts.ts";

/** A file of a data set. */
export interface DataFile {
  /** What it is called inside the data set, with `/` between folders. */
  readonly name: string;
  /** Its size. */
  readonly bytes: number;
  /** In hexadecimal digits. */
  readonly sha256: string;
}

/**
 * The files that a run reads.
 *
 * @throws DataError when one is not there
 */
export async function localFiles(location: DataLocation): Promise<LocalFile[]> {
  const images = imageSetOf(location);
  if (images) return await images.files();
  if (location.task === "arrays") {
    const { set, names } = await arrayFiles(location.data);
    return names.map((name) => ({ name, path: set.pathOf(name) }));
  }
  const paths = await (location.task === "text" ? ownTextFiles : textFiles)(location.data);
  return paths.map((path) => ({ name: basename(path), path }));
}

/**
 * What the files are, each read once.
 *
 * @throws DataError when one is not there
 */
export async function describeData(location: DataLocation): Promise<DataFile[]> {
  const files: DataFile[] = [];
  for (const { name, path } of await localFiles(location)) {
    const hash = createHash("sha256");
    let bytes = 0;
    using file = await Deno.open(path);
    for await (const piece of file.readable) {
      hash.update(piece);
      bytes += piece.length;
    }
    files.push({ name, bytes, sha256: hash.digest("hex") });
  }
  return files;
}

/** How the files of one machine differ from another's, in words; null if they do not. */
export function differenceOf(own: readonly DataFile[], wanted: readonly DataFile[]): string | null {
  for (const file of wanted) {
    const mine = own.find(({ name }) => name === file.name);
    if (!mine) return `there is no ${file.name}`;
    if (mine.bytes !== file.bytes) {
      return `${file.name} has ${mine.bytes} bytes, not ${file.bytes}`;
    }
    if (mine.sha256 !== file.sha256) {
      return `${file.name} has the SHA-256 ${mine.sha256}, not ${file.sha256}`;
    }
  }
  const more = own.find(({ name }) => !wanted.some((file) => file.name === name));
  return more ? `there is also ${more.name}` : null;
}
