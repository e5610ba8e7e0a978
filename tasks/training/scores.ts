/**
 * What evaluations come to in a run's summary.
 *
 * @module
 */

import type { Evaluation } from "../steps/evaluator.ts";
import type { Scores } from "../run/metrics.ts";
import type { Split, Task } from "../task.ts";

/** What a split's evaluations are kept under. */
export function splitKey({ name }: Split): string {
  return name ?? "test";
}

/** An evaluation's scores, as a summary calls them of what has a prefix: `testAccuracy`, `testLoss`. */
export function scoresUnder(
  prefix: string,
  { accuracy, perplexity, rmse, r2, loss }: Evaluation,
): Record<string, number> {
  const scores = { Accuracy: accuracy, Perplexity: perplexity, Rmse: rmse, R2: r2, Loss: loss };
  return Object.fromEntries(
    Object.entries(scores).flatMap(([name, value]) =>
      value === undefined ? [] : [[`${prefix}${name}`, value]]
    ),
  );
}

/**
 * The scores of a summary.
 *
 * @param last the latest evaluation of each split, by {@linkcode splitKey}
 * @param untrained the first of the split that is watched
 */
export function scoresOf(
  task: Task,
  last: ReadonlyMap<string, Evaluation>,
  untrained: Evaluation,
): Scores {
  const scores: Record<string, number> = {};
  const add = (prefix: string, evaluation: Evaluation) =>
    void Object.assign(scores, scoresUnder(prefix, evaluation));
  for (const split of task.splits.toReversed()) {
    const evaluation = last.get(splitKey(split));
    if (evaluation) add(PREFIX[splitKey(split)], evaluation);
  }
  const train = last.get("train");
  if (train) scores.trainLossAveraged = train.loss;
  add("untrained", untrained);
  Object.assign(scores, task.source);
  return scores as unknown as Scores;
}

const PREFIX: Record<string, string> = { test: "test", valid: "validation" };
