/**
 * The planner's measurements, on every rank at once.
 *
 * @module
 */

import type { Communicator } from "../../runtime/communicator.ts";
import { allreduceSeconds } from "../../runtime/collectives/allreduce_cost.ts";
import { openDevice } from "../../runtime/devices/open.ts";
import { shareInputs } from "../run/inputs.ts";
import { WeightAveraging } from "../rounds/averaging.ts";
import { fragmentsOf } from "../rounds/fragments.ts";
import { openProblem } from "../problems/open_problem.ts";
import type { Options } from "../options/table.ts";
import type { TrainStep } from "../steps/train_step.ts";
import type { Task } from "../task.ts";
import type { TrainParts } from "../training/train.ts";
import { networkBehind } from "./exchange_cost.ts";
import type { Measured, MeasuredPart, MeasureOptions } from "./measured.ts";
import { measureCodecs, pingPong, timeAllreduces } from "./measuring/exchange_times.ts";
import { inTurn } from "./measuring/in_turn.ts";
import { timedRound, TimedSteps } from "./measuring/timed_steps.ts";
import { plannedAlgorithm } from "./planned.ts";

/** Longest pause between what is timed, in seconds. */
const MOST_PAUSE = 0.25;

/** What is measured instead of what the options name, and where the files are that they name. */
export interface MeasuredParts extends Pick<TrainParts, "model" | "task" | "folder"> {
  /** Folder that rank 0 reads them from. */
  readonly directory?: string;
}

/**
 * Takes steps of the actual graph on the actual data, with all ranks at work but without exchanging
 * anything, then exchanges without taking steps. Collective.
 *
 * @returns the same on every rank
 */
export async function measure(
  comm: Communicator,
  asked: MeasureOptions,
  parts: MeasuredParts = {},
): Promise<Measured> {
  const { options, fragments = [], codecs = [] } = asked, { rank, size: ranks } = comm;
  const { directory = null, ...own } = parts;
  await using stack = new AsyncDisposableStack();
  const device = stack.use(await openDevice(options.device, { threads: options.threads }));
  const files = await shareInputs(comm, options, { directory, model: !own.model });
  const named = { ...own, files };
  const { model, task, opened } = await openProblem(options, rank, device.kind, named);
  if (opened) stack.use(opened);
  const alone = (await comm.split(rank))!, averaging = new WeightAveraging(alone);
  const steps = stack.use(
    await TimedSteps.open(asked, { device, model, task, rank, averaging }),
  );
  const { trainStep } = steps, { parameterCount: parameters } = trainStep;
  const averaged = averagedFloats(trainStep, options);
  const timed = [...steps.timed, timedRound(trainStep, averaged.weights, ranks)];
  const shared = averaged.weights + averaged.states;
  const { round, ...step } = await inTurn(comm, timed, pauseMs(options.link, ranks, shared));
  alone.free();
  const lengths = [Math.ceil(parameters / 4), parameters, shared];
  const allreduce = await timeAllreduces(comm, options.participants ?? ranks, lengths);
  const found = {
    device: device.description,
    ranks,
    run: runOf(task, options),
    parameters,
    shared,
    parts: measuredParts(trainStep, options, fragments),
    step,
    round,
  };
  const worked = await measureCodecs(comm, codecs);
  return { ...found, network: await pingPong(comm), allreduce, codecs: worked };
}

/** How many floats of the weights a round averages, and how many of what the update rule keeps. */
function averagedFloats({ weights, parameterCount }: TrainStep, options: Options) {
  const { states } = plannedAlgorithm(options, options.algorithm).update.rule;
  return {
    weights: options.batchNorm === "average" ? weights.length : parameterCount,
    states: options.averageStates ? states.length * parameterCount : 0,
  };
}

/** How long ranks wait for an average behind a link, up to a limit. */
function pauseMs(link: string | null, ranks: number, floats: number): number {
  if (link === null) return 0;
  return 1000 * Math.min(MOST_PAUSE, allreduceSeconds(networkBehind(link), ranks, 4 * floats));
}

/** The run that the options ask for. */
function runOf(task: Task, { epochs, maxSteps }: Options): Measured["run"] {
  const whole = task.steps?.(epochs) ?? Math.ceil(epochs * task.stepsPerEpoch);
  const steps = Math.min(whole, maxSteps ?? Infinity);
  return { steps, epochs: task.epoch(steps) };
}

/** How large the parts are of the weights in so many. */
function measuredParts(
  { weights, size, parameterCount }: TrainStep,
  { batchNorm, fragments: asked }: Options,
  counts: readonly number[],
): Record<number, MeasuredPart[]> {
  const whole = { weights, parameterCount, statistics: batchNorm === "average" };
  const parts: Record<number, MeasuredPart[]> = {};
  for (const count of [...counts, asked]) {
    // What was asked for has to be possible; of the others, those are told that are.
    if (count === 1 || count > size.parameters && count !== asked) continue;
    parts[count] = fragmentsOf(whole, count)
      .map(({ trained, length }) => ({ trained, statistics: length - trained }));
  }
  return parts;
}
