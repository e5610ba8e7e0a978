/**
 * The training step of a rank, with the weights that a run begins with.
 *
 * @module
 */

import type { Communicator } from "../../../runtime/communicator.ts";
import type { Device } from "../../../runtime/devices/device.ts";
import { type OncePerHost, PER_RANK } from "../../../runtime/once_per_host.ts";
import type { Options } from "../../options/table.ts";
import type { Problem } from "../../problems/open_problem.ts";
import type { WeightAveraging } from "../../rounds/averaging.ts";
import { TrainStep } from "../../steps/train_step.ts";
import type { RunAlgorithm } from "./run_algorithm.ts";
import type { RunStart } from "./run_start.ts";

/** What a step is opened with; all of it is the caller's. */
interface StepParts extends Pick<RunAlgorithm, "algorithm" | "gradients"> {
  readonly device: Device;
  readonly problem: Problem;
  /** Carries the gradients; null on a process that comes to the others, where none travel. */
  readonly averaging: WeightAveraging | null;
  /** Those who make graphs and weights for one another. */
  readonly sharing: OncePerHost;
}

/** Opens the step, which is the caller's. Collective over those that share. */
export async function openRankStep(
  { size, place, limits, membership }: RunStart,
  options: Options,
  { problem: { task, model }, sharing, ...parts }: StepParts,
): Promise<TrainStep> {
  const { batchSize, accumulate, ema, seed, participants, onNan } = options;
  return await TrainStep.open({
    ...{ ...parts, model, batchSize, accumulate, ema, seed, rank: place },
    length: task.batch(1).length ?? 1,
    skips: onNan === "skip",
    sitsOut: parts.algorithm.undrawn === "waits" &&
      (participants ?? size) < Math.max(size, limits.most),
    sharing: membership === "fixed" ? sharing : PER_RANK,
  });
}

/** Gives all ranks the weights of rank 0, if they are on several hosts. Collective. */
export async function shareWeights(comm: Communicator, { weights }: TrainStep): Promise<void> {
  if (new Set(comm.network.hosts).size === 1) return;
  // Machines need not agree on the last bit of what is computed from the seed.
  await weights.edit((flat) => comm.bcast(flat, 0));
}
