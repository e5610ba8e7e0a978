/**
 * How the ranks share an evaluation of samples.
 *
 * @module
 */

import { evaluationBatches } from "../data/sampling/sampler.ts";
import type { Split } from "../task.ts";
import type { SampleSet, SampleTaskParts } from "./sample_set.ts";

/** Largest batch of an evaluation, in samples. */
const EVAL_BATCH = 100;

/** The ranks that share an evaluation, and which of them this is. */
export interface EvaluationRanks {
  readonly rank: number;
  readonly ranks: number;
}

/** Samples that are evaluated. */
export interface Evaluated {
  /** How many. */
  readonly count: number;
  /** In batches of which size. */
  readonly batchSize: number;
}

/** Evaluations of a test set, and of other samples as far as possible in the same batches. */
export class SampleEvaluation {
  /** The test set. */
  readonly test: Evaluated;
  readonly #place: EvaluationRanks;
  readonly #wholeBatches: boolean;
  readonly #fixedBatch: number | undefined;

  /** @param count samples of the test set */
  constructor(
    count: number,
    place: EvaluationRanks,
    { wholeBatches = false, fixedBatch }: SampleTaskParts,
  ) {
    const { ranks } = place, most = fixedBatch ?? Math.min(EVAL_BATCH, Math.ceil(count / ranks));
    this.test = { count, batchSize: wholeBatches ? divisor(count, ranks, most) : most };
    this.#place = place;
    this.#wholeBatches = wholeBatches;
    this.#fixedBatch = fixedBatch;
  }

  /** How many of `most` samples of another set are evaluated: those that make no whole batch may be left out. */
  of(most: number): Evaluated {
    const { batchSize } = this.test, { ranks } = this.#place;
    if (!this.#wholeBatches) return { count: most, batchSize };
    const count = most - most % (ranks * batchSize);
    if (count > 0 || this.#fixedBatch !== undefined) return { count, batchSize };
    const even = most - most % ranks;
    return { count: even, batchSize: even === 0 ? batchSize : divisor(even, ranks, even / ranks) };
  }

  /**
   * This rank's share of an evaluation.
   *
   * @param indexOf which sample of the set is the n-th that is evaluated
   */
  split(
    name: Split["name"],
    set: SampleSet,
    { count, batchSize }: Evaluated,
    indexOf: (n: number) => number,
  ): Split {
    const { rank, ranks } = this.#place, { predictions = 1, variance } = set;
    const batch = set.feeds(batchSize);
    return {
      name,
      samples: count * predictions,
      batchSize,
      ...variance === undefined ? {} : { variance },
      *batches() {
        for (const { indices, valid } of evaluationBatches(count, batchSize, rank, ranks)) {
          batch.fill(indices.map(indexOf));
          if (valid < batchSize) batch.leaveOut(valid);
          yield batch.feeds;
        }
      },
    };
  }
}

/** The largest batch, up to `most`, that makes up every rank's share; shares may differ by one sample. */
function divisor(count: number, ranks: number, most: number): number {
  if (count % ranks !== 0) return 1;
  let size = most;
  while (count / ranks % size !== 0) size--;
  return size;
}
