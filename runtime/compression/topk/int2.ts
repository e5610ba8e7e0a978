import type { Codec } from "../codec.ts";

/** Bytes of the two magnitudes. */
const HEAD = 8;

/**
 * Numbers as a sign and one of two magnitudes, 2 bits each, the first of four in the lowest bits of a byte: those of at
 * most half of the least and the largest magnitude's sum, and those above, each read as the mean of their magnitudes, in
 * float64 and rounded to float32. These come first, as float32, 0 where there is none. Both are NaN where there is a NaN
 * or an infinity: all is read as NaNs, so that none is hidden.
 *
 * Four bins of equal width, read as the mean of what has fallen into each, are how SparseLoCo's authors write 2 bits
 * (tplr-ai/templar, src/tplr/compress.py); theirs are of all numbers that a tensor sends. Made for numbers that were
 * picked because they are large: what lies around zero would be read as something.
 */
export const int2: Codec = {
  name: "int2",
  code: 0,
  block: 4096,
  bytes: (count) => count === 0 ? 0 : HEAD + Math.ceil(count / 4),
  encode({ values, encoded }, count) {
    let least = Infinity, most = 0, isFinite = true;
    for (let i = 0; i < count; i++) {
      const magnitude = Math.abs(values[i]);
      if (!(magnitude < Infinity)) isFinite = false;
      if (magnitude < least) least = magnitude;
      if (magnitude > most) most = magnitude;
    }
    const middle = (least + most) / 2, sums = [0, 0], counts = [0, 0];
    encoded.fill(0, HEAD, HEAD + Math.ceil(count / 4));
    for (let i = 0; i < count; i++) {
      const value = values[i], magnitude = Math.abs(value), above = magnitude > middle ? 1 : 0;
      sums[above] += magnitude;
      counts[above]++;
      encoded[HEAD + (i >> 2)] |= (above << 1 | (value < 0 ? 1 : 0)) << 2 * (i & 3);
    }
    const view = new DataView(encoded.buffer, encoded.byteOffset);
    for (const above of [0, 1]) {
      const mean = counts[above] === 0 ? 0 : sums[above] / counts[above];
      view.setFloat32(4 * above, isFinite ? mean : NaN, true);
    }
  },
  decode({ values, encoded }, count) {
    const view = new DataView(encoded.buffer, encoded.byteOffset);
    const [below, above] = [view.getFloat32(0, true), view.getFloat32(4, true)];
    const read = Float32Array.of(below, -below, above, -above);
    for (let i = 0; i < count; i++) values[i] = read[encoded[HEAD + (i >> 2)] >> 2 * (i & 3) & 3];
  },
};
