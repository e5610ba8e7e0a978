/**
 * Mini-batches that hold longer than a task's arrays do.
 *
 * @module
 */

import type { Batch, Feeds } from "../task.ts";

/** The same mini-batch in arrays of its own. */
export function copied(batch: Batch): Batch {
  const feeds = Object.fromEntries(
    Object.entries(batch.feeds)
      .map(([name, tensor]) => [name, { ...tensor, data: tensor.data.slice() }]),
  ) as Feeds;
  return { ...batch, feeds, ...batch.parts && { parts: batch.parts.map(copied) } };
}
