/**
 * Labelled 32×32 colour images held in memory as bytes: what the samplers index and the augmentation
 * reads. Values stay bytes until a batch is made, so that eight ranks can hold the set at once.
 *
 * @module
 */

/** Width and height of an image, in pixels. */
export const IMAGE_SIDE = 32;

/** Bytes of one image: three planes (red, green, blue) of 32×32. */
export const IMAGE_BYTES: number = 3 * IMAGE_SIDE * IMAGE_SIDE;

/** Labelled images. Shared and read-only by convention: nothing in this folder writes to one. */
export interface ImageDataSet {
  /** Name for logs, such as `cifar10/train`. */
  readonly name: string;
  /** Number of images. */
  readonly count: number;
  /** Names of the classes; a label is an index into it. */
  readonly classes: readonly string[];
  /** `[count, 3, 32, 32]`, planes in the order red, green, blue, row major. */
  readonly pixels: Uint8Array;
  /** `[count]`, each below `classes.length`. */
  readonly labels: Uint8Array;
  /** Mean of each channel, of pixels scaled to [0, 1]. */
  readonly mean: readonly [number, number, number];
  /** Standard deviation of each channel, of pixels scaled to [0, 1]. */
  readonly std: readonly [number, number, number];
}

/** A training and a test set of the same classes and the same normalisation. */
export interface ImageSplits {
  /** Name of the data set, such as `cifar10`. */
  readonly name: string;
  /** What is trained on. */
  readonly train: ImageDataSet;
  /** What is evaluated on. */
  readonly test: ImageDataSet;
}

/**
 * Mean and standard deviation of each channel of `pixels` (`[count, 3, 32, 32]`), scaled to [0, 1].
 *
 * @throws {RangeError} when `pixels` is empty or no whole number of images
 */
export function channelStatistics(
  pixels: Uint8Array,
): { mean: [number, number, number]; std: [number, number, number] } {
  if (pixels.length === 0 || pixels.length % IMAGE_BYTES !== 0) {
    throw new RangeError(
      `channel statistics need a whole number of images of ${IMAGE_BYTES} bytes, at least one; ` +
        `found ${pixels.length} bytes`,
    );
  }
  const plane = IMAGE_SIDE * IMAGE_SIDE;
  const mean: [number, number, number] = [0, 0, 0], std: [number, number, number] = [0, 0, 0];
  for (let channel = 0; channel < 3; channel++) {
    // Sums of bytes and of their squares stay exact integers far beyond any data set's size.
    let sum = 0, squares = 0;
    for (let start = channel * plane; start < pixels.length; start += IMAGE_BYTES) {
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
