/** A network without batch norm and a data set, both so small that a test can redo them by hand. */

import type { Model } from "../../models/mod.ts";
import type { Feeds, Task } from "../../tasks/task.ts";
import { perceptron } from "../_helpers/perceptron.ts";

/** Sizes of the layers. */
export const FEATURES = 6, HIDDEN = 5, CLASSES = 3;

/** Samples of an epoch. */
export const TRAIN_SAMPLES = 1000;

/** The network. */
export const mlp: Model = perceptron({
  features: FEATURES,
  hidden: HIDDEN,
  classes: CLASSES,
  bound: 1,
});

/** Sample number `n` of an endless set. */
export function sample(n: number): { x: number[]; label: number } {
  const x = Array.from({ length: FEATURES }, (_, i) => Math.fround(Math.sin(n * 1.7 + i * i + 1)));
  return { x, label: x.indexOf(Math.max(...x.slice(0, CLASSES))) };
}

/** Samples that `rank` of `ranks` takes at step `t` from 1: N small batches make one N times larger. */
export function samplesOf(t: number, rank: number, ranks: number, batchSize: number): number[] {
  const first = ((t - 1) * ranks + rank) * batchSize;
  return Array.from({ length: batchSize }, (_, i) => first + i);
}

/** The task as the training loop wants it. Its test set is samples 0 to 9. */
export function mlpTask(
  rank: number,
  ranks: number,
  batchSize: number,
  samplesAt = (t: number) => samplesOf(t, rank, ranks, batchSize),
): Task {
  const trainSamples = TRAIN_SAMPLES, testSamples = 10;
  const feeds = (numbers: number[], size: number): Feeds => {
    const samples = numbers.map(sample);
    const target = new Int32Array(size).fill(-1);
    target.set(samples.map(({ label }) => label));
    const data = new Float32Array(size * FEATURES);
    data.set(samples.flatMap(({ x }) => x));
    return {
      input: { type: "float32", dims: [size, FEATURES], data },
      target: { type: "int32", dims: [size], data: target },
    };
  };
  return {
    trainSamples,
    stepsPerEpoch: trainSamples / (ranks * batchSize),
    epoch: (steps) => steps * ranks * batchSize / trainSamples,
    batch: (t) => ({ feeds: feeds(samplesAt(t), batchSize) }),
    splits: [{
      name: null,
      samples: testSamples,
      batchSize: testSamples,
      *batches() {
        const own = Array.from({ length: testSamples }, (_, n) => n)
          .filter((n) => n % ranks === rank);
        yield feeds(own, testSamples);
      },
    }],
  };
}
