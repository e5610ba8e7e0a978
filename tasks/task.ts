/**
 * What a task is to the training loop: the feeds of each step, and those of an evaluation.
 *
 * @module
 */

import type { HostTensor } from "../runtime/devices/device.ts";
import { augmentBatch, batchLabels, normaliseBatch } from "./data/augment.ts";
import { loadCifar10 } from "./data/cifar10.ts";
import { generateImages } from "./data/generated_images.ts";
import type { ImageSplits } from "./data/image_data_set.ts";
import { parsePartition } from "./data/partition.ts";
import { createImageSampler, evaluationBatches } from "./data/sampler.ts";
import type { Options } from "./options.ts";

/** A graph's inputs by name. */
export type Feeds = Readonly<Record<string, HostTensor>>;

/** One rank's view of a data set. */
export interface Task {
  /** Size of the training set. */
  readonly trainSamples: number;
  /** Size of the test set. */
  readonly testSamples: number;
  /** Steps in which all ranks together see as many samples as there are; may be a fraction. */
  readonly stepsPerEpoch: number;
  /** Passes over the training data that are done when every rank has done this many steps. */
  epoch(steps: number): number;
  /** Samples in a batch of {@linkcode Task.evaluation}. */
  readonly evalBatchSize: number;
  /**
   * The mini-batch of step `t`, counted from 1: a pure function of (seed, rank, t). The arrays are the
   * task's and are filled anew by the next call.
   */
  batch(t: number): Feeds;
  /**
   * Batches for measuring batch norm's statistics: training samples without augmentation. Pure, and
   * owned like those of {@linkcode Task.batch}.
   */
  calibration(index: number): Feeds;
  /** This rank's share of the test set; a last batch is filled up with targets of −1. */
  evaluation(): Iterable<Feeds>;
}

/** Largest batch of an evaluation, in samples. */
const EVAL_BATCH = 250;

/** Loads or generates the data of a job. Throws DataError if the files are not as they should be. */
export async function openTask(options: Options, rank: number): Promise<Task> {
  return imageTask(await openImages(options), options, rank);
}

async function openImages(options: Options): Promise<ImageSplits> {
  const { task, seed, trainSize, testSize, data } = options;
  switch (task) {
    case "generated-images":
      return generateImages({ seed, train: trainSize, test: testSize });
    case "cifar10":
      return await loadCifar10(data!);
  }
}

/** A classification task on images of 32 × 32 pixels. */
export function imageTask(
  { train, test }: ImageSplits,
  { batchSize, ranks, seed, partition }: Options,
  rank: number,
): Task {
  const sampler = createImageSampler({
    labels: train.labels,
    classes: train.classes.length,
    batchSize,
    rank,
    ranks,
    seed,
    partition: parsePartition(partition),
  });
  const evalBatchSize = Math.min(EVAL_BATCH, Math.ceil(test.count / ranks));
  const indices = new Uint32Array(batchSize);
  const training = imageFeeds(batchSize), testing = imageFeeds(evalBatchSize);
  return {
    trainSamples: train.count,
    testSamples: test.count,
    stepsPerEpoch: sampler.stepsPerEpoch,
    // Counted in samples, so that whole epochs come out exactly.
    epoch: (steps) => steps * batchSize * ranks / train.count,
    evalBatchSize,
    batch(t) {
      sampler.indices(t - 1, indices);
      augmentBatch(train, indices, { seed, rank, ranks, step: t - 1 }, training.pixels);
      batchLabels(train, indices, training.labels);
      return training.feeds;
    },
    calibration(index) {
      sampler.indices(index, indices);
      normaliseBatch(train, indices, training.pixels);
      return { input: training.feeds.input };
    },
    *evaluation() {
      for (const batch of evaluationBatches(test.count, evalBatchSize, rank, ranks)) {
        normaliseBatch(test, batch.indices, testing.pixels);
        batchLabels(test, batch.indices, testing.labels);
        testing.labels.fill(-1, batch.valid);
        yield testing.feeds;
      }
    },
  };
}

function imageFeeds(batchSize: number) {
  const pixels = new Float32Array(batchSize * 3 * 32 * 32), labels = new Int32Array(batchSize);
  const feeds = {
    input: { type: "float32", dims: [batchSize, 3, 32, 32], data: pixels },
    target: { type: "int32", dims: [batchSize], data: labels },
  } satisfies Feeds;
  return { pixels, labels, feeds };
}
