import assert from "node:assert/strict";
import { generateImages } from "../../../../tasks/data/images/generated_images.ts";
import {
  channelStatistics,
  IMAGE_BYTES,
  type ImageDataSet,
} from "../../../../tasks/data/images/image_data_set.ts";

Deno.test("an image is a pure function of the seed, the split and its index", () => {
  const a = generateImages({ seed: 5, train: 30, test: 10 });
  const longer = generateImages({ seed: 5, train: 50, test: 20 });
  assert.deepEqual(longer.train.pixels.subarray(0, 30 * IMAGE_BYTES), a.train.pixels);
  assert.deepEqual(longer.test.pixels.subarray(0, 10 * IMAGE_BYTES), a.test.pixels);
  assert.notDeepEqual(a.test.pixels, a.train.pixels.subarray(0, 10 * IMAGE_BYTES));
  const other = generateImages({ seed: 6, train: 30, test: 10 });
  assert.notDeepEqual(other.train.pixels, a.train.pixels);
  assert.deepEqual(other.train.labels, a.train.labels);
});

Deno.test("the ten classes are equally frequent, and the statistics are those of the pixels", () => {
  const { train, test } = generateImages({ train: 200, test: 50 });
  for (const set of [train, test]) {
    const counts = new Uint32Array(10);
    for (const label of set.labels) counts[label]++;
    assert.deepEqual([...counts], new Array(10).fill(set.count / 10));
    assert.equal(set.classes.length, 10);
  }
  assert.deepEqual(test.mean, train.mean);
  for (let channel = 0; channel < 3; channel++) {
    const values: number[] = [];
    for (let i = 0; i < 200; i++) {
      const at = i * IMAGE_BYTES + channel * 1024;
      for (const byte of train.pixels.subarray(at, at + 1024)) values.push(byte / 255);
    }
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
    assert(Math.abs(mean - train.mean[channel]) < 1e-9);
    assert(Math.abs(Math.sqrt(variance) - train.std[channel]) < 1e-9);
  }
  // Neither saturated nor flat: there is contrast and noise to see.
  assert(train.std.every((s) => s > 0.08 && s < 0.3), `${train.std}`);
  const clipped = train.pixels.reduce((n, byte) => n + (byte === 0 || byte === 255 ? 1 : 0), 0);
  assert(clipped / train.pixels.length < 0.02, `${clipped} clipped bytes`);
});

/** Accuracy of the nearest class mean of some features, from the training set to the test set. */
function nearestMean(
  sets: { train: ImageDataSet; test: ImageDataSet },
  features: (set: ImageDataSet, index: number) => number[],
): number {
  const means = Array.from({ length: 10 }, () => [] as number[]);
  for (let i = 0; i < sets.train.count; i++) {
    const mean = means[sets.train.labels[i]];
    features(sets.train, i).forEach((f, k) => mean[k] = (mean[k] ?? 0) + f);
  }
  let right = 0;
  for (let i = 0; i < sets.test.count; i++) {
    const f = features(sets.test, i);
    const distances = means.map((mean) =>
      mean.reduce((sum, m, k) => sum + (m / (sets.train.count / 10) - f[k]) ** 2, 0)
    );
    if (distances.indexOf(Math.min(...distances)) === sets.test.labels[i]) right++;
  }
  return right / sets.test.count;
}

Deno.test("colour and brightness give the class away little, and raw pixels do not solve it", () => {
  const sets = generateImages({ seed: 2, train: 1000, test: 300 });
  const colour = nearestMean(sets, (set, index) => {
    const at = index * IMAGE_BYTES;
    return channelStatistics(set.pixels.subarray(at, at + IMAGE_BYTES)).mean;
  });
  const pixels = nearestMean(sets, (set, index) => [
    ...set.pixels.subarray(index * IMAGE_BYTES, (index + 1) * IMAGE_BYTES),
  ]);
  // Chance is 0.1; 0.2 lies more than five standard errors above it.
  assert(colour < 0.2, `colour alone reaches ${colour}`);
  assert(pixels > 0.15 && pixels < 0.7, `nearest mean of pixels reaches ${pixels}`);
});

Deno.test("counts that are no positive integers are refused", () => {
  assert.throws(() => generateImages({ train: 0 }), /positive integer, not 0/);
  assert.throws(() => generateImages({ test: 1.5 }), /not 1\.5/);
  assert.throws(() => channelStatistics(new Uint8Array(5)), /found 5 bytes/);
});
