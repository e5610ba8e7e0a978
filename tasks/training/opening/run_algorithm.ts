/**
 * The algorithm that a run is trained by: the caller's own, or the one that the options name.
 *
 * @module
 */

import type { Algorithm, Communication } from "../../../optimizers/mod.ts";
import { gradientSyncs } from "../../../optimizers/rounds/gradient_syncs.ts";
import { peakAhead } from "../../../optimizers/rounds/interval.ts";
import { algorithmOf } from "../../options/resolve.ts";
import { stepSizeAt } from "../../options/stepping/step_size.ts";
import type { Options } from "../../options/table.ts";
import type { Task } from "../../task.ts";
import { checkOwnAlgorithm } from "./own_algorithm.ts";
import type { RunStart } from "./run_start.ts";
import type { TrainParts } from "./train_parts.ts";

/** An algorithm, and what it comes to in a run of so many steps. */
export interface RunAlgorithm {
  readonly algorithm: Algorithm;
  /** How its steps exchange gradients. */
  readonly gradients: ReadonlySet<Communication["gradients"]>;
  /** How averages travel. */
  readonly compress: Options["compress"];
}

/**
 * Chooses the algorithm.
 *
 * @throws RangeError if the caller's own does not fit the options
 */
export function chooseAlgorithm(
  { size: ranks, membership }: RunStart,
  options: Options,
  parts: Pick<TrainParts, "algorithm" | "optimizer">,
  { task, steps }: { task: Task; steps: number },
): RunAlgorithm {
  const learningRate = (t: number) =>
    stepSizeAt(options, { done: t - 1, steps, epoch: task.epoch(t - 1) }).learningRate;
  const algorithm = parts.algorithm ?? algorithmOf(options, {
    rule: parts.optimizer,
    learningRate: peakAhead(learningRate, steps),
  });
  const gradients = gradientSyncs(algorithm, steps);
  if (parts.algorithm) {
    const optimizer = parts.optimizer !== undefined;
    const beside = { options, ranks, membership, steps, syncs: gradients, optimizer };
    checkOwnAlgorithm(algorithm, beside);
  }
  return { algorithm, gradients, compress: algorithm.sends?.compress ?? options.compress };
}
