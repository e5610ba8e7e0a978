/**
 * Word-level texts in three splits, as Penn Treebank (Mikolov et al. 2010) and WikiText-2 (Merity et al.
 * 2017) are distributed: words between white space, one `<eos>` after each line. Words are numbered in
 * the order of their first appearance in the training, validation and test split, as in the AWD-LSTM
 * reference code, so that the numbers agree with its vocabulary.
 *
 * @module
 */

import { systemReason } from "../../../runtime/base/system_error.ts";
import { DataError } from "../data_error.ts";
import { Vocabulary } from "../tokenizers/vocabulary.ts";
import type { TokenSplits } from "./tokens.ts";
import { firstInvalidByte, invalidError, zeroError } from "./utf8.ts";
import { WordSplitter } from "../tokenizers/word_splitter.ts";

/** The splits of a corpus. */
export type TextSplit = "train" | "valid" | "test";

/** A text in three splits over one vocabulary: numbers of words, `<eos>` included. */
export interface TextCorpus extends TokenSplits<Int32Array> {
  /** Name for logs, such as `ptb`. */
  readonly name: string;
  /** The words of all three splits. */
  readonly vocabulary: Vocabulary;
}

const SPLITS: readonly TextSplit[] = ["train", "valid", "test"];

/** How the splits' files are called: by the reference code, by WikiText, by Mikolov's archive. */
const LAYOUTS: readonly ((split: TextSplit) => string)[] = [
  (split) => `${split}.txt`,
  (split) => `wiki.${split}.tokens`,
  (split) => `ptb.${split}.txt`,
];

/**
 * Reads a corpus from `directory`, in one of the layouts `train|valid|test.txt`,
 * `wiki.{train,valid,test}.tokens` and `ptb.{train,valid,test}.txt`.
 *
 * @param directory a folder on this machine
 * @param name what logs call the corpus; by default the folder's own name
 * @throws {DataError} when a split is missing, empty or no UTF-8 text
 */
export async function loadTextCorpus(directory: string, name?: string): Promise<TextCorpus> {
  const folder = directory.replace(/(?<=.)\/+$/, "");
  const paths = await findSplits(folder);
  const vocabulary = new Vocabulary();
  const read = async (split: TextSplit) => {
    const path = paths[split], { text, bytes } = await readText(path);
    const tokens = tokenize(text, vocabulary);
    if (tokens.length >= 2) return tokens;
    throw new DataError(
      `cannot read the text: ${path} must hold at least 2 tokens, found ${tokens.length} in ` +
        `${bytes} bytes; the file is truncated: fetch it again`,
      { path },
    );
  };
  // In this order, which numbers the words.
  const train = await read("train"), valid = await read("valid"), test = await read("test");
  return { name: name ?? folder.split("/").at(-1)!, vocabulary, train, valid, test };
}

/**
 * Looks at the files that {@linkcode loadTextCorpus} reads, without numbering their words.
 *
 * @throws {DataError} when a split is missing, empty or no UTF-8 text
 */
export async function checkTextCorpus(directory: string): Promise<void> {
  const paths = await findSplits(directory.replace(/(?<=.)\/+$/, ""));
  for (const path of Object.values(paths)) {
    if (/\S/.test((await readText(path)).text)) continue;
    throw new DataError(
      `cannot read the text: ${path} is empty; the file is truncated: fetch it again`,
      { path },
    );
  }
}

/**
 * The paths of the files that {@linkcode loadTextCorpus} reads.
 *
 * @throws {DataError} when one is not there
 */
export async function textFiles(directory: string): Promise<string[]> {
  return Object.values(await findSplits(directory.replace(/(?<=.)\/+$/, "")));
}

/** A file's text, and its length. */
async function readText(path: string): Promise<{ text: string; bytes: number }> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await Deno.readFile(path);
  } catch (cause) {
    throw new DataError(`cannot read the text: ${path} cannot be read: ${systemReason(cause)}`, {
      path,
      cause,
    });
  }
  const zero = bytes.indexOf(0);
  if (zero >= 0) throw zeroError(path, zero);
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return { text, bytes: bytes.length };
  } catch (cause) {
    const offset = firstInvalidByte(bytes) ?? 0;
    throw invalidError(path, offset, bytes[offset], cause);
  }
}

/** Whether a folder has all three splits in one layout. */
export async function splitsIn(folder: string): Promise<boolean> {
  const names = new Set<string>();
  for await (const entry of Deno.readDir(folder)) names.add(entry.name);
  return LAYOUTS.some((layout) => SPLITS.every((split) => names.has(layout(split))));
}

/**
 * The files of the three splits: of the first layout of which any is there.
 *
 * @throws DataError when one is not there
 */
export async function findSplits(folder: string): Promise<Record<TextSplit, string>> {
  const names = new Set<string>();
  try {
    for await (const entry of Deno.readDir(folder)) names.add(entry.name);
  } catch (cause) {
    const why = cause instanceof Deno.errors.NotFound ? "it does not exist" : String(cause);
    throw new DataError(
      `cannot read the text: folder ${folder} is required, but ${why}; ${wayOut()}`,
      { path: folder, cause },
    );
  }
  for (const layout of LAYOUTS) {
    const missing = SPLITS.filter((split) => !names.has(layout(split)));
    if (missing.length === SPLITS.length) continue;
    if (missing.length > 0) {
      const found = SPLITS.filter((split) => !missing.includes(split)).map(layout);
      throw new DataError(
        `cannot read the text: ${missing.map(layout).join(" and ")} missing from ${folder}, ` +
          `found only ${found.join(" and ")}; ${wayOut()}`,
        { path: `${folder}/${layout(missing[0])}` },
      );
    }
    const path = (split: TextSplit) => `${folder}/${layout(split)}`;
    return { train: path("train"), valid: path("valid"), test: path("test") };
  }
  throw new DataError(
    `cannot read the text: found no split in ${folder}; ${wayOut()}`,
    { path: folder },
  );
}

function wayOut(): string {
  const layouts = LAYOUTS.map((layout) => SPLITS.map(layout).join(", ")).join("; or ");
  return `give --data a folder with ${layouts}; or add --download to fetch the official files`;
}

/**
 * The numbers of the words of `text`, which are added to `vocabulary`, with one `<eos>` after each
 * line, see {@linkcode WordSplitter}.
 */
export function tokenize(text: string, vocabulary: Vocabulary): Int32Array {
  let tokens = new Int32Array(text.length / 4 + 16), count = 0;
  const splitter = new WordSplitter((word) => {
    if (count === tokens.length) {
      const larger = new Int32Array(2 * count);
      larger.set(tokens);
      tokens = larger;
    }
    tokens[count++] = vocabulary.add(word);
  });
  splitter.take(text);
  splitter.end();
  return tokens.slice(0, count);
}
