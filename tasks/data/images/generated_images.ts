/**
 * A data set that needs no download: ten classes of shapes drawn at random places, sizes, angles and
 * colours on a shaded ground, under noise. An image is a pure function of (seed, split, index). Colour
 * and place say nothing about the class, brightness little (a thin shape lights fewer pixels), and every
 * class is its own mirror image, so that flips and crops keep the labels true.
 *
 * @module
 */

import { Random } from "../../../runtime/base/random.ts";
import type { OncePerHost } from "../../../runtime/once_per_host.ts";
import {
  channelStatistics,
  IMAGE_BYTES,
  IMAGE_SIDE,
  type ImageDataSet,
  type ImageSplits,
} from "./image_data_set.ts";

/** What to generate. */
export interface GeneratedImagesOptions {
  /**
   * Decides every image.
   * @default {1}
   */
  readonly seed?: number;
  /**
   * Number of training images.
   * @default {2000}
   */
  readonly train?: number;
  /**
   * Number of test images.
   * @default {500}
   */
  readonly test?: number;
}

/** Signed distance to a shape's edge, negative inside, in units of the shape's radius. */
type Shape = (u: number, v: number) => number;

const TRIANGLE = Math.sqrt(3) / 2;

/** A triangle with corners on the unit circle, one of them at the top (v = −1). */
const triangle: Shape = (u, v) => Math.max(v - 0.5, TRIANGLE * Math.abs(u) - 0.5 * v - 0.5);

/** Two crossed bars within the unit circle. */
const plus: Shape = (u, v) => {
  const a = Math.abs(u), b = Math.abs(v);
  return Math.min(Math.max(a - 0.95, b - 0.26), Math.max(a - 0.26, b - 0.95));
};

/** Three parallel bars, one in the middle, across the square of half-width 0.9. */
const bars: Shape = (u, v) => {
  const a = Math.abs(v);
  return Math.max(Math.abs(u) - 0.9, Math.min(a - 0.2, Math.abs(a - 0.7) - 0.2));
};

const SHAPES: readonly [string, Shape][] = [
  ["disk", (u, v) => Math.hypot(u, v) - 0.85],
  ["ring", (u, v) => Math.abs(Math.hypot(u, v) - 0.7) - 0.2],
  ["square", (u, v) => Math.max(Math.abs(u), Math.abs(v)) - 0.75],
  ["frame", (u, v) => Math.abs(Math.max(Math.abs(u), Math.abs(v)) - 0.68) - 0.18],
  ["triangle", triangle],
  ["wedge", (u, v) => triangle(u, -v)],
  ["plus", plus],
  ["saltire", (u, v) => plus((u + v) * Math.SQRT1_2, (u - v) * Math.SQRT1_2)],
  ["rows", bars],
  ["columns", (u, v) => bars(v, u)],
];

const NOISE_LENGTH = 1 << 14, NOISE_DEVIATION = 20;

/** Standard deviations of noise are bytes of brightness; every image reads its own walk through it. */
function noiseTable(seed: number): Float32Array {
  const random = new Random(seed, "generated-images", "noise");
  return Float32Array.from({ length: NOISE_LENGTH }, () => NOISE_DEVIATION * random.normal());
}

