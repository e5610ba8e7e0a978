/**
 * A text in files as it is: which of its bytes are trained on, validated on and tested on, and reading them without
 * having them in memory.
 *
 * @module
 */

import { basename, join } from "node:path";
import { systemReason } from "../../../runtime/base/system_error.ts";
import { DataError } from "../data_error.ts";
import type { OwnSplits } from "../own_splits.ts";
import { findSplits, splitsIn, type TextSplit } from "./text_corpus.ts";
import { firstInvalidByte, invalidError, zeroError } from "./utf8.ts";

/** Bytes of a file from `start` up to, but not, `end`. */
export interface TextRange {
  readonly path: string;
  readonly start: number;
  readonly end: number;
}

/** Where the splits of a text lie. */
export type TextParts = Readonly<Record<TextSplit, readonly TextRange[]>>;

/** How much of a text is held out, where its files do not say it. */
export interface HeldOut {
  /** Share of its bytes to validate on. */
  readonly validFraction: number;
  /** Share of its bytes to test on. */
  readonly testFraction: number;
}

/** Bytes in which a cut is moved to a line's end. */
const LINE_SEARCH = 2 ** 16;
/** Bytes read at once. */
const READ_BYTES = 2 ** 20;

/**
 * The files of a text, sorted: `data` itself, or those in the folder, without hidden ones and other folders; where
 * the folder has a training, a validation and a test split in one of the layouts of `loadTextCorpus()`, these.
 *
 * @throws DataError when there is none
 */
export async function ownTextFiles(data: string): Promise<string[]> {
  const info = await Deno.stat(data).catch((cause) => {
    throw new DataError(`cannot read the text: ${data} cannot be read: ${systemReason(cause)}`, {
      path: data,
      cause,
    });
  });
  if (info.isFile) return [data];
  if (!info.isDirectory) {
    throw new DataError(`cannot read the text: ${data} is neither a file nor a folder`, {
      path: data,
    });
  }
  if (await splitsIn(data)) return Object.values(await findSplits(data));
  const files: string[] = [];
  for await (const { name } of Deno.readDir(data)) {
    const path = join(data, name);
    if (!name.startsWith(".") && (await Deno.stat(path)).isFile) files.push(path);
  }
  if (files.length === 0) {
    throw new DataError(
      `cannot read the text: there is no file in ${data}; give --data a UTF-8 file, or a folder of them`,
      { path: data },
    );
  }
  // By code units, so that all machines agree.
  return files.sort((a, b) => (basename(a) < basename(b) ? -1 : 1));
}

/**
 * Which splits a text's files hold out.
 *
 * @throws DataError when there is no such file or folder
 */
export async function ownTextSplits(data: string): Promise<OwnSplits> {
  await ownTextFiles(data);
  const given = (await Deno.stat(data)).isDirectory && await splitsIn(data);
  return { test: given, valid: given };
}

/**
 * Which bytes of a text are in which split. Files that follow each other are cut where a line ends: the first part
 * is trained on, the next validated on, the last tested on.
 *
 * @throws DataError when a file is not to be had, or a split would be empty
 */
export async function findTextParts(data: string, heldOut: HeldOut): Promise<TextParts> {
  const paths = await ownTextFiles(data);
  const given = (await Deno.stat(data)).isDirectory && await splitsIn(data);
  const whole: TextRange[] = [];
  for (const path of paths) whole.push({ path, start: 0, end: (await Deno.stat(path)).size });
  const total = whole.reduce((sum, { end }) => sum + end, 0);
  if (given) {
    const empty = whole.find(({ end }) => end === 0);
    if (empty) throw emptyError(empty.path);
    const [train, valid, test] = whole;
    return { train: [train], valid: [valid], test: [test] };
  }
  if (total === 0) throw emptyError(paths.length === 1 ? paths[0] : `every file in ${data}`);
  const { validFraction, testFraction } = heldOut;
  const first = await findCut(whole, Math.round(total * (1 - validFraction - testFraction)));
  const second = await findCut(whole, Math.max(first, Math.round(total * (1 - testFraction))));
  const parts = {
    train: between(whole, 0, first),
    valid: between(whole, first, second),
    test: between(whole, second, total),
  };
  const empty = (["train", "valid", "test"] as const).find((split) => parts[split].length === 0);
  if (empty === undefined) return parts;
  throw new DataError(
    `cannot split the text: of the ${total} bytes of ${data} none are left for ${empty} with --valid-fraction ` +
      `${validFraction} and --test-fraction ${testFraction}, cut where lines end; give more text or other shares`,
    { path: data },
  );
}

