/**
 * A run among some ranks: what each of them opens anew for them, and the loop on it.
 *
 * @module
 */

import { join } from "node:path";
import type { Algorithm } from "../../../optimizers/mod.ts";
import type { Device } from "../../../runtime/devices/device.ts";
import type { OncePerHost } from "../../../runtime/once_per_host.ts";
import { membersOf, type Worlds } from "../../data/sampling/worlds.ts";
import type { Options } from "../../options/table.ts";
import { WeightAveraging } from "../../rounds/averaging.ts";
import { CheckpointWriter } from "../../run/checkpoint_writer.ts";
import { FILES, noteWorlds } from "../../run/folder.ts";
import { MetricsLog, pieceAfter, type RunHost, type Summary } from "../../run/metrics.ts";
import { Evaluator } from "../../steps/evaluator.ts";
import type { TrainStep } from "../../steps/train_step.ts";
import type { Problem } from "../../problems/open_problem.ts";
import type { Task } from "../../task.ts";
import type { Callback } from "../callbacks/callback.ts";
import { Callbacks } from "../callbacks/callbacks.ts";
import { Loop } from "../loop.ts";
import type { Checkpoints } from "../loop_parts.ts";
import { stepsOf } from "../opening/run_problem.ts";
import { type RunOutput, writeState } from "../records/run_files.ts";
import type { SpanLog } from "../records/span_log.ts";
import { TrainingError } from "../training_error.ts";
import type { Crew, Members } from "./members.ts";

/** What a rank has whoever the others are; all of it is the caller's. */
export interface RankParts {
  readonly options: Options;
  readonly device: Device;
  readonly problem: Problem;
  readonly algorithm: Algorithm;
  readonly trainStep: TrainStep;
  /** What it has only among the ranks that the run begins with; null where they are others from the beginning. */
  readonly first: FirstParts | null;
  /** How averages travel. */
  readonly compress: Options["compress"];
  readonly callbacks: readonly Callback[];
  /** Whether any rank had callbacks when the run began. */
  readonly anyCallbacks: boolean;
  /** The hosts that the run began on. */
  readonly hosts: readonly RunHost[];
  /** What its host's ranks make once; absent where ranks leave and come. */
  readonly sharing: OncePerHost | undefined;
  /** How ranks leave and come; absent: they do not. */
  readonly members: Members | undefined;
  /** Where rank 0 writes. */
  readonly output: RunOutput | undefined;
  readonly checkpoints: Checkpoints | undefined;
  readonly spans: SpanLog | undefined;
}

/** What a rank has among the ranks that a run begins with. */
export interface FirstParts {
  readonly task: Task;
  readonly averaging: WeightAveraging;
}

/** What training among some ranks came to. */
export interface CrewTrained {
  /** The same on every rank. */
  readonly summary: Summary;
  /** The averaged weights, then the running statistics. */
  readonly weights: Float32Array;
  /** Where this rank writes; absent if another does. */
  readonly writes: RunOutput | undefined;
}

/**
 * Trains among some ranks, to the end of the run.
 *
 * @throws CrewChange if it goes on among others
 */
export async function trainCrew(crew: Crew, rank: RankParts): Promise<CrewTrained> {
  const { comm, worlds, carried, hosts = rank.hosts } = crew;
  const { options, device, algorithm, trainStep, members, spans, checkpoints } = rank;
  const { model, taskFor } = rank.problem;
  await using stack = new AsyncDisposableStack();
  const first = carried === undefined ? rank.first : null;
  const task = first?.task ?? taskFor!(comm.rank, worlds), steps = stepsOf(task, options);
  trainStep.who = { number: membersOf(worlds.at(-1)!)[comm.rank], place: comm.rank };
  const { batchSize, batchNorm, seed } = options, { sharing } = rank;
  const evaluator = stack.use(
    await Evaluator.open({
      ...{ comm, device, model, task, trainStep, batchSize, batchNorm, seed, sharing },
    }),
  );
  const writes = comm.rank === 0 ? rank.output : undefined;
  if (writes && !first) await noteOthers(writes, worlds);
  const log = writes ? stack.use(openLog(writes, crew, checkpoints)) : null;
  const wrote = (step: number, start: number, milliseconds: number) =>
    spans?.note({ kind: "checkpoint", name: "checkpoint", start, milliseconds, of: { step } });
  const { specs } = trainStep.weights, { keep } = options;
  const loop = new Loop({
    ...{ comm, options, task, algorithm, trainStep, evaluator, steps, log, worlds },
    ...{ members, carried, device: device.description, spans },
    averaging: first?.averaging ?? new WeightAveraging(comm, rank.compress),
    callbacks: new Callbacks(comm, rank.callbacks, {
      steps,
      anywhere: crew.anyCallbacks ?? rank.anyCallbacks,
    }),
    ...hosts.length > 1 ? { hosts } : {},
    keepBest: writes &&
      ((weights) => writeState(writes.directory, FILES.best, options, { model, specs, weights })),
    ...checkpoints
      ? {
        checkpoints,
        writer: stack.use(new CheckpointWriter(comm, { ...checkpoints, keep, log, wrote })),
      }
      : {},
  });
  const summary = await loop.run();
  return { summary, weights: await evaluator.averaged(), writes };
}

/** Notes in a run's folder who its ranks are, which others may have begun. */
async function noteOthers({ directory }: RunOutput, worlds: Worlds): Promise<void> {
  await noteWorlds(directory, worlds).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new TrainingError(
      `cannot go on without the ranks that were lost: none is left on the host of ${directory}`,
    );
  });
}

/** Opens a run's log, to go on with it or to begin it. */
function openLog({ directory }: RunOutput, { carried }: Crew, checkpoints?: Checkpoints) {
  const append = (checkpoints?.from ?? null) !== null || carried !== undefined;
  const redone = carried && pieceAfter(carried.step, carried.taken === null);
  return new MetricsLog(join(directory, FILES.metrics), { append, redone });
}