/** Draws image `index` of a split to `pixels` from `at` on. */
function drawImage(
  random: Random,
  shape: Shape,
  noise: Float32Array,
  pixels: Uint8Array,
  at: number,
): void {
  const between = (low: number, high: number) => low + (high - low) * random.uniform();
  const radius = between(7, 12.5);
  const cx = (IMAGE_SIDE - 1) / 2 + between(-4, 4), cy = (IMAGE_SIDE - 1) / 2 + between(-4, 4);
  const angle = between(-0.26, 0.26); // ± 15 degrees
  const cos = Math.cos(angle) / radius, sin = Math.sin(angle) / radius;
  // A ground whose brightness slopes across the image, and a shape that is brighter in every channel,
  // by amounts that make its colour any.
  const slopeX = between(-1.5, 1.5), slopeY = between(-1.5, 1.5);
  const ground = [between(50, 115), between(50, 115), between(50, 115)];
  const contrast = ground.map(() => between(35, 105));
  let walk = random.integer(NOISE_LENGTH);
  const stride = 2 * random.integer(NOISE_LENGTH / 2) + 1; // odd: the walk visits the whole table
  const plane = IMAGE_SIDE * IMAGE_SIDE;
  for (let y = 0; y < IMAGE_SIDE; y++) {
    for (let x = 0; x < IMAGE_SIDE; x++, at++) {
      const dx = x - cx, dy = y - cy;
      const distance = shape(cos * dx + sin * dy, cos * dy - sin * dx) * radius;
      // Half a pixel on either side of the edge is blended.
      const inside = distance < -0.5 ? 1 : distance > 0.5 ? 0 : 0.5 - distance;
      const shade = slopeX * dx + slopeY * dy;
      for (let channel = 0; channel < 3; channel++) {
        walk = (walk + stride) & (NOISE_LENGTH - 1);
        const value = ground[channel] + shade + inside * contrast[channel] + noise[walk];
        pixels[at + channel * plane] = value < 0 ? 0 : value > 255 ? 255 : value;
      }
    }
  }
}

/**
 * Generates the training and the test images. Label `index % 10`, so that every class is equally
 * frequent; both splits carry the training split's normalisation.
 *
 * @throws {RangeError} when a count is no positive integer
 * @example
 * ```ts
 * import { generateImages } from "./generated_images.ts";
 * const { train, test } = generateImages({ seed: 7, train: 100, test: 20 });
 * console.assert(train.count === 100 && test.classes.length === 10);
 * ```
 */
export function generateImages(options: GeneratedImagesOptions = {}): ImageSplits {
  const { splits, finish } = sketch(options);
  for (const { count, draw } of splits) draw(0, count);
  return finish();
}

/**
 * {@linkcode generateImages} by several ranks, each of which draws a part. Collective over those that
 * share.
 *
 * @throws {RangeError} when a count is no positive integer
 */
export async function generateImagesTogether(
  sharing: Pick<OncePerHost, "divide">,
  options: GeneratedImagesOptions = {},
): Promise<ImageSplits> {
  const { splits, finish } = sketch(options);
  for (const { count, pixels, draw } of splits) await sharing.divide(pixels, count, draw);
  return finish();
}

/** Both splits with nothing drawn yet. */
function sketch({ seed = 1, train = 2000, test = 500 }: GeneratedImagesOptions) {
  for (const count of [train, test]) {
    if (!Number.isInteger(count) || count < 1) {
      throw new RangeError(`a number of images is a positive integer, not ${count}`);
    }
  }
  const noise = noiseTable(seed), classes = SHAPES.map(([name]) => name);
  const counts: [string, number][] = [["train", train], ["test", test]];
  const splits = counts.map(([split, count]) => {
    const pixels = new Uint8Array(count * IMAGE_BYTES);
    const labels = Uint8Array.from({ length: count }, (_, index) => index % SHAPES.length);
    const draw = (begin: number, end: number) => {
      for (let index = begin; index < end; index++) {
        const random = new Random(seed, "generated-images", split, index);
        drawImage(random, SHAPES[labels[index]][1], noise, pixels, index * IMAGE_BYTES);
      }
    };
    return { name: `generated/${split}`, count, pixels, labels, draw };
  });
  const finish = (): ImageSplits => {
    const statistics = channelStatistics(splits[0].pixels);
    const [trained, tested] = splits.map(({ name, count, pixels, labels }): ImageDataSet => ({
      name,
      classes,
      count,
      pixels,
      labels,
      ...statistics,
    }));
    return { name: "generated", train: trained, test: tested };
  };
  return { splits, finish };
}
