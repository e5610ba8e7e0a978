/**
 * Gradient accumulation: a step that learns from several mini-batches.
 *
 * @module
 */

import { copied } from "../steps/copied_batch.ts";
import type { Batch, Task } from "../task.ts";

/**
 * The same data in steps of K mini-batches each, see {@linkcode Batch.parts}: epochs and steps are counted in
 * these. Step t has the mini-batches (t − 1)K + 1 to tK.
 *
 * @param count K
 * @param batchSize samples of a mini-batch that does not say
 */
export function accumulated(task: Task, count: number, batchSize: number): Task {
  if (count === 1) return task;
  return {
    ...task,
    stepsPerEpoch: task.stepsPerEpoch / count,
    steps(epochs) {
      const batches = task.steps?.(epochs) ?? Math.ceil(epochs * task.stepsPerEpoch);
      return Math.ceil(batches / count);
    },
    epoch: (steps) => task.epoch(steps * count),
    batch(t) {
      // A task's arrays hold for two batches at most.
      const parts = Array.from(
        { length: count },
        (_, i) => copied(task.batch((t - 1) * count + i + 1)),
      );
      const sum = (of: (part: Batch) => number) => parts.reduce((all, part) => all + of(part), 0);
      return {
        ...parts[0],
        parts,
        samples: sum(({ samples = batchSize }) => samples),
        scale: sum(({ scale = 1 }) => scale) / count,
      };
    },
  };
}
