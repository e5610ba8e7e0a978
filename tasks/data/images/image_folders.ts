/**
 * Images of one's own: a folder for each class, `train/` and `test/` (and `valid/`) above them or not.
 *
 * @module
 */

import { Random } from "../../../runtime/base/random.ts";
import { counted } from "../../../runtime/base/words.ts";
import { type OncePerHost, PER_RANK } from "../../../runtime/once_per_host.ts";
import { DataError } from "../data_error.ts";
import type { OwnSplits } from "../own_splits.ts";
import { type FileSet, openFileSet } from "../sources/file_set.ts";
import { decodeImage } from "./decode.ts";
import {
  channelStatistics,
  type ImageDataSet,
  type ImageShape,
  type ImageSplits,
} from "./image_data_set.ts";
import { resizeAndCrop } from "./resize.ts";

/** How folders of images are read. */
export interface ImageFolderOptions {
  /** Width and height that every image gets, in pixels. */
  readonly imageSize: number;
  /** Share of the images that is the test set, where no folder says so. */
  readonly testFraction: number;
}

/** An image on disk. */
interface Sample {
  readonly name: string;
  readonly label: number;
}

/** The splits' folders; of the last the first that is there. */
const SPLITS = { train: ["train"], test: ["test"], valid: ["valid", "val", "validation"] } as const;

const IMAGE = /\.(png|jpe?g|webp)$/i;

/** Images that are not read. To pass over them could take a class away, and nobody would know. */
const OTHER_IMAGE = /\.(avif|bmp|gif|hei[cf]|jfif|jp2|jxl|tiff?)$/i;

/** More bytes of pixels than this are not held in memory by each rank. */
const PIXELS_LIMIT = 2 ** 32;

/** A folder that has been listed. */
interface Listing {
  readonly set: FileSet;
  readonly classes: readonly string[];
  /** In the order in which they are numbered, which is drawn. */
  readonly train: readonly Sample[];
  readonly test: readonly Sample[];
  readonly valid: readonly Sample[] | null;
  /** Whether the test set, or the validation set in its place, is a folder's. */
  readonly isDivided: boolean;
}

/**
 * Reads the images of a folder. The classes are the names of its folders (or of those in `train/`), sorted.
 * Without `test/` (and `valid/`, which takes its place) a share of the images, drawn the same for every seed, is
 * the test set. Each image is resized and cropped, see {@linkcode resizeAndCrop}; normalisation is measured from
 * the training images.
 *
 * @param sharing who else needs the same: ranks of a host decode a part each
 * @throws DataError when there are no images, or one is broken
 */
export async function loadImageFolders(
  place: string,
  options: ImageFolderOptions,
  sharing: OncePerHost = PER_RANK,
): Promise<ImageSplits> {
  const { set, classes, train, test, valid } = await list(place, options);
  const side = options.imageSize;
  const decode = async (samples: readonly Sample[]) => {
    const image = 3 * side * side, pixels = new Uint8Array(samples.length * image);
    await sharing.divide(pixels, samples.length, async (begin, end) => {
      for (let at = begin; at < end; at++) {
        pixels.set(await readImage(set, samples[at].name, side), at * image);
      }
    });
    return pixels;
  };
  const trained = await decode(train), statistics = channelStatistics(trained, side);
  const setOf = (
    name: string,
    samples: readonly Sample[],
    pixels: Uint8Array,
  ): ImageDataSet => ({
    name: `images/${name}`,
    count: samples.length,
    classes,
    side,
    pixels,
    labels: Uint16Array.from(samples, ({ label }) => label),
    ...statistics,
  });
  return {
    name: "images",
    train: setOf("train", train, trained),
    test: setOf("test", test, await decode(test)),
    ...valid ? { valid: setOf("valid", valid, await decode(valid)) } : {},
  };
}

/**
 * Lists the images that {@linkcode loadImageFolders} reads, and decodes one of each class.
 *
 * @throws DataError when there are none, or one of these is broken
 */
export async function checkImageFolders(place: string, options: ImageFolderOptions): Promise<void> {
  const { set, classes, train } = await list(place, options);
  for (const label of classes.keys()) {
    const sample = train.find((sample) => sample.label === label);
    if (sample) await readImage(set, sample.name, options.imageSize);
  }
}

/**
 * What a network has to know of a folder of images.
 *
 * @throws DataError when there are none
 */
export async function imageFoldersShape(
  place: string,
  options: ImageFolderOptions,
): Promise<ImageShape> {
  const { classes } = await list(place, options);
  return { side: options.imageSize, classes: classes.length };
}

/**
 * Which splits the folders hold out; a validation set stands in for a missing test set.
 *
 * @throws DataError when there are no images
 */
export async function ownImageSplits(
  place: string,
  options: ImageFolderOptions,
): Promise<OwnSplits> {
  const { isDivided, valid } = await list(place, options);
  return { test: isDivided, valid: valid !== null };
}

