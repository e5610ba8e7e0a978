/**
 * Samples with labels or other targets, as a task: in which order they are learnt from, and which are held out.
 *
 * @module
 */

import { Random } from "../../runtime/base/random.ts";
import { counted } from "../../runtime/base/words.ts";
import { parsePartition } from "../data/sampling/partition.ts";
import { createImageSampler } from "../data/sampling/sampler.ts";
import type { Worlds } from "../data/sampling/worlds.ts";
import { OptionError } from "../options/kinds.ts";
import type { Options } from "../options/table.ts";
import type { Feeds, Task } from "../task.ts";
import { SampleEvaluation } from "./sample_evaluation.ts";
import type { SampleFeeds, SampleSet, SampleSets, SampleTaskParts } from "./sample_set.ts";

/**
 * A task on samples.
 *
 * @param worlds that the run has had; by default the one of the options alone
 * @throws OptionError if no validation set can be held out as asked, or a batch is more than the memory holds
 */
export function sampleTask(
  sets: SampleSets,
  options: Options,
  rank: number,
  parts: SampleTaskParts = {},
  worlds?: Worlds,
): Task {
  const { what, labels, classes, train, test, valid: own } = sets;
  const { batchSize, ranks, seed, partition, trainEval } = options;
  const { kept, held } = holdOut(sets, options.validFraction);
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
  const batches = new TrainingBatches(train, batchSize, what, (step, indices) => {
    sampler.indices(step, indices);
    if (kept) { for (let i = 0; i < indices.length; i++) indices[i] = kept[indices[i]]; }
  });
  const trainSamples = train.count - held.length;
  const evaluation = new SampleEvaluation(test.count, { rank, ranks }, parts);
  const valid = evaluation.of(own?.count ?? held.length);
  if (held.length > 0 && valid.count === 0) {
    throw new OptionError(
      `${held.length} ${what} held out for validation make no batch of ${valid.batchSize} on each of ` +
        `${counted(ranks, "rank")}: give a larger --valid-fraction`,
    );
  }
  const part = evaluation.of(Math.min(trainEval, trainSamples));
  // The same part whatever the run's seed.
  const order = new Random(0, "train-eval").permutation(trainSamples);
  const hasValid = valid.count > 0;
  return {
    trainSamples,
    rankSamples: sampler.samples,
    stepsPerEpoch: sampler.stepsPerEpoch,
    steps: (epochs) => sampler.steps(epochs),
    epoch: (steps) => sampler.epoch(steps),
    batch: (t) => ({ feeds: batches.augmented(t - 1) }),
    calibration(index) {
      const { target: _, ...feeds } = batches.plain(index);
      return feeds;
    },
    splits: [
      ...hasValid
        ? [evaluation.split("valid", own ?? train, valid, own ? (n) => n : (n) => held[n])]
        : [],
      evaluation.split(hasValid ? "test" : null, test, evaluation.test, (n) => n),
    ],
    ...part.count > 0
      ? {
        trainPart: evaluation.split(
          "train",
          train,
          part,
          kept ? (n) => kept[order[n]] : (n) => order[n],
        ),
      }
      : {},
  };
}

/**
 * Holds out a share of the training samples, drawn at random and the same whatever the run's seed.
 *
 * @returns those that are learnt from, in their order, or null for all; and those that are held out
 * @throws OptionError if the data have a validation set of their own, or the share is of less than a sample
 */
function holdOut({ what, train: { count }, valid: own }: SampleSets, share: number) {
  if (own && share > 0) {
    throw new OptionError(
      `there is a validation set of ${own.count} ${what}: leave --valid-fraction ${share} out`,
    );
  }
  const out = Math.min(count - 1, Math.round(count * share));
  if (out > 0) {
    const order = new Random(0, "valid").permutation(count);
    return { kept: order.slice(out).sort(), held: order.slice(0, out).sort() };
  }
  if (share > 0) {
    throw new OptionError(
      `--valid-fraction ${share} of ${count} ${what} holds none out for validation: give a larger one`,
    );
  }
  return { kept: null, held: new Uint32Array() };
}

/** What the steps learn from: two batches by turns, so that one can be filled while the other is on its way. */
class TrainingBatches {
  readonly #indices: Uint32Array;
  readonly #samplesOf: (step: number, into: Uint32Array) => void;
  #batch: SampleFeeds;
  #other: SampleFeeds;

  /**
   * @param what the samples are
   * @param samplesOf writes which samples a step learns from; steps are counted from 0
   * @throws OptionError where the memory has no room for a batch
   */
  constructor(
    set: SampleSet,
    batchSize: number,
    what: string,
    samplesOf: (step: number, into: Uint32Array) => void,
  ) {
    this.#batch = batchOf(set, batchSize, what);
    this.#other = batchOf(set, batchSize, what);
    this.#indices = new Uint32Array(batchSize);
    this.#samplesOf = samplesOf;
  }

  /** The samples of a step, changed by chance where they are to be. */
  augmented(step: number): Feeds {
    const batch = this.#take(step);
    if (batch.draw) batch.draw(this.#indices, step);
    else batch.fill(this.#indices);
    return batch.feeds;
  }

  /** The samples of a step, as they are. */
  plain(step: number): Feeds {
    const batch = this.#take(step);
    batch.fill(this.#indices);
    return batch.feeds;
  }

  /** The batch whose turn it is; its samples are in the indices. */
  #take(step: number): SampleFeeds {
    [this.#batch, this.#other] = [this.#other, this.#batch];
    this.#samplesOf(step, this.#indices);
    return this.#batch;
  }
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
