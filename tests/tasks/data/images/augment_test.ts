import assert from "node:assert/strict";
import {
  augmentBatch,
  batchLabels,
  normaliseBatch,
} from "../../../../tasks/data/images/augment.ts";
import { generateImages } from "../../../../tasks/data/images/generated_images.ts";
import { IMAGE_BYTES, type ImageDataSet } from "../../../../tasks/data/images/image_data_set.ts";

const { train } = generateImages({ seed: 3, train: 40, test: 1 });

/** Pixel (y, x) of a channel as the definition says: flip, pad by black, crop at (dy, dx), normalise. */
function defined(
  set: ImageDataSet,
  index: number,
  flip: boolean,
  dy: number,
  dx: number,
): Float32Array {
  const out = new Float32Array(IMAGE_BYTES);
  for (let c = 0; c < 3; c++) {
    for (let y = 0; y < 32; y++) {
      for (let x = 0; x < 32; x++) {
        const sy = y + dy, sx = x + dx;
        const outside = sy < 0 || sy > 31 || sx < 0 || sx > 31;
        const byte = outside
          ? 0
          : set.pixels[index * IMAGE_BYTES + c * 1024 + sy * 32 + (flip ? 31 - sx : sx)];
        out[c * 1024 + y * 32 + x] = (byte / 255 - set.mean[c]) / set.std[c];
      }
    }
  }
  return out;
}

function close(a: Float32Array, b: Float32Array): boolean {
  for (let i = 0; i < a.length; i++) if (Math.abs(a[i] - b[i]) > 1e-5) return false;
  return true;
}

Deno.test("an augmented image is its original flipped, padded, cropped and normalised", () => {
  const indices = Uint32Array.from({ length: 40 }, (_, i) => i);
  const into = new Float32Array(40 * IMAGE_BYTES);
  const seen = { flips: 0, dy: new Set<number>(), dx: new Set<number>() };
  augmentBatch(train, indices, { seed: 11, rank: 0, ranks: 1, step: 2 }, into);
  for (let i = 0; i < 40; i++) {
    const image = into.subarray(i * IMAGE_BYTES, (i + 1) * IMAGE_BYTES);
    let matches = 0;
    for (const flip of [false, true]) {
      for (let dy = -4; dy <= 4; dy++) {
        for (let dx = -4; dx <= 4; dx++) {
          if (!close(image, defined(train, i, flip, dy, dx))) continue;
          matches++;
          if (flip) seen.flips++;
          seen.dy.add(dy);
          seen.dx.add(dx);
        }
      }
    }
    assert.equal(matches, 1, `image ${i} matches ${matches} of the 162 augmentations`);
  }
  assert(seen.flips > 8 && seen.flips < 32, `${seen.flips} of 40 flipped`);
  assert(seen.dy.size >= 7 && seen.dx.size >= 7, "nearly every offset occurs");
});

Deno.test("augmentation is a pure function of seed, rank and step", () => {
  const indices = Uint32Array.from([5, 9, 9, 1]);
  const batch = (seed: number, rank: number, step: number) => {
    const into = new Float32Array(4 * IMAGE_BYTES).fill(NaN);
    augmentBatch(train, indices, { seed, rank, ranks: 3, step }, into);
    return into;
  };
  const reference = batch(1, 2, 7);
  batch(9, 0, 0);
  assert.deepEqual(batch(1, 2, 7), reference);
  for (const other of [batch(2, 2, 7), batch(1, 1, 7), batch(1, 2, 8), batch(1 + 2 ** 32, 2, 7)]) {
    assert.notDeepEqual(other, reference);
  }
  // The same image twice in one batch is augmented independently.
  assert.notDeepEqual(
    reference.subarray(IMAGE_BYTES, 2 * IMAGE_BYTES),
    reference.subarray(2 * IMAGE_BYTES, 3 * IMAGE_BYTES),
  );
});

Deno.test("three ranks augment their samples as one rank with the threefold batch does", () => {
  const all = Uint32Array.from({ length: 12 }, (_, i) => i + 20);
  const whole = new Float32Array(12 * IMAGE_BYTES);
  augmentBatch(train, all, { seed: 4, rank: 0, ranks: 1, step: 5 }, whole);
  for (let rank = 0; rank < 3; rank++) {
    const part = new Float32Array(4 * IMAGE_BYTES);
    const own = all.filter((_, i) => i % 3 === rank);
    augmentBatch(train, own, { seed: 4, rank, ranks: 3, step: 5 }, part);
    for (let i = 0; i < 4; i++) {
      const at = (3 * i + rank) * IMAGE_BYTES;
      assert.deepEqual(
        part.subarray(i * IMAGE_BYTES, (i + 1) * IMAGE_BYTES),
        whole.subarray(at, at + IMAGE_BYTES),
      );
    }
  }
});

Deno.test("without crop and flip, and in evaluation, an image is only normalised", () => {
  const indices = Uint32Array.from([3, 30]);
  const plain = new Float32Array(2 * IMAGE_BYTES), off = new Float32Array(2 * IMAGE_BYTES);
  normaliseBatch(train, indices, plain);
  augmentBatch(
    train,
    indices,
    { seed: 1, rank: 0, ranks: 1, step: 0, crop: 0, flip: false },
    off,
  );
  assert.deepEqual(off, plain);
  assert(close(plain.subarray(0, IMAGE_BYTES), defined(train, 3, false, 0, 0)));
  assert(close(plain.subarray(IMAGE_BYTES), defined(train, 30, false, 0, 0)));
  // Over the whole training set, the normalised channels have mean 0 and deviation 1.
  const everything = new Float32Array(40 * IMAGE_BYTES);
  normaliseBatch(train, Uint32Array.from({ length: 40 }, (_, i) => i), everything);
  const mean = everything.reduce((a, b) => a + b, 0) / everything.length;
  const variance = everything.reduce((a, b) => a + b * b, 0) / everything.length;
  assert(Math.abs(mean) < 1e-4 && Math.abs(variance - 1) < 1e-4, `${mean}, ${variance}`);
});

Deno.test("labels follow their images, and buffers of another size are refused", () => {
  const labels = new Int32Array(3);
  batchLabels(train, Uint32Array.from([7, 0, 12]), labels);
  assert.deepEqual([...labels], [7, 0, 2]);
  assert.throws(() => batchLabels(train, new Uint32Array(3), new Int32Array(2)), /batch of 3/);
  assert.throws(
    () => normaliseBatch(train, new Uint32Array(2), new Float32Array(5)),
    /6144 floats, the buffer has 5/,
  );
  assert.throws(
    () => normaliseBatch(train, Uint32Array.from([40]), new Float32Array(IMAGE_BYTES)),
    /image 40 does not exist/,
  );
});

Deno.test("a channel that never varies becomes zero, not NaN", () => {
  const flat: ImageDataSet = {
    name: "flat",
    count: 1,
    classes: ["a"],
    pixels: new Uint8Array(IMAGE_BYTES).fill(51),
    labels: new Uint8Array(1),
    mean: [0.2, 0.2, 0.2],
    std: [0, 0, 0],
  };
  const into = new Float32Array(IMAGE_BYTES).fill(1);
  normaliseBatch(flat, new Uint32Array(1), into);
  assert(into.every((value) => value === 0));
});
