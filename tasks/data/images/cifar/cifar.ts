/**
 * CIFAR-10 and CIFAR-100 in every form that people hold: the authors' binary and Python versions and the Hub's
 * parquet files, in a folder, a folder above it, or an archive of it. Which it is, is seen from the names of the
 * files; the pixels and labels are the same.
 *
 * @module
 */

import { join } from "node:path";
import { type OncePerHost, PER_RANK } from "../../../../runtime/once_per_host.ts";
import { DataError } from "../../data_error.ts";
import { type FileSet, isArchive, openFileSet } from "../../sources/file_set.ts";
import { IMAGE_BYTES, IMAGE_SIDE, type ImageDataSet, type ImageSplits } from "../image_data_set.ts";
import { BINARY } from "./binary.ts";
import { checkLabels, type CifarFiles, type CifarForm, type LabelledImages } from "./form.ts";
import type { CifarKind } from "./kinds.ts";
import { PARQUET } from "./parquet.ts";
import { PICKLES } from "./pickles.ts";

/** What is looked for, in this order: the first that is there is read. */
const FORMS: readonly CifarForm[] = [BINARY, PICKLES, PARQUET];

/**
 * Reads a data set: every training file of its form in the order of their numbers, the test file, the classes'
 * names where a file has them.
 *
 * @param place a folder, an archive or a folder that holds one, on this machine
 * @param sharing who else needs the same; what takes long to read is read once
 * @throws DataError when a file is missing or is not as it should be
 */
export async function loadCifar(
  kind: CifarKind,
  place: string,
  sharing: OncePerHost = PER_RANK,
): Promise<ImageSplits> {
  const found = await findForm(kind, place), { set, form, files } = found;
  const classes = await readClasses(kind, found);
  const quick = form.count !== undefined && !isArchive(set.place);
  const load = async (split: "train" | "test"): Promise<ImageDataSet> => {
    const read = () => readImages(kind, found, files[split]);
    const { pixels, labels } = quick ? await read() : unpacked(
      await sharing.make(`${kind.task}/${split}`, async () => packed(await read())),
    );
    const { mean, std } = kind;
    const name = `${kind.task}/${split}`, side = IMAGE_SIDE;
    return { name, count: labels.length, classes, side, pixels, labels, mean, std };
  };
  return { name: kind.task, train: await load("train"), test: await load("test") };
}

/**
 * Looks at the files that {@linkcode loadCifar} reads: at those of the binary version without reading them whole.
 *
 * @throws DataError when one is missing or is not as it should be
 */
export async function checkCifar(kind: CifarKind, place: string): Promise<void> {
  const found = await findForm(kind, place), { set, form, files } = found;
  await readClasses(kind, found);
  for (const name of [...files.train, ...files.test]) {
    await inFile(kind, set, name, async () => {
      if (form.check && !isArchive(set.place)) await form.check(set, name, kind);
      else await form.images(await set.read(name), kind);
    });
  }
}

/**
 * The paths of the files that {@linkcode loadCifar} reads.
 *
 * @throws DataError when one is not there
 */
export async function cifarFiles(kind: CifarKind, place: string): Promise<string[]> {
  const { set, files } = await findForm(kind, place);
  const { train, test, names } = files;
  return [...new Set(set.onDisk([...train, ...test, ...names === null ? [] : [names]]))];
}

/** A form that was recognised. */
interface Found {
  readonly set: FileSet;
  readonly form: CifarForm;
  readonly files: CifarFiles;
}

function wayOut({ binary, pickles }: CifarKind): string {
  return `give --data the official binary version (${binary.folder}/ with ${binary.trainName} and ` +
    `${binary.test}), the Python version (${pickles.folder}/), the Hub's parquet files (train*.parquet, ` +
    "test*.parquet), or an archive of either; or add --download to fetch it";
}