/**
 * The paths of the images, and their names inside the folder.
 *
 * @throws DataError when the folder cannot be listed
 */
export async function imageFolderFiles(place: string): Promise<{ name: string; path: string }[]> {
  const set = await open(place);
  return set.names.filter(isSample).map((name) => ({ name, path: set.pathOf(name) }));
}

async function readImage(set: FileSet, name: string, side: number): Promise<Uint8Array> {
  const bytes = await set.read(name);
  try {
    return resizeAndCrop(await decodeImage(bytes), side);
  } catch (cause) {
    const path = set.pathOf(name), { message } = cause as Error;
    throw new DataError(
      `cannot read the image ${path}: ${message} (${bytes.length} bytes); replace or remove the file`,
      { path, cause },
    );
  }
}

async function open(place: string): Promise<FileSet> {
  try {
    return await openFileSet(place, { depth: 3 });
  } catch (cause) {
    const message = `cannot read the images: ${(cause as Error).message}`;
    throw new DataError(message, { path: place, cause });
  }
}

/** Whether a file is in a folder, and none of those that systems hide. */
const isInside = (name: string) =>
  name.includes("/") && !name.split("/").some((part) => part.startsWith("."));

const isSample = (name: string) => IMAGE.test(name) && isInside(name);

async function list(
  place: string,
  { imageSize, testFraction }: ImageFolderOptions,
): Promise<Listing> {
  const set = await open(place), names = set.names.filter(isSample);
  const cannot = (why: string) =>
    new DataError(`cannot read the images in ${set.place}: ${why}`, { path: set.place });
  const layout = "a folder of PNG, JPEG or WebP files for each class is required" +
    ", such as cat/1.png, or train/cat/1.png and test/cat/2.png";
  const inside = (split: keyof typeof SPLITS) => {
    const folder = SPLITS[split].find((each) => names.some((name) => name.startsWith(`${each}/`)));
    return names.filter((name) => name.startsWith(`${folder}/`) && name.split("/").length > 2)
      .map((name) => ({ name, in: name.split("/")[1] }));
  };
  const divided = inside("train").length > 0;
  // Beside train/ and test/ there may be others of which nothing is read.
  const splits: readonly string[] = Object.values(SPLITS).flat();
  const others = set.names.filter((name) => {
    const [first, ...inner] = name.split("/");
    return OTHER_IMAGE.test(name) && isInside(name) &&
      (!divided || inner.length > 1 && splits.includes(first));
  });
  if (others.length > 0) {
    const which = others.length === 1 ? "" : `, the first of ${others.length} such files`;
    throw cannot(
      `${others[0]} is no PNG, JPEG or WebP file${which}: convert or remove what cannot be read`,
    );
  }
  if (names.length === 0) throw cannot(`${layout}; found none`);
  const training = divided
    ? inside("train")
    : names.map((name) => ({ name, in: name.split("/")[0] }));
  const classes = [...new Set(training.map((each) => each.in))].sort();
  if (classes.length < 2) throw cannot(`${layout}; found one class, ${classes[0]}`);
  if (classes.length > 65536) {
    throw cannot(`there are ${classes.length} classes, at most 65536 can be`);
  }
  const labelled = (split: string, some: readonly { name: string; in: string }[]): Sample[] => {
    const samples = some.map((each) => {
      const label = classes.indexOf(each.in);
      if (label >= 0) return { name: each.name, label };
      throw cannot(`${each.name} is of a class, ${each.in}, of which train/ has no image`);
    });
    // Numbered in a drawn order, since a part of a set is its beginning.
    return [...new Random(0, "images", split).permutation(samples.length)].map((at) => samples[at]);
  };
  const all = labelled("train", training);
  const [test, valid] = divided
    ? [labelled("test", inside("test")), labelled("valid", inside("valid"))]
    : [[], []];
  const bytes = names.length * 3 * imageSize ** 2;
  if (bytes > PIXELS_LIMIT) {
    throw cannot(
      `${names.length} images of ${imageSize} × ${imageSize} pixels are ${bytes} bytes in each rank, at most ` +
        `${PIXELS_LIMIT} can be: give a smaller --image-size`,
    );
  }
  if (test.length > 0) {
    const own = valid.length > 0 ? valid : null;
    return { set, classes, train: all, test, valid: own, isDivided: true };
  }
  if (valid.length > 0) {
    return { set, classes, train: all, test: valid, valid: null, isDivided: true };
  }
  const out = Math.max(1, Math.round(all.length * testFraction));
  if (out >= all.length) {
    throw cannot(
      `of ${counted(all.length, "image")} none are left to learn from beside a test set: give more`,
    );
  }
  return {
    ...{ set, classes, train: all.slice(out), test: all.slice(0, out) },
    valid: null,
    isDivided: false,
  };
}
