/**
 * CIFAR-10 (Krizhevsky 2009) from its official binary layout: files of records, one label byte and
 * 3,072 pixel bytes (red, green, blue planes, row major) each.
 *
 * @module
 */

import { DataError } from "../data_error.ts";
import { IMAGE_BYTES, type ImageDataSet, type ImageSplits } from "./image_data_set.ts";

/** Bytes of a record: the label and the image. */
export const CIFAR10_RECORD_BYTES: number = 1 + IMAGE_BYTES;

/** The folder that the official archive unpacks to. */
export const CIFAR10_FOLDER = "cifar-10-batches-bin";

/** Channel means of the 50,000 official training images, as the paper's code has them. */
export const CIFAR10_MEAN = [0.4914, 0.4822, 0.4465] as const;

/** Channel standard deviations of the 50,000 official training images. */
export const CIFAR10_STD = [0.2470, 0.2435, 0.2616] as const;

const CLASSES = [
  "airplane",
  "automobile",
  "bird",
  "cat",
  "deer",
  "dog",
  "frog",
  "horse",
  "ship",
  "truck",
];

const WAY_OUT = "give --data the folder of the official binary version " +
  `(${CIFAR10_FOLDER}/ with data_batch_1.bin … data_batch_5.bin and test_batch.bin), ` +
  "or add --download to fetch it";

/**
 * Reads CIFAR-10 from `directory`, or from `cifar-10-batches-bin/` inside it: every
 * `data_batch_<n>.bin` (one or more) for training, `test_batch.bin` for testing, class names from
 * `batches.meta.txt` where it exists.
 *
 * @param directory a folder on this machine
 * @throws {DataError} when a file is missing, empty, no whole number of records, or holds a label
 * above 9
 */
export async function loadCifar10(directory: string): Promise<ImageSplits> {
  const { folder, batches } = await findBatches(directory);
  const classes = await readClasses(`${folder}/batches.meta.txt`);
  const set = async (name: string, files: string[]): Promise<ImageDataSet> => {
    const { pixels, labels } = await readBatches(files);
    return {
      name: `cifar10/${name}`,
      count: labels.length,
      classes,
      pixels,
      labels,
      mean: CIFAR10_MEAN,
      std: CIFAR10_STD,
    };
  };
  return {
    name: "cifar10",
    train: await set("train", batches),
    test: await set("test", [`${folder}/test_batch.bin`]),
  };
}

/**
 * Looks at the files that {@linkcode loadCifar10} reads, without reading them whole: whether all are there,
 * consist of whole records, and begin with a label.
 *
 * @throws {DataError} when one does not
 */
export async function checkCifar10(directory: string): Promise<void> {
  const { folder, batches } = await findBatches(directory);
  await readClasses(`${folder}/batches.meta.txt`);
  for (const path of [...batches, `${folder}/test_batch.bin`]) {
    await recordFileSize(path);
    using file = await Deno.open(path);
    const first = new Uint8Array(1);
    await file.read(first);
    checkLabel(first[0], path, 0);
  }
}

/**
 * The paths of the files that {@linkcode loadCifar10} reads.
 *
 * @throws {DataError} when one is not there
 */
export async function cifar10Files(directory: string): Promise<string[]> {
  const { folder, batches } = await findBatches(directory), names = `${folder}/batches.meta.txt`;
  const named = await Deno.stat(names).then(({ isFile }) => isFile, () => false);
  return [...batches, `${folder}/test_batch.bin`, ...named ? [names] : []];
}

