/** A small generated task, whose gradients are noisy: points around the centres of ten classes. */

import { Random } from "../../runtime/base/random.ts";
import { parsePartition } from "../../tasks/data/sampling/partition.ts";
import { createImageSampler, evaluationBatches } from "../../tasks/data/sampling/sampler.ts";
import type { Options } from "../../tasks/options/table.ts";
import type { Model } from "../../models/mod.ts";
import type { Feeds, Task } from "../../tasks/task.ts";
import { perceptron } from "./perceptron.ts";

const FEATURES = 20, CLASSES = 10, TRAINING = 1280, TEST = 400;
/** Standard deviation of a coordinate around its class's centre, whose coordinates have 1. */
const SPREAD = 1.6;

/** A network that learns them: 30 weights for each of the hidden units, and 10. */
export function clusterModel(hidden: number): Model {
  return perceptron({ features: FEATURES, hidden, classes: CLASSES, bound: 0.2 });
}

/** One rank's view of the points, with the trainer's own order of samples and partitions. */
export function clusters({ batchSize, ranks, seed, partition }: Options, rank: number): Task {
  const labels = (count: number) => Uint8Array.from({ length: count }, (_, i) => i % CLASSES);
  const training = labels(TRAINING), test = labels(TEST);
  const sampler = createImageSampler({
    labels: training,
    classes: CLASSES,
    batchSize,
    rank,
    ranks,
    seed,
    partition: parsePartition(partition),
  });
  const drawn = new Random(7, "centres");
  const centres = Float32Array.from({ length: CLASSES * FEATURES }, () => drawn.normal());
  const feeds = (set: string, of: Uint8Array, indices: Iterable<number>, valid: number): Feeds => {
    const numbers = [...indices], data = new Float32Array(numbers.length * FEATURES);
    for (const [row, index] of numbers.entries()) {
      const random = new Random(7, set, index);
      for (let i = 0; i < FEATURES; i++) {
        data[row * FEATURES + i] = centres[of[index] * FEATURES + i] + SPREAD * random.normal();
      }
    }
    const target = Int32Array.from(numbers, (index, row) => row < valid ? of[index] : -1);
    return {
      input: { type: "float32", dims: [numbers.length, FEATURES], data },
      target: { type: "int32", dims: [numbers.length], data: target },
    };
  };
  const indices = new Uint32Array(batchSize), own = Math.ceil(TEST / ranks);
  return {
    trainSamples: TRAINING,
    stepsPerEpoch: sampler.stepsPerEpoch,
    epoch: (steps) => steps * batchSize * ranks / TRAINING,
    batch(t) {
      sampler.indices(t - 1, indices);
      return { feeds: feeds("training", training, indices, batchSize) };
    },
    splits: [{
      name: null,
      samples: TEST,
      batchSize: own,
      *batches() {
        for (const { indices, valid } of evaluationBatches(TEST, own, rank, ranks)) {
          yield feeds("test", test, indices, valid);
        }
      },
    }],
  };
}
