/**
 * Labelled square colour images held in memory as bytes: what the samplers index and the augmentation
 * reads. Values stay bytes until a batch is made, so that eight ranks can hold the set at once.
 *
 * @module
 */

/** Width and height of an image of CIFAR and of the generated ones, in pixels. */
export const IMAGE_SIDE = 32;

/** Bytes of one such image: three planes (red, green, blue) of 32×32. */
export const IMAGE_BYTES: number = 3 * IMAGE_SIDE * IMAGE_SIDE;

/** Numbers of classes. */
export type Labels = Uint8Array | Uint16Array;

/** Labelled images. Shared and read-only by convention: nothing in this folder writes to one. */
export interface ImageDataSet {
  /** Name for logs, such as `cifar10/train`. */
  readonly name: string;
  /** Number of images. */
  readonly count: number;
  /** Names of the classes; a label is an index into it. */
  readonly classes: readonly string[];
  /** Width and height of an image, in pixels. @default {32} */
  readonly side?: number;
  /** `[count, 3, side, side]`, planes in the order red, green, blue, row major. */
  readonly pixels: Uint8Array;
  /** `[count]`, each below `classes.length`. */
  readonly labels: Labels;
  /** Mean of each channel, of pixels scaled to [0, 1]. */
  readonly mean: readonly [number, number, number];
  /** Standard deviation of each channel, of pixels scaled to [0, 1]. */
  readonly std: readonly [number, number, number];
}

/** What a network has to know of images. */
export interface ImageShape {
  /** Width and height, in pixels. */
  readonly side: number;
  /** Classes to tell apart. */
  readonly classes: number;
}

/** A training and a test set of the same classes and the same normalisation. */
export interface ImageSplits {
  /** Name of the data set, such as `cifar10`. */
  readonly name: string;
  /** What is trained on. */
  readonly train: ImageDataSet;
  /** What is evaluated on. */
  readonly test: ImageDataSet;
  /** What decisions while training go by, where the data have such a set of their own. */
  readonly valid?: ImageDataSet;
}

/** Width and height of a set's images, in pixels. */
export const sideOf = ({ side = IMAGE_SIDE }: Pick<ImageDataSet, "side">): number => side;

/**
 * Mean and standard deviation of each channel of `pixels` (`[count, 3, side, side]`), scaled to [0, 1].
 *
 * @throws {RangeError} when `pixels` is empty or no whole number of images
 */
export function channelStatistics(
  pixels: Uint8Array,
  side: number = IMAGE_SIDE,
): { mean: [number, number, number]; std: [number, number, number] } {
  const plane = side * side, image = 3 * plane;
  if (pixels.length === 0 || pixels.length % image !== 0) {
    throw new RangeError(
      `channel statistics need a whole number of images of ${image} bytes, at least one; ` +
        `found ${pixels.length} bytes`,
    );
  }
  const mean: [number, number, number] = [0, 0, 0], std: [number, number, number] = [0, 0, 0];
  for (let channel = 0; channel < 3; channel++) {
    // Sums of bytes and of their squares stay exact integers far beyond any data set's size.
    let sum = 0, squares = 0;
    for (let start = channel * plane; start < pixels.length; start += image) {
      for (let i = start; i < start + plane; i++) {
        const value = pixels[i];
        sum += value;
        squares += value * value;
      }
    }
    const n = pixels.length / 3, m = sum / n;
    mean[channel] = m / 255;
    std[channel] = Math.sqrt(Math.max(0, squares / n - m * m)) / 255;
  }
  return { mean, std };
}
