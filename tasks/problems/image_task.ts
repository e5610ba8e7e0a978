/**
 * Classification of images, as a task.
 *
 * @module
 */

import { Random } from "../../runtime/base/random.ts";
import { augmentBatch, batchLabels, normaliseBatch } from "../data/images/augment.ts";
import { augmentationOf } from "../data/images/augmentation.ts";
import { type ImageDataSet, type ImageSplits, sideOf } from "../data/images/image_data_set.ts";
import { parsePartition } from "../data/sampling/partition.ts";
import { createImageSampler, evaluationBatches } from "../data/sampling/sampler.ts";
import type { Worlds } from "../data/sampling/worlds.ts";
import type { Options } from "../options/table.ts";
import type { Feeds, Split, Task } from "../task.ts";

/** Largest batch of an evaluation, in samples. */
const EVAL_BATCH = 250;

/** How the model wants its evaluation fed; a model may be given as it is. */
export interface ImageTaskOptions {
  /** Whether no batch may be filled up. @default {false} */
  readonly wholeBatches?: boolean | undefined;
  /** The model's, if only that can be built. */
  readonly fixedBatch?: number | undefined;
}

/**
 * A classification task on images.
 *
 * @param worlds that the run has had; by default the one of the options alone
 */
export function imageTask(
  { train, test, valid: own }: ImageSplits,
  { batchSize, ranks, seed, partition, trainEval, validFraction, augment }: Options,
  rank: number,
  { wholeBatches = false, fixedBatch }: ImageTaskOptions = {},
  worlds?: Worlds,
): Task {
  if (own && validFraction > 0) {
    throw new RangeError(
      `there is a validation set of ${own.count} images: leave --valid-fraction ${validFraction} out`,
    );
  }
  const { kept, held } = holdOut(train, validFraction),
    changes = augmentationOf(augment, sideOf(train));
  const sampler = createImageSampler({
    labels: kept ? Uint16Array.from(kept, (index) => train.labels[index]) : train.labels,
    classes: train.classes.length,
    batchSize,
    rank,
    ranks,
    seed,
    partition: parsePartition(partition),
    worlds,
  });
  const most = fixedBatch ?? Math.min(EVAL_BATCH, Math.ceil(test.count / ranks));
  const evalBatchSize = wholeBatches ? divisor(test.count, ranks, most) : most;
  const indices = new Uint32Array(batchSize);
  let [training, other] = [
    imageFeeds(batchSize, sideOf(train)),
    imageFeeds(batchSize, sideOf(train)),
  ];
  /** The share of `set` at some indices. */
  const split = (
    name: Split["name"],
    set: ImageDataSet,
    count: number,
    size: number,
    indexOf: (n: number) => number,
  ): Split => {
    const evaluated = imageFeeds(size, sideOf(set));
    return {
      name,
      samples: count,
      batchSize: size,
      *batches() {
        for (const { indices, valid } of evaluationBatches(count, size, rank, ranks)) {
          const samples = indices.map(indexOf);
          normaliseBatch(set, samples, evaluated.pixels);
          batchLabels(set, samples, evaluated.labels);
          evaluated.labels.fill(-1, valid);
          yield evaluated.feeds;
        }
      },
    };
  };
  /** Draws the training samples of a step. */
  const draw = (step: number) => {
    sampler.indices(step, indices);
    if (kept) { for (let i = 0; i < indices.length; i++) indices[i] = kept[indices[i]]; }
  };
  const trainSamples = train.count - held.length;
  // The same part whatever the run's seed.
  const order = new Random(0, "train-eval").permutation(trainSamples);
  const chosen = kept ? order.map((index) => kept[index]) : order;
  const whole = { wholeBatches, fixedBatch };
  const part = trainPart(Math.min(trainEval, trainSamples), evalBatchSize, ranks, whole);
  const valid = trainPart(own?.count ?? held.length, evalBatchSize, ranks, whole);
  if (held.length > 0 && valid.count === 0) {
    throw new RangeError(
      `${held.length} images held out for validation make no batch of ${valid.batchSize} on each of ` +
        `${ranks} ranks: give a larger --valid-fraction`,
    );
  }
  return {
    trainSamples,
    rankSamples: sampler.samples,
    stepsPerEpoch: sampler.stepsPerEpoch,
    steps: (epochs) => sampler.steps(epochs),
    epoch: (steps) => sampler.epoch(steps),
    batch(t) {
      [training, other] = [other, training];
      draw(t - 1);
      augmentBatch(train, indices, { ...changes, seed, rank, ranks, step: t - 1 }, training.pixels);
      batchLabels(train, indices, training.labels);
      return { feeds: training.feeds };
    },
    calibration(index) {
      [training, other] = [other, training];
      draw(index);
      normaliseBatch(train, indices, training.pixels);
      return { input: training.feeds.input };
    },
    splits: [
      ...valid.count > 0
        ? [split("valid", own ?? train, valid.count, valid.batchSize, (n) => own ? n : held[n])]
        : [],
      split(valid.count > 0 ? "test" : null, test, test.count, evalBatchSize, (n) => n),
    ],
    ...part.count > 0
      ? { trainPart: split("train", train, part.count, part.batchSize, (n) => chosen[n]) }
      : {},
  };
}

/**
 * Holds out a share of the training samples, drawn at random and the same whatever the run's seed.
 *
 * @returns those that are learnt from, in their order, or null for all; and those that are held out
 */
function holdOut({ count }: ImageDataSet, share: number) {
  const out = Math.min(count - 1, Math.round(count * share));
  if (out <= 0) return { kept: null, held: new Uint32Array() };
  const order = new Random(0, "valid").permutation(count);
  return { kept: order.slice(out).sort(), held: order.slice(0, out).sort() };
}

/** How many samples of a training set are evaluated, in batches of which size: the test set's if it can be. */
function trainPart(
  most: number,
  batchSize: number,
  ranks: number,
  { wholeBatches = false, fixedBatch }: ImageTaskOptions,
) {
  if (!wholeBatches) return { count: most, batchSize };
  const count = most - most % (ranks * batchSize);
  if (count > 0 || fixedBatch !== undefined) return { count, batchSize };
  const even = most - most % ranks;
  return { count: even, batchSize: even === 0 ? batchSize : divisor(even, ranks, even / ranks) };
}

/** The largest batch, up to `most`, that makes up every rank's share; shares may differ by one sample. */
function divisor(count: number, ranks: number, most: number): number {
  if (count % ranks !== 0) return 1;
  let size = most;
  while (count / ranks % size !== 0) size--;
  return size;
}

function imageFeeds(batchSize: number, side: number) {
  const pixels = new Float32Array(batchSize * 3 * side * side), labels = new Int32Array(batchSize);
  const feeds = {
    input: { type: "float32", dims: [batchSize, 3, side, side], data: pixels },
    target: { type: "int32", dims: [batchSize], data: labels },
  } satisfies Feeds;
  return { pixels, labels, feeds };
}