async function findForm(kind: CifarKind, place: string): Promise<Found> {
  const cannot = (why: string, path: string, cause?: unknown) =>
    new DataError(`cannot read ${kind.title}: ${why}; ${wayOut(kind)}`, { path, cause });
  const open = async (path: string) => {
    try {
      return await openFileSet(path);
    } catch (cause) {
      throw cannot((cause as Error).message, path, cause);
    }
  };
  const whole = await open(place);
  const archives = isArchive(whole.place) ? [] : whole.names.filter(isArchive);
  for (const form of FORMS) {
    const files = form.find(whole.names, kind);
    if (files) return complete(whole, form, files);
  }
  for (const name of archives) {
    const set = await open(join(whole.place, name));
    for (const form of FORMS) {
      const files = form.find(set.names, kind);
      if (files) return complete(set, form, files);
    }
  }
  const [name] = whole.names,
    isFile = whole.names.length === 1 && whole.pathOf(name) === whole.place;
  throw cannot(
    `at least one ${kind.binary.trainName} (or a file of another form) is required, found ` +
      `${isFile ? "the file" : "no such file in"} ${whole.place}`,
    whole.place,
  );

  function complete(set: FileSet, form: CifarForm, files: CifarFiles): Found {
    const missing = files.test.find((name) => !set.names.includes(name));
    if (missing === undefined && files.test.length > 0) return { set, form, files };
    const path = missing === undefined ? set.place : set.pathOf(missing);
    throw cannot(
      missing === undefined
        ? `beside ${set.pathOf(files.train[0])} a test file is required, but there is none`
        : `${path} is required, but it does not exist`,
      path,
    );
  }
}

/** Does something with a file, and says whose fault it is if that cannot be done. */
async function inFile<T>(
  kind: CifarKind,
  set: FileSet,
  name: string,
  act: () => Promise<T>,
): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    const path = set.pathOf(name), { message } = cause as Error;
    const what = cause instanceof DataError ? message : `${path} ${message}`;
    throw new DataError(
      `cannot read ${kind.title}: ${what.replace(/[.;]$/, "")}; ${wayOut(kind)}`,
      { path, cause },
    );
  }
}

/** The classes' names; the official ones where no file has them. */
async function readClasses(
  kind: CifarKind,
  { set, form, files: { names } }: Found,
): Promise<readonly string[]> {
  if (names === null) return kind.classes;
  return await inFile(kind, set, names, async () => {
    const classes = await form.classes(await set.read(names), kind);
    if (classes.length === kind.classes.length) return classes;
    throw new Error(
      `must name ${kind.classes.length} classes, found ${classes.length}; remove the file to use the ` +
        "official names",
    );
  });
}

/** The images of some files, one after the other. */
async function readImages(
  kind: CifarKind,
  { set, form }: Found,
  names: readonly string[],
): Promise<LabelledImages> {
  const read = (name: string) =>
    inFile(kind, set, name, async () => {
      const images = await form.images(await set.read(name), kind);
      checkLabels(images.labels, kind);
      return images;
    });
  // Where sizes are known, there is never more in memory than the images and one file.
  if (form.count === undefined) {
    const parts = [];
    for (const name of names) parts.push(await read(name));
    return joined(parts.reduce((sum, { labels }) => sum + labels.length, 0), parts);
  }
  let count = 0;
  for (const name of names) {
    count += await inFile(kind, set, name, async () => form.count!(await set.size(name), kind));
  }
  const all = { pixels: new Uint8Array(count * IMAGE_BYTES), labels: new Uint8Array(count) };
  let at = 0;
  for (const name of names) {
    const part = await read(name);
    if (at + part.labels.length > count) {
      const path = set.pathOf(name);
      throw new DataError(`cannot read ${kind.title}: ${path} changed while it was read`, { path });
    }
    put(all, at, part);
    at += part.labels.length;
  }
  return all;
}

function joined(count: number, parts: readonly LabelledImages[]): LabelledImages {
  const all = { pixels: new Uint8Array(count * IMAGE_BYTES), labels: new Uint8Array(count) };
  let at = 0;
  for (const part of parts) {
    put(all, at, part);
    at += part.labels.length;
  }
  return all;
}

function put(all: LabelledImages, at: number, part: LabelledImages): void {
  all.labels.set(part.labels, at);
  all.pixels.set(part.pixels, at * IMAGE_BYTES);
}

/** Images as one array, which ranks can give each other: pixels, then labels. */
function packed({ pixels, labels }: LabelledImages): Uint8Array {
  const bytes = new Uint8Array(pixels.length + labels.length);
  bytes.set(pixels);
  bytes.set(labels, pixels.length);
  return bytes;
}

function unpacked(bytes: Uint8Array): LabelledImages {
  const count = bytes.length / (IMAGE_BYTES + 1);
  return {
    pixels: bytes.subarray(0, count * IMAGE_BYTES),
    labels: bytes.subarray(count * IMAGE_BYTES),
  };
}
