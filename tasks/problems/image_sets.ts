/**
 * The data sets of images that lie on disk: how each is checked, listed and read. One place knows which task reads
 * which files; what checks, compares, sends and trains asks here.
 *
 * @module
 */

import { checkCifar, cifarFiles, loadCifar } from "../data/images/cifar/cifar.ts";
import { CIFAR10, CIFAR100, type CifarKind } from "../data/images/cifar/kinds.ts";
import { IMAGE_SIDE, type ImageShape, type ImageSplits } from "../data/images/image_data_set.ts";
import type { OncePerHost } from "../../runtime/once_per_host.ts";
import type { Options } from "../options/values.ts";

/** A data set on disk, not read yet. Each method throws DataError if a file is not as it should be. */
export interface ImageSet {
  /** What a network has to know of it. */
  shape(): Promise<ImageShape>;
  /** The paths of its files. */
  files(): Promise<string[]>;
  /** Looks at its files as far as that is quick. */
  check(): Promise<void>;
  /** Reads it, together with the ranks that need the same. */
  load(sharing: OncePerHost): Promise<ImageSplits>;
}

/** The options that say which files are read, and as what. */
export type ImageSetOptions = Pick<Options, "task"> & { readonly data: string };

/** The data set that options name; null where the task's images are drawn. */
export function imageSetOf({ task, data }: ImageSetOptions): ImageSet | null {
  switch (task) {
    case "cifar10":
      return cifar(CIFAR10, data);
    case "cifar100":
      return cifar(CIFAR100, data);
    default:
      return null;
  }
}

function cifar(kind: CifarKind, data: string): ImageSet {
  return {
    shape: () => Promise.resolve({ side: IMAGE_SIDE, classes: kind.classes.length }),
    files: () => cifarFiles(kind, data),
    check: () => checkCifar(kind, data),
    load: (sharing) => loadCifar(kind, data, sharing),
  };
}

/** What a network has to know of the images of a task, drawn or on disk. */
export async function imageShapeOf(
  { data, ...options }: Pick<Options, "task" | "data">,
): Promise<ImageShape> {
  const set = data === null ? null : imageSetOf({ ...options, data });
  return await set?.shape() ?? { side: IMAGE_SIDE, classes: 10 };
}
