/**
 * CIFAR-10 and CIFAR-100, as users of the library read them.
 *
 * @module
 */

import { loadCifar } from "./cifar/cifar.ts";
import { CIFAR10, CIFAR100 } from "./cifar/kinds.ts";
import { IMAGE_BYTES, type ImageSplits } from "./image_data_set.ts";

/** Bytes of a record of CIFAR-10's binary version: the label and the image. */
export const CIFAR10_RECORD_BYTES: number = 1 + IMAGE_BYTES;

/** Channel means of the 50,000 official training images, as the paper's code has them. */
export const CIFAR10_MEAN: readonly [number, number, number] = CIFAR10.mean;

/** Channel standard deviations of the 50,000 official training images. */
export const CIFAR10_STD: readonly [number, number, number] = CIFAR10.std;

/**
 * Reads CIFAR-10 in any of its forms: the binary version, the Python version, the Hub's parquet files; in
 * `place`, a folder in it, or an archive.
 *
 * @param place a folder or archive on this machine
 * @throws {DataError} when a file is missing or is not as it should be
 */
export function loadCifar10(place: string): Promise<ImageSplits> {
  return loadCifar(CIFAR10, place);
}

/** Reads CIFAR-100 with its fine labels, as {@linkcode loadCifar10} does. */
export function loadCifar100(place: string): Promise<ImageSplits> {
  return loadCifar(CIFAR100, place);
}
