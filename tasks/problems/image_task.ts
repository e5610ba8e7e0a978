/**
 * Classification of images, as a task.
 *
 * @module
 */

import { augmentBatch, batchLabels, normaliseBatch } from "../data/images/augment.ts";
import { augmentationOf } from "../data/images/augmentation.ts";
import { type ImageDataSet, type ImageSplits, sideOf } from "../data/images/image_data_set.ts";
import type { Worlds } from "../data/sampling/worlds.ts";
import type { Options } from "../options/table.ts";
import type { Feeds, Task } from "../task.ts";
import type { SampleSet, SampleTaskParts } from "./sample_set.ts";
import { sampleTask } from "./sample_task.ts";

export type { SampleTaskParts as ImageTaskOptions } from "./sample_set.ts";

/**
 * A classification task on images.
 *
 * @param worlds that the run has had; by default the one of the options alone
 */
export function imageTask(
  { train, test, valid }: ImageSplits,
  options: Options,
  rank: number,
  parts?: SampleTaskParts,
  worlds?: Worlds,
): Task {
  const { seed, ranks, augment } = options, changes = augmentationOf(augment, sideOf(train));
  const place = { seed, rank, ranks };
  const samplesOf = (set: ImageDataSet): SampleSet => ({
    count: set.count,
    feeds(batchSize) {
      const { pixels, labels, feeds } = imageFeeds(batchSize, sideOf(set));
      return {
        feeds,
        fill(samples) {
          normaliseBatch(set, samples, pixels);
          batchLabels(set, samples, labels);
        },
        draw(samples, step) {
          augmentBatch(set, samples, { ...changes, ...place, step }, pixels);
          batchLabels(set, samples, labels);
        },
        leaveOut: (first) => void labels.fill(-1, first),
      };
    },
  });
  const { classes, mean, std } = train;
  const task = sampleTask(
    {
      what: "images",
      labels: train.labels,
      classes: classes.length,
      train: samplesOf(train),
      test: samplesOf(test),
      ...valid ? { valid: samplesOf(valid) } : {},
    },
    options,
    rank,
    parts,
    worlds,
  );
  return { ...task, images: { side: sideOf(train), classes, mean, std } };
}

function imageFeeds(batchSize: number, side: number) {
  const pixels = new Float32Array(batchSize * 3 * side * side), labels = new Int32Array(batchSize);
  const feeds = {
    input: { type: "float32", dims: [batchSize, 3, side, side], data: pixels },
    target: { type: "int32", dims: [batchSize], data: labels },
  } satisfies Feeds;
  return { pixels, labels, feeds };
}
