/**
 * What the ranks of a run are to know of one another before its first step.
 *
 * @module
 */

import type { Communicator } from "../../../runtime/communicator.ts";
import type { Options } from "../../options/table.ts";
import type { Task } from "../../task.ts";

/**
 * Says, on rank 0, if a step sees samples twice on any rank. Collective.
 *
 * @param comm null on a process that comes to the others: it knows of none but itself
 * @param hasCallbacks whether this rank has callbacks
 * @returns whether any rank has
 */
export async function compareRanks(
  comm: Communicator | null,
  options: Options,
  { rankSamples = Infinity }: Task,
  hasCallbacks: boolean,
): Promise<boolean> {
  const least = Float64Array.of(rankSamples, hasCallbacks ? 0 : 1);
  await comm?.allreduce(least, "min");
  if (comm?.rank === 0) noteRepeats(options, least[0]);
  return least[1] === 0;
}

/** Says so where a step sees samples twice, of which a rank has so many. */
function noteRepeats({ batchSize, accumulate }: Options, samples: number): void {
  if (batchSize * accumulate <= samples) return;
  const batch = accumulate === 1
    ? `--batch-size ${batchSize} is`
    : `--batch-size ${batchSize} and --accumulate ${accumulate} are`;
  console.error(
    `note: ${batch} above the ${samples} samples that a rank has: a step sees some of them twice`,
  );
}
