/**
 * The order in which images are seen. Which samples rank r takes at step t is a pure function of
 * (seed, r, t), so a run can go on from any step and a sweep's cells see the same samples.
 *
 * A batch never shrinks: one that reaches the end of a shuffle takes its tail from the next, so every
 * shuffle gives each of its samples exactly once and no sample is dropped.
 *
 * @module
 */

import type { Labels } from "../images/image_data_set.ts";
import { checkPartition, type Partition, partitionImages } from "./partition.ts";
import { BY_TURNS, Deal } from "./deal.ts";
import { Shuffles } from "./shuffles.ts";
import { membersOf, type Worlds } from "./worlds.ts";

/** One rank's order of samples. */
export interface Sampler {
  /** Samples of one step of this rank. */
  readonly batchSize: number;
  /**
   * Steps in an epoch, in which all ranks together take as many samples as the set has; a fraction
   * where they do not divide. The same on all ranks.
   */
  readonly stepsPerEpoch: number;
  /** How many samples of the set an epoch has for this rank; rounded down where the ranks share them all. */
  readonly samples: number;
  /** Epochs done when `step` steps are done. */
  epoch(step: number): number;
  /** Steps after which so many epochs are done. */
  steps(epochs: number): number;
  /**
   * The samples of step `step` (from 0): `[batchSize]` indices into the set, written to `into` where
   * it is given.
   */
  indices(step: number, into?: Uint32Array): Uint32Array;
}

/** What an image sampler draws from, and for whom. */
export interface ImageSamplerOptions {
  /** Labels of the set, `[count]`; `dirichlet` and `shards` divide by them. */
  readonly labels: Labels;
  /** Number of classes. */
  readonly classes: number;
  /** Samples of one step of one rank. */
  readonly batchSize: number;
  /** This rank. */
  readonly rank: number;
  /** Number of ranks. */
  readonly ranks: number;
  /** The job's seed. */
  readonly seed: number;
  /**
   * Who sees which samples.
   * @default {{ kind: "iid" }}
   */
  readonly partition?: Partition;
  /**
   * The worlds that the run has had, up to the one of `ranks`.
   * @default {that one alone}
   */
  readonly worlds?: Worlds | undefined;
}

/**
 * The order of this rank's samples.
 *
 * With `iid` all ranks walk one shuffle of the whole set, a new one each epoch, taking turns sample by
 * sample: as PyTorch's DistributedSampler without its padding. N ranks of batch B then see, in each
 * step, exactly the samples that one rank of batch N·B sees. With `whole` every rank shuffles the whole
 * set for itself. Otherwise each rank shuffles its own fixed part.
 *
 * After a change of the number of ranks, `iid` goes on in the joint shuffle where the ranks before left off,
 * so that an epoch still has every sample once, and takes over what a rank that was lost had taken since its last
 * round. Otherwise a rank goes on in its own shuffles at its own step. Of parts each rank keeps its own while others
 * are away; they are dealt out anew where a run is resumed with another number of ranks.
 *
 * @throws {RangeError} when the batch, the rank or the partition is out of range
 */
export function createImageSampler(options: ImageSamplerOptions): Sampler {
  const { labels, batchSize, rank, ranks, seed, partition = { kind: "iid" } } = options;
  const count = labels.length;
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw new RangeError(`a batch size is a positive integer, not ${batchSize}`);
  }
  if (!Number.isInteger(rank) || rank < 0 || rank >= ranks) {
    throw new RangeError(`a rank is an integer from 0 to ${ranks - 1}, not ${rank}`);
  }
  if (count === 0) throw new RangeError("cannot sample from an empty set");
  checkPartition(partition, { data: "images", ranks });
  const worlds = options.worlds ?? [];
  // By its number in the run a rank is the same whoever is there.
  const own = worlds.length > 0 ? membersOf(worlds.at(-1)!)[rank] : rank;
  const deal = Deal.of(worlds, batchSize, BY_TURNS, ranks);
  /** Where in its shuffles one of the rank's samples stands. */
  let place = (step: number, sample: number) => step * batchSize + sample;
  let shuffles: Shuffles;
  switch (partition.kind) {
    case "iid":
      shuffles = new Shuffles(count, seed, ["order"]);
      place = (step, sample) => deal.place(step, sample, rank);
      break;
    case "whole":
      shuffles = new Shuffles(count, seed, ["order", own]);
      break;
    default: {
      const owners = worlds.findLast(({ members }) => members === undefined)?.ranks ?? ranks;
      const part = partitionImages(partition, { ...options, ranks: owners })[own];
      shuffles = new Shuffles(part.length, seed, ["order", own], part);
    }
  }
  const stepsPerEpoch = count / (batchSize * ranks);
  return {
    batchSize,
    stepsPerEpoch,
    samples: Math.floor(shuffles.length / (partition.kind === "iid" ? ranks : 1)),
    // Counted in samples, so that whole epochs come out exactly.
    epoch: (step) => deal.counted(step) / count,
    steps: (epochs) => Math.ceil(epochs * stepsPerEpoch - deal.ahead / (batchSize * ranks)),
    indices(step, into = new Uint32Array(batchSize)) {
      if (!Number.isSafeInteger(step) || step < 0) {
        throw new RangeError(`a step is an integer from 0 on, not ${step}`);
      }
      if (into.length !== batchSize) {
        throw new RangeError(`a batch of ${batchSize} does not fit a buffer of ${into.length}`);
      }
      for (let i = 0; i < batchSize; i++) into[i] = shuffles.at(place(step, i));
      return into;
    },
  };
}

/** One batch of an evaluation. */
export interface EvaluationBatch {
  /** `[batchSize]`; only the first `valid` count, the rest repeat index 0 to keep the shape. */
  readonly indices: Uint32Array;
  /** How many of the indices are to be counted. */
  readonly valid: number;
}

/**
 * The batches by which rank `rank` evaluates its share of a set: consecutive samples, every sample
 * exactly once over all ranks, shares that differ by one sample at most.
 *
 * @param count samples in the set
 * @param batchSize samples of a batch
 */
export function* evaluationBatches(
  count: number,
  batchSize: number,
  rank = 0,
  ranks = 1,
): Generator<EvaluationBatch> {
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw new RangeError(`a batch size is a positive integer, not ${batchSize}`);
  }
  const end = Math.floor((rank + 1) * count / ranks);
  for (let start = Math.floor(rank * count / ranks); start < end; start += batchSize) {
    const valid = Math.min(batchSize, end - start);
    const indices = new Uint32Array(batchSize);
    for (let i = 0; i < valid; i++) indices[i] = start + i;
    yield { indices, valid };
  }
}