function emptyError(path: string): DataError {
  return new DataError(`cannot read the text: ${path} is empty`, { path });
}

/** Where to cut near a place: after the next line's end, if it is not far, else before the next character. */
async function findCut(files: readonly TextRange[], place: number): Promise<number> {
  let before = 0;
  for (const { path, end } of files) {
    const at = place - before;
    if (at < end) {
      if (at === 0) return place;
      using file = await open(path);
      await file.seek(at, Deno.SeekMode.Start);
      const bytes = new Uint8Array(Math.min(LINE_SEARCH, end - at));
      await readFull(file, bytes, path);
      const line = bytes.indexOf(10);
      const last = path === files.at(-1)!.path;
      // Behind the text's last line there would be nothing left.
      if (line >= 0 && !(last && at + line + 1 === end)) return place + line + 1;
      if (!last && at + bytes.length === end) return before + end;
      const next = bytes.findIndex((byte) => (byte & 0xc0) !== 0x80);
      return next < 0 ? before + end : place + next;
    }
    before += end;
  }
  return before;
}

/** The ranges that lie between two places. */
function between(files: readonly TextRange[], from: number, to: number): TextRange[] {
  const ranges: TextRange[] = [];
  let before = 0;
  for (const { path, end } of files) {
    const range = { path, start: Math.max(0, from - before), end: Math.min(end, to - before) };
    if (range.start < range.end) ranges.push(range);
    before += end;
  }
  return ranges;
}

/**
 * Reads a part of a text, in pieces that cut no character. Between two files a line ends. A byte order mark at a
 * file's beginning is left out.
 *
 * @throws DataError that names the first byte that is no UTF-8, or the first that is zero
 */
export async function* readTextPart(ranges: readonly TextRange[]): AsyncGenerator<string> {
  let ended = true;
  for (const range of ranges) {
    if (!ended) yield "\n";
    for await (const piece of readRange(range)) {
      ended = piece.endsWith("\n");
      yield piece;
    }
  }
}

async function* readRange({ path, start, end }: TextRange): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const buffer = new Uint8Array(Math.min(READ_BYTES, end - start));
  using file = await open(path);
  await file.seek(start, Deno.SeekMode.Start);
  /** Bytes at the buffer's beginning that belong to a character that the last read has cut. */
  let kept = 0;
  for (let at = start; at < end;) {
    const bytes = buffer.subarray(0, Math.min(buffer.length, end - at));
    await readFull(file, bytes.subarray(kept), path);
    const last = at + bytes.length === end, cut = last ? 0 : cutCharacter(bytes);
    const whole = bytes.subarray(0, bytes.length - cut);
    const zero = whole.indexOf(0);
    if (zero >= 0) throw zeroError(path, at + zero);
    let text: string;
    try {
      text = decoder.decode(whole);
    } catch (cause) {
      const offset = at + (firstInvalidByte(whole) ?? 0);
      throw invalidError(path, offset, buffer[offset - at], cause);
    }
    const piece = at === 0 && text.startsWith("\ufeff") ? text.slice(1) : text;
    if (piece !== "") yield piece;
    at += whole.length;
    buffer.copyWithin(0, whole.length, bytes.length);
    kept = cut;
  }
}

/** Bytes at the end that may be the beginning of a character. */
function cutCharacter(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length - 1); back++) {
    const byte = bytes[bytes.length - back];
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) return back < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) ? back : 0;
  }
  return 0;
}

async function open(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path);
  } catch (cause) {
    throw new DataError(
      `cannot read the text: ${path} cannot be read: ${systemReason(cause)}`,
      {
        path,
        cause,
      },
    );
  }
}

async function readFull(file: Deno.FsFile, bytes: Uint8Array, path: string): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const read = await file.read(bytes.subarray(at));
    if (read === null) {
      throw new DataError(`cannot read the text: ${path} has become shorter while it is read`, {
        path,
      });
    }
    at += read;
  }
}