/** The folder that holds the training batches, and their paths in the order of their numbers. */
async function findBatches(directory: string): Promise<{ folder: string; batches: string[] }> {
  const base = directory.replace(/(?<=.)\/+$/, "");
  let found = "";
  for (const folder of [base, `${base}/${CIFAR10_FOLDER}`]) {
    const numbers: number[] = [];
    try {
      for await (const entry of Deno.readDir(folder)) {
        const match = /^data_batch_(\d+)\.bin$/.exec(entry.name);
        if (match) numbers.push(Number(match[1]));
      }
    } catch (cause) {
      if (cause instanceof Deno.errors.NotFound || cause instanceof Deno.errors.NotADirectory) {
        found ||= `no folder ${folder}`;
        continue;
      }
      throw new DataError(`cannot read CIFAR-10: folder ${folder} cannot be listed: ${cause}`, {
        path: folder,
        cause,
      });
    }
    if (numbers.length > 0) {
      numbers.sort((a, b) => a - b);
      return { folder, batches: numbers.map((n) => `${folder}/data_batch_${n}.bin`) };
    }
    found ||= `no such file in ${folder}`;
  }
  throw new DataError(
    `cannot read CIFAR-10: at least one data_batch_<n>.bin is required, found ${found}; ${WAY_OUT}`,
    { path: base },
  );
}

/** Class names, one a line; the official ten where the file does not exist. */
async function readClasses(path: string): Promise<string[]> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return CLASSES;
    throw new DataError(`cannot read CIFAR-10: ${path} cannot be read: ${cause}`, { path, cause });
  }
  const names = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  if (names.length !== CLASSES.length) {
    throw new DataError(
      `cannot read CIFAR-10: ${path} must name ${CLASSES.length} classes, one a line, ` +
        `found ${names.length}; remove the file to use the official names`,
      { path },
    );
  }
  return names;
}

/** Reads and checks record files into one run of pixels and one of labels. */
async function readBatches(
  files: string[],
): Promise<{ pixels: Uint8Array; labels: Uint8Array }> {
  const sizes: number[] = [];
  for (const path of files) sizes.push(await recordFileSize(path));
  const records = sizes.reduce((sum, size) => sum + size, 0) / CIFAR10_RECORD_BYTES;
  const pixels = new Uint8Array(records * IMAGE_BYTES), labels = new Uint8Array(records);
  let record = 0;
  for (let f = 0; f < files.length; f++) {
    const path = files[f];
    const bytes = await Deno.readFile(path);
    if (bytes.length !== sizes[f]) {
      throw new DataError(
        `cannot read CIFAR-10: ${path} changed while it was read: ${sizes[f]} bytes, then ` +
          `${bytes.length}; wait until whatever writes it has ended`,
        { path },
      );
    }
    for (let at = 0; at < bytes.length; at += CIFAR10_RECORD_BYTES, record++) {
      const label = bytes[at];
      checkLabel(label, path, at / CIFAR10_RECORD_BYTES);
      labels[record] = label;
      pixels.set(bytes.subarray(at + 1, at + CIFAR10_RECORD_BYTES), record * IMAGE_BYTES);
    }
  }
  return { pixels, labels };
}

function checkLabel(label: number, path: string, record: number): void {
  if (label < CLASSES.length) return;
  throw new DataError(
    `cannot read CIFAR-10: ${path} has label ${label} in record ${record}, a label is 0 to ` +
      `${CLASSES.length - 1}; the file is altered or of another data set: ${WAY_OUT}`,
    { path },
  );
}

/** Size of a record file in bytes, checked before memory is taken for it. */
async function recordFileSize(path: string): Promise<number> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.stat(path);
  } catch (cause) {
    const why = cause instanceof Deno.errors.NotFound ? "it does not exist" : String(cause);
    throw new DataError(`cannot read CIFAR-10: ${path} is required, but ${why}; ${WAY_OUT}`, {
      path,
      cause,
    });
  }
  if (!info.isFile || info.size === 0 || info.size % CIFAR10_RECORD_BYTES !== 0) {
    const whole = Math.floor(info.size / CIFAR10_RECORD_BYTES);
    throw new DataError(
      `cannot read CIFAR-10: ${path} must be a file of whole records of ${CIFAR10_RECORD_BYTES} ` +
        `bytes, at least one; found ` +
        (info.isFile
          ? `${info.size} bytes, ${whole} records and ` +
            `${info.size - whole * CIFAR10_RECORD_BYTES} bytes over`
          : "no plain file") +
        ` (an official batch has 10000 records, ${10000 * CIFAR10_RECORD_BYTES} bytes); ` +
        `the file is truncated or altered: ${WAY_OUT}`,
      { path },
    );
  }
  return info.size;
}
