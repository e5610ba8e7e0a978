/**
 * Samples that are numbered, with labels or other targets, as a task takes them.
 *
 * @module
 */

import type { Labels } from "../data/images/image_data_set.ts";
import type { Feeds } from "../task.ts";

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
