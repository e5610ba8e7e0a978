/**
 * What the ranks of a run are to know of one another before its first step.
 *
 * @module
 */

import type { Communicator } from "../../../runtime/communicator.ts";
import type { Options } from "../../options/table.ts";
import type { Task } from "../../task.ts";

/** A deviation of amounts above which a run is told that there is a way to learn them in units of it. */
const WIDE = 10;

/**
 * Says, on rank 0, if a step sees samples twice on any rank, and if amounts are far from what networks begin with.
 * Collective.
 *
 * @param comm null on a process that comes to the others: it knows of none but itself
 * @param hasCallbacks whether this rank has callbacks
 * @returns whether any rank has
 */
export async function compareRanks(
  comm: Communicator | null,
  options: Options,
  task: Task,
  hasCallbacks: boolean,
): Promise<boolean> {
  const least = Float64Array.of(task.rankSamples ?? Infinity, hasCallbacks ? 0 : 1);
  await comm?.allreduce(least, "min");
  if (comm?.rank === 0) {
    noteRepeats(options, least[0]);
    noteAmounts(options, task);
  }
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

/** Says so where what is predicted lies so far apart that clipped steps hardly come there. */
function noteAmounts({ task: name, standardise }: Options, { splits }: Task): void {
  const deviation = Math.sqrt(splits.at(-1)!.variance ?? 0);
  if (name !== "arrays" || standardise === "all" || deviation <= WIDE) return;
  const shown = Number(deviation.toPrecision(3));
  console.error(
    `note: what is predicted has a deviation of ${shown}, far from where a network begins: --standardise all ` +
      "learns it with the mean 0 and the deviation 1",
  );
}
