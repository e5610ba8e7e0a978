/**
 * What a run trains and learns from, and whether that is fit for what the options want of it.
 *
 * @module
 */

import type { DeviceKind } from "../../../runtime/devices/device.ts";
import type { OncePerHost } from "../../../runtime/once_per_host.ts";
import { OptionError } from "../../options/kinds.ts";
import type { Options } from "../../options/table.ts";
import { openProblem, type Problem, type TaskDealer } from "../../problems/open_problem.ts";
import { type InputFiles, ownInputs, shareInputs } from "../../run/inputs.ts";
import type { Task } from "../../task.ts";
import { TrainingError } from "../training_error.ts";
import type { RunStart } from "./run_start.ts";
import type { TrainParts } from "./train_parts.ts";

/**
 * Opens a run's problem. Collective over the ranks that begin.
 *
 * @param target where its graphs will run
 * @param sharing those who make data for one another
 */
export async function openRunProblem(
  start: RunStart,
  options: Options,
  parts: TrainParts,
  target: DeviceKind,
  sharing: OncePerHost,
): Promise<Problem> {
  const { place, worlds } = start, files = await openInputs(start, options, parts);
  return await openProblem(options, place, target, { ...parts, worlds, files, sharing });
}

/** The files that a run takes with it: all have them from rank 0, but one that comes has nobody to ask. */
async function openInputs(
  { comm, output }: RunStart,
  options: Options,
  parts: TrainParts,
): Promise<InputFiles> {
  const model = !parts.model;
  if (!comm) return await ownInputs(options, { directory: parts.output?.directory ?? null, model });
  return await shareInputs(comm, options, { directory: output?.directory ?? null, model });
}

/**
 * Checks that the data can be dealt out to others where ranks become others, and that it has what a run needs that
 * stops early.
 *
 * @throws RangeError if it is not so
 * @throws OptionError if the data is too little for as many ranks as may come
 */
export function checkProblem(
  { task, taskFor }: Problem,
  { membership, limits, size }: RunStart,
  { patience }: Options,
): void {
  if (membership !== "fixed" && !taskFor) {
    throw new RangeError(
      "cannot go on among other ranks: parts.task has to be a function, which deals it out to them",
    );
  }
  if (membership === "live" && limits.most > size) checkRoom(taskFor!, limits.most);
  if (patience !== null && task.splits.length < 2) {
    throw new RangeError(
      "cannot stop early: patience needs a validation set, and the task has one split alone",
    );
  }
}

/**
 * Deals the data out to as many ranks as may come to be, so that what is too little for them is told before the first
 * step, and not when one of them comes.
 */
function checkRoom(taskFor: TaskDealer, most: number): void {
  try {
    taskFor(most - 1, [{ step: 0, ranks: most }]);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new OptionError(
      `--elastic allows ${most} ranks, for which the data is too little: ${reason}`,
    );
  }
}

/** Steps that each rank takes in the whole of a run, on its part of the data. */
export function stepsOf(task: Task, { epochs, maxSteps }: Options): number {
  const steps = task.steps?.(epochs) ?? Math.ceil(epochs * task.stepsPerEpoch);
  return Math.min(steps, maxSteps ?? Infinity);
}

/** Throws TrainingError if the checkpoint to go on from is of a later step than the run's last. */
export function checkGoesOn({ step }: RunStart, steps: number): void {
  if (step === null || step <= steps) return;
  throw new TrainingError(
    `cannot go on from step ${step}: with these options the run ends after step ${steps}; give a larger ` +
      "--max-steps or --epochs",
  );
}
