/**
 * From bytes to a normalised batch: the augmentation of Lee et al. (Deeply-supervised nets, 2014) that
 * the paper's CIFAR-10 runs use, a random flip and a random crop of the image padded by 4 black
 * pixels, then per-channel normalisation.
 *
 * @module
 */

import { philox4x32 } from "../../../runtime/base/random.ts";
import { type ImageDataSet, sideOf } from "./image_data_set.ts";

/** Where a batch stands in a job, which decides its random crops and flips, and how large they are. */
export interface AugmentOptions {
  /** The job's seed. */
  readonly seed: number;
  /** This rank. */
  readonly rank: number;
  /** Number of ranks. */
  readonly ranks: number;
  /** Training step, from 0. */
  readonly step: number;
  /**
   * Pixels of padding on each side before the crop; 0 crops nothing.
   * @default {4}
   */
  readonly crop?: number;
  /**
   * Whether an image is mirrored left to right with probability 1/2.
   * @default {true}
   */
  readonly flip?: boolean;
}

/** Marks the counter's use, so that no other stream of the same seed draws the same numbers. */
const AUGMENT_STREAM = 0x61756721;

/** For each set, the normalised value of each byte of each channel: `[3, 256]`. */
const tables = new WeakMap<ImageDataSet, Float32Array>();

function tableOf(set: ImageDataSet): Float32Array {
  let table = tables.get(set);
  if (table === undefined) {
    table = new Float32Array(3 * 256);
    for (let channel = 0; channel < 3; channel++) {
      // A channel that never varies has deviation 0: it becomes all zeros instead of NaN.
      const scale = set.std[channel] > 0 ? 1 / set.std[channel] : 0;
      for (let byte = 0; byte < 256; byte++) {
        table[channel * 256 + byte] = (byte / 255 - set.mean[channel]) * scale;
      }
    }
    tables.set(set, table);
  }
  return table;
}

function checkBatch(set: ImageDataSet, indices: Uint32Array, into: Float32Array): void {
  const image = 3 * sideOf(set) ** 2;
  if (into.length !== indices.length * image) {
    throw new RangeError(
      `a batch of ${indices.length} images needs ${indices.length * image} floats, ` +
        `the buffer has ${into.length}`,
    );
  }
  for (const index of indices) {
    if (index >= set.count) {
      throw new RangeError(`image ${index} does not exist: ${set.name} has ${set.count} images`);
    }
  }
}

/**
 * Writes the images at `indices`, flipped, cropped and normalised, to `into` (`[batch, 3, side, side]`).
 * No memory is taken. The random numbers belong to the sample's place in the job,
 * `(step · batch + place) · ranks + rank`, so that N ranks of batch B augment as one rank of batch
 * N·B does.
 *
 * @throws {RangeError} when `into` has another length or an index is out of range
 */
export function augmentBatch(
  set: ImageDataSet,
  indices: Uint32Array,
  options: AugmentOptions,
  into: Float32Array,
): void {
  const { seed, rank, ranks, step, crop = 4, flip = true } = options;
  checkBatch(set, indices, into);
  const side = sideOf(set), plane = side * side, image = 3 * plane;
  if (!Number.isInteger(crop) || crop < 0 || crop > side) {
    throw new RangeError(`a crop is an integer from 0 to ${side} pixels, not ${crop}`);
  }
  const table = tableOf(set), pixels = set.pixels, offsets = 2 * crop + 1;
  const key0 = seed >>> 0, key1 = Math.floor(seed / 4294967296) >>> 0;
  for (let place = 0; place < indices.length; place++) {
    const slot = (step * indices.length + place) * ranks + rank;
    counter[0] = slot >>> 0;
    counter[1] = Math.floor(slot / 4294967296) >>> 0;
    counter[2] = AUGMENT_STREAM;
    counter[3] = 0;
    philox4x32(counter, key0, key1);
    const mirrored = flip && (counter[0] & 1) === 1;
    // A remainder of 32 bits by a small number: of up to 65 its bias is below 2^-25.
    const dy = counter[1] % offsets - crop, dx = counter[2] % offsets - crop;
    // Of the output's columns, [left, right) lie inside the image; the rest is padding.
    const left = Math.max(0, -dx), right = Math.min(side, side - dx);
    for (let channel = 0; channel < 3; channel++) {
      const lookup = channel * 256, black = table[lookup];
      const source = indices[place] * image + channel * plane;
      let out = place * image + channel * plane;
      for (let y = 0; y < side; y++, out += side) {
        const from = y + dy;
        if (from < 0 || from >= side) {
          into.fill(black, out, out + side);
          continue;
        }
        for (let x = 0; x < left; x++) into[out + x] = black;
        for (let x = right; x < side; x++) into[out + x] = black;
        const row = source + from * side;
        if (mirrored) {
          let at = row + side - 1 - dx - left;
          for (let x = left; x < right; x++) into[out + x] = table[lookup + pixels[at--]];
        } else {
          let at = row + dx + left;
          for (let x = left; x < right; x++) into[out + x] = table[lookup + pixels[at++]];
        }
      }
    }
  }
}

const counter = new Uint32Array(4);

/**
 * Writes the images at `indices`, normalised and otherwise as they are, to `into`
 * (`[batch, 3, side, side]`): what evaluation feeds.
 *
 * @throws {RangeError} when `into` has another length or an index is out of range
 */
export function normaliseBatch(
  set: ImageDataSet,
  indices: Uint32Array,
  into: Float32Array,
): void {
  checkBatch(set, indices, into);
  const table = tableOf(set), pixels = set.pixels;
  const plane = sideOf(set) ** 2, image = 3 * plane;
  let out = 0;
  for (const index of indices) {
    let at = index * image;
    for (let lookup = 0; lookup < 768; lookup += 256) {
      for (let i = 0; i < plane; i++) into[out++] = table[lookup + pixels[at++]];
    }
  }
}

/**
 * Writes the labels of the images at `indices` to `into` (`[batch]`).
 *
 * @throws {RangeError} when `into` has another length
 */
export function batchLabels(set: ImageDataSet, indices: Uint32Array, into: Int32Array): void {
  if (into.length !== indices.length) {
    throw new RangeError(
      `a batch of ${indices.length} labels does not fit a buffer of ${into.length}`,
    );
  }
  for (let i = 0; i < indices.length; i++) into[i] = set.labels[indices[i]];
}
