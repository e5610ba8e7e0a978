/**
 * Samples with labels or other targets, as a task: in which order they are learnt from, which are held out, and how
 * the ranks share an evaluation.
 *
 * @module
 */

import { Random } from "../../runtime/base/random.ts";
import { counted } from "../../runtime/base/words.ts";
import { parsePartition } from "../data/sampling/partition.ts";
import { createImageSampler, evaluationBatches } from "../data/sampling/sampler.ts";
import type { Worlds } from "../data/sampling/worlds.ts";
import type { Labels } from "../data/images/image_data_set.ts";
import { OptionError } from "../options/kinds.ts";
import type { Options } from "../options/table.ts";
import type { Feeds, Split, Task } from "../task.ts";

/** Largest batch of an evaluation, in samples. */
const EVAL_BATCH = 100;

/** The arrays of a batch of samples, which are filled again and again. */
export interface SampleFeeds {
  /** `input` (or several, by their names) and `target`. */
  readonly feeds: Feeds;
  /** Fills them with samples as they are. */
  fill(samples: Uint32Array): void;
  /** Fills them with the samples of step `step`, changed by chance. @default {as they are} */
  draw?(samples: Uint32Array, step: number): void;
  /** Has the samples from the `first` on count nowhere. */
  leaveOut(first: number): void;
}

/** Samples that are numbered. */
export interface SampleSet {
  readonly count: number;
  /** Arrays for a batch of some of them. */
  feeds(batchSize: number): SampleFeeds;
  /** What is predicted of a sample, such as the class of each place. @default {1} */
  readonly predictions?: number;
  /** Mean squared distance of the targets from their mean, where they are amounts. */
  readonly variance?: number;
}

/** What is learnt from and evaluated on. */
export interface SampleSets {
  /** What the samples are, for messages. */
  readonly what: string;
  /** The class of each training sample, by which a partition may divide them. */
  readonly labels: Labels;
  readonly classes: number;
  readonly train: SampleSet;
  readonly test: SampleSet;
  /** Where the data have such samples of their own. */
  readonly valid?: SampleSet;
}

/** How the model wants its evaluation fed; a model may be given as it is. */
export interface SampleTaskParts {
  /** Whether no batch may be filled up. @default {false} */
  readonly wholeBatches?: boolean | undefined;
  /** The model's, if only that can be built. */
  readonly fixedBatch?: number | undefined;
}

/** Throws OptionError where the memory has no room for a batch. */
function batchOf(set: SampleSet, batchSize: number, what: string): SampleFeeds {
  try {
    return set.feeds(batchSize);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    const why = `there is no memory for a batch of so many ${what} (${cause.message})`;
    throw new OptionError(`--batch-size ${batchSize}: ${why}: give a smaller one`, { cause });
  }
}

/**
 * A task on samples.
 *
 * @param worlds that the run has had; by default the one of the options alone
 * @throws OptionError if no validation set can be held out as asked, or a batch is more than the memory holds
 */
export function sampleTask(
  { what, labels, classes, train, test, valid: own }: SampleSets,
  { batchSize, ranks, seed, partition, trainEval, validFraction }: Options,
  rank: number,
  { wholeBatches = false, fixedBatch }: SampleTaskParts = {},
  worlds?: Worlds,
): Task {
  if (own && validFraction > 0) {
    throw new OptionError(
      `there is a validation set of ${own.count} ${what}: leave --valid-fraction ${validFraction} out`,
    );
  }
  const { kept, held } = holdOut(train, validFraction);
  if (validFraction > 0 && !kept) {
    throw new OptionError(
      `--valid-fraction ${validFraction} of ${train.count} ${what} holds none out for validation: give a ` +
        "larger one",
    );
  }
  const sampler = createImageSampler({
    labels: kept ? Uint16Array.from(kept, (index) => labels[index]) : labels,
    classes,
    batchSize,
    rank,
    ranks,
    seed,
    partition: parsePartition(partition),
    worlds,
  });
  const most = fixedBatch ?? Math.min(EVAL_BATCH, Math.ceil(test.count / ranks));
  const evalBatchSize = wholeBatches ? divisor(test.count, ranks, most) : most;
  const room = () => batchOf(train, batchSize, what);
  let [training, other] = [room(), room()];
  const indices = new Uint32Array(batchSize);
  /** The share of `set` at some indices. */
  const split = (
    name: Split["name"],
    set: SampleSet,
    count: number,
    size: number,
    indexOf: (n: number) => number,
  ): Split => {
    const evaluated = set.feeds(size), { predictions = 1, variance } = set;
    return {
      name,
      samples: count * predictions,
      batchSize: size,
      ...variance === undefined ? {} : { variance },
      *batches() {
        for (const { indices, valid } of evaluationBatches(count, size, rank, ranks)) {
          evaluated.fill(indices.map(indexOf));
          if (valid < size) evaluated.leaveOut(valid);
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
    throw new OptionError(
      `${held.length} ${what} held out for validation make no batch of ${valid.batchSize} on each of ` +
        `${counted(ranks, "rank")}: give a larger --valid-fraction`,
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
      training.draw ? training.draw(indices, t - 1) : training.fill(indices);
      return { feeds: training.feeds };
    },
    calibration(index) {
      [training, other] = [other, training];
      draw(index);
      training.fill(indices);
      const { target: _, ...feeds } = training.feeds;
      return feeds;
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
function holdOut({ count }: SampleSet, share: number) {
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
  { wholeBatches = false, fixedBatch }: SampleTaskParts,
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
