/**
 * The data sets of images that lie on disk: how each is checked, listed and read. One place knows which task reads
 * which files; what checks, compares, sends and trains asks here.
 *
 * @module
 */

import { basename } from "node:path";
import { checkCifar, cifarFiles, loadCifar } from "../data/images/cifar/cifar.ts";
import { CIFAR10, CIFAR100, type CifarKind } from "../data/images/cifar/kinds.ts";
import {
  checkImageFolders,
  imageFolderFiles,
  type ImageFolderOptions,
  imageFoldersShape,
  loadImageFolders,
} from "../data/images/image_folders.ts";
import { IMAGE_SIDE, type ImageShape, type ImageSplits } from "../data/images/image_data_set.ts";
import { networkInputs } from "../../models/foreign/model.ts";
import { type FileOptions, importOptions } from "../networks/onnx_model.ts";
import type { OncePerHost } from "../../runtime/once_per_host.ts";
import type { Options } from "../options/values.ts";

/** Which data set, and where. */
export type DataLocation = Pick<Options, "task"> & { readonly data: string };

/** A file of a data set on this machine. */
export interface LocalFile {
  /** What it is called inside the data set, with `/` between folders. */
  readonly name: string;
  readonly path: string;
}

/** A data set on disk, not read yet. Each method throws DataError if a file is not as it should be. */
export interface ImageSet {
  /** Its files. */
  files(): Promise<LocalFile[]>;
  /** What a network has to know of it. */
  shape(options: ImageFolderOptions): Promise<ImageShape>;
  /** Looks at its files as far as that is quick. */
  check(options: ImageFolderOptions): Promise<void>;
  /** Reads it, together with the ranks that need the same. */
  load(options: ImageFolderOptions, sharing: OncePerHost): Promise<ImageSplits>;
}

/** The data set at a place; null where the task has no images, or draws them. */
export function imageSetOf({ task, data }: DataLocation): ImageSet | null {
  switch (task) {
    case "cifar10":
      return cifar(CIFAR10, data);
    case "cifar100":
      return cifar(CIFAR100, data);
    case "images":
      return {
        files: () => imageFolderFiles(data),
        shape: (options) => imageFoldersShape(data, options),
        check: (options) => checkImageFolders(data, options),
        load: (options, sharing) => loadImageFolders(data, options, sharing),
      };
    default:
      return null;
  }
}

function cifar(kind: CifarKind, data: string): ImageSet {
  return {
    files: async () =>
      (await cifarFiles(kind, data)).map((path) => ({ name: basename(path), path })),
    shape: () => Promise.resolve({ side: IMAGE_SIDE, classes: kind.classes.length }),
    check: () => checkCifar(kind, data),
    load: (_, sharing) => loadCifar(kind, data, sharing),
  };
}

/**
 * How the images of a run are read: where no option says their size, they get the one that the network's file takes.
 *
 * @param file the network's; null for a built-in one
 */
export function imageOptions(
  { imageSize, testFraction, loss, dims }: Options,
  file: Uint8Array | null,
): ImageFolderOptions {
  return { testFraction, imageSize: imageSize ?? sideOf(file, { loss, dims }) ?? IMAGE_SIDE };
}

/** The side of the images that a network's file takes; null where it takes others, or any. */
function sideOf(file: Uint8Array | null, options: FileOptions): number | null {
  if (!file) return null;
  try {
    const { loss, dims: lengths = {} } = importOptions(options);
    const [{ dims }] = networkInputs(file, loss === undefined ? {} : { loss });
    const [height, width] = dims.slice(2).map((dim) =>
      typeof dim === "string" ? lengths[dim] : dim
    );
    return dims.length === 4 && height === width && typeof height === "number" ? height : null;
  } catch {
    return null; // what is wrong with the file is said when it is read
  }
}

/** What a network has to know of the images of a task, drawn or on disk. */
export async function imageShapeOf(options: Options, file: Uint8Array | null): Promise<ImageShape> {
  const { task, data } = options;
  const set = data === null ? null : imageSetOf({ task, data });
  return await set?.shape(imageOptions(options, file)) ?? { side: IMAGE_SIDE, classes: 10 };
}
