/**
 * From an image of any size to a square one.
 *
 * @module
 */

import type { DecodedImage } from "./decode.ts";

/**
 * Scales an image until its shorter edge has `side` pixels, and takes the middle of the longer one. Pixels are
 * weighed by a triangle as wide as what becomes one pixel, so that a smaller image has no aliases: bilinear
 * interpolation with antialiasing, as in Pillow and torchvision.
 *
 * @returns `[3, side, side]`
 */
export function resizeAndCrop({ width, height, planes }: DecodedImage, side: number): Uint8Array {
  if (width === side && height === side) return planes;
  const scale = side / Math.min(width, height);
  const columns = weightsAlong(width, Math.max(side, Math.round(width * scale)), side);
  const rows = weightsAlong(height, Math.max(side, Math.round(height * scale)), side);
  const out = new Uint8Array(3 * side * side), narrow = new Float32Array(height * side);
  for (let channel = 0; channel < 3; channel++) {
    const plane = channel * width * height;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < side; x++) {
        const { first, weights } = columns[x];
        let sum = 0;
        for (let i = 0; i < weights.length; i++) {
          sum += weights[i] * planes[plane + y * width + first + i];
        }
        narrow[y * side + x] = sum;
      }
    }
    for (let y = 0; y < side; y++) {
      const { first, weights } = rows[y];
      for (let x = 0; x < side; x++) {
        let sum = 0;
        for (let i = 0; i < weights.length; i++) sum += weights[i] * narrow[(first + i) * side + x];
        out[(channel * side + y) * side + x] = Math.round(sum);
      }
    }
  }
  return out;
}

/** What each of the `side` middle ones of `scaled` pixels is made of: pixels from the first on, and their weights. */
function weightsAlong(length: number, scaled: number, side: number) {
  const before = Math.floor((scaled - side) / 2),
    each = length / scaled,
    support = Math.max(1, each);
  return Array.from({ length: side }, (_, i) => {
    const centre = (before + i + 0.5) * each;
    const first = Math.max(0, Math.floor(centre - support + 0.5));
    const last = Math.min(length, Math.floor(centre + support + 0.5));
    const weights: number[] = [];
    for (let at = first; at < last; at++) {
      weights.push(Math.max(0, 1 - Math.abs(at + 0.5 - centre) / support));
    }
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}
