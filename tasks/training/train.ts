/**
 * One rank of a run: opens what the loop needs, runs it, and writes the result.
 *
 * @module
 */

import { gradientSyncs } from "../../optimizers/rounds/gradient_syncs.ts";
import { peakAhead } from "../../optimizers/rounds/interval.ts";
import type { Algorithm, UpdateRule } from "../../optimizers/mod.ts";
import { processEnvironment } from "../../runtime/bootstrap/environment.ts";
import type { Communicator } from "../../runtime/communicator.ts";
import type { Device, VariableSpec } from "../../runtime/devices/device.ts";
import { openDevice } from "../../runtime/devices/open.ts";
import { ownInputs, shareInputs } from "../run/inputs.ts";
import { WeightAveraging } from "../rounds/averaging.ts";
import type { Callback } from "./callbacks/callback.ts";
import { checkCallbacks } from "./callbacks/callbacks.ts";
import { hostsOf } from "./hosts_of.ts";
import type { Checkpoints } from "./loop_parts.ts";
import { checkCarries, checkOwnAlgorithm } from "./own_algorithm.ts";
import type { Summary } from "../run/metrics.ts";
import { OptionError } from "../options/kinds.ts";
import { parseElastic } from "../options/recovery/elastic.ts";
import type { Options } from "../options/table.ts";
import { algorithmOf } from "../options/resolve.ts";
import { stepSizeAt } from "../options/stepping/step_size.ts";
import { openProblem, type TaskDealer } from "../problems/open_problem.ts";
import { openOncePerHost, PER_RANK } from "../../runtime/once_per_host.ts";
import { TrainStep } from "../steps/train_step.ts";
import { TracedDevice } from "../trace/kernels.ts";
import { SpanLog } from "./records/span_log.ts";
import { membersOf, ranksAt, type Worlds } from "../data/sampling/worlds.ts";
import { amongMembers } from "./membership/among_members.ts";
import type { Crew, Members } from "./membership/members.ts";
import { StoppedError } from "./requests.ts";
import { type RunOutput, writeDescriptions, writeFacts, writeTrained } from "./run_files.ts";
import { PunctualMembers } from "./membership/punctual_members.ts";
import { type Entrance, LiveMembers } from "./membership/live_members.ts";
import { ReplayedMembers } from "./membership/replayed_members.ts";
import { trainCrew } from "./membership/train_crew.ts";
import type { Task, TrainableModel } from "../task.ts";
import { TrainingError } from "./training_error.ts";

export type { RunOutput } from "./run_files.ts";

/** What a run uses instead of what its options name. */
export interface TrainParts {
  /** Where rank 0 writes; nothing is written without it, nor by other ranks. */
  readonly output?: RunOutput;
  /** Trained instead of `--model`; a model read with `foreignModel` is one. */
  readonly model?: TrainableModel;
  /** Learnt instead of `--task`; a function makes it anew whenever the ranks have become others. */
  readonly task?: Task | TaskDealer;
  /** The update rule of a step instead of `--optimizer`, the same on every rank. */
  readonly optimizer?: UpdateRule;
  /**
   * What the ranks exchange and when, with the step that they take, instead of `--algorithm` and all options that
   * make one, such as `--interval` and `--clip-by`. The same on every rank; its update rule is its own.
   */
  readonly algorithm?: Algorithm;
  /** Called along the run, in their order; each rank's own. They change no number of it. @default {none} */
  readonly callbacks?: readonly Callback[];
  /** Where checkpoints are; `--checkpoint-every` needs it. */
  readonly checkpoints?: Checkpoints;
  /** The worlds that the run has had, where its ranks were more or fewer before. @default {these ranks} */
  readonly worlds?: Worlds | undefined;
  /** The worlds of a run that is to be run again as it was; `comm` then has a rank for each number in it. */
  readonly replay?: Worlds | undefined;
  /** Where this host's ranks make files that they alone read, such as a text's tokens. @default {a temporary folder} */
  readonly folder?: string | undefined;
}

/** What training came to. */
export interface Trained {
  /** The same on every rank. */
  readonly summary: Summary;
  /** The averaged weights, then the running statistics: what {@linkcode Trained.specs} names. */
  readonly weights: Float32Array;
  /** Names and shapes, in the order of {@linkcode Trained.weights}. */
  readonly specs: readonly VariableSpec[];
}

/**
 * Trains, on every rank of a communicator at once; or comes to ranks that train, and goes on with them.
 *
 * @param from the ranks, which stay the caller's; or how this process comes to those of a running job, which with
 * `onFailure: "shrink"` let it in after a round, with the average. Nothing is asked of the others before that
 * @param options the same on every rank
 * @param parts the caller's own model, data, optimizer, algorithm and callbacks, and where to write
 * @throws DataError if the data is not as it should be
 * @throws OptionError if the data is too little for as many ranks as may come
 * @throws CheckpointError if the checkpoint to go on from is damaged or another run's
 * @throws RangeError if the caller's own algorithm does not fit the options, or a process comes to ranks that let
 * nobody in
 * @throws LeftError if the run has come to its end without this rank
 * @throws CallbackError if a callback throws
 * @throws TrainingError if the loss is no longer finite, a rank has drifted farther than is proven possible, the
 * checkpoint to go on from is of a later step than the run's last, or the ranks that this process came to are lost
 * before they have let it in
 */
export async function train(
  from: Communicator | Entrance,
  options: Options,
  parts: TrainParts = {},
): Promise<Trained> {
  await using stack = new AsyncDisposableStack();
  const comm = "enter" in from ? null : from;
  const { batchSize, seed } = options, { callbacks = [] } = parts;
  checkCallbacks(callbacks);
  if (options.checkpointEvery !== null && !parts.checkpoints) {
    throw new RangeError(
      "cannot write checkpoints: checkpointEvery is set, parts.checkpoints is not",
    );
  }
  if (!comm && options.onFailure !== "shrink") {
    throw new RangeError(
      `cannot come to ranks that train: onFailure "${options.onFailure}" lets nobody in, "shrink" does`,
    );
  }
  const output = comm?.rank === 0 ? parts.output : undefined, size = comm?.size ?? options.ranks;
  const { from: step = null } = parts.checkpoints ?? {}, { replay } = parts;
  const worlds = replay?.slice(0, 1) ??
    (parts.worlds?.length ? parts.worlds : [{ step: 0, ranks: size }]);
  const ranks = step === null ? size : ranksAt(worlds, step);
  const place = Math.min(comm?.rank ?? 0, worlds.at(-1)!.ranks - 1);
  const checkpoints = parts.checkpoints && { ...parts.checkpoints, ranks };
  const traced = options.trace ? output : undefined;
  const spans = traced && stack.use(new SpanLog(traced.directory, step !== null));
  const device = stack.use(await openTraced(options, spans));
  const gpu = processEnvironment("CELGC_GPU");
  if (gpu !== undefined) console.error(`takes GPU ${gpu}; ${device.description}`);
  const sharing = comm ? stack.use(await openOncePerHost(comm)) : PER_RANK;
  const inputs = { directory: output?.directory ?? null, model: !parts.model };
  const files = comm
    ? await shareInputs(comm, options, inputs)
    : await ownInputs(options, { ...inputs, directory: parts.output?.directory ?? null });
  const { task, taskFor, model, opened } = await openProblem(options, place, device.kind, {
    ...parts,
    worlds,
    files,
    sharing,
  });
  const say = (line: string) => console.error(line);
  const limits = options.elastic ? parseElastic(options.elastic) : { least: 1, most: size };
  const isLive = options.onFailure === "shrink" && !replay;
  const isPunctual = !isLive && !replay && options.maxWait !== null && size > 1;
  const changes = isLive || isPunctual || replay !== undefined;
  if (changes && !taskFor) {
    throw new RangeError(
      "cannot go on among other ranks: parts.task has to be a function, which deals it out to them",
    );
  }
  if (isLive && limits.most > size) checkRoom(taskFor!, limits.most);
  if (opened) stack.use(opened);
  if (options.patience !== null && task.splits.length < 2) {
    throw new RangeError(
      "cannot stop early: patience needs a validation set, and the task has one split alone",
    );
  }
  const stepsOf = (task: Task) => {
    const steps = task.steps?.(options.epochs) ?? Math.ceil(options.epochs * task.stepsPerEpoch);
    return Math.min(steps, options.maxSteps ?? Infinity);
  };
  const steps = stepsOf(task);
  if (step !== null && step > steps) {
    throw new TrainingError(
      `cannot go on from step ${step}: with these options the run ends after step ${steps}; give a larger ` +
        "--max-steps or --epochs",
    );
  }
  const learningRate = (t: number) =>
    stepSizeAt(options, { done: t - 1, steps, epoch: task.epoch(t - 1) }).learningRate;
  const algorithm = parts.algorithm ?? algorithmOf(options, {
    rule: parts.optimizer,
    learningRate: peakAhead(learningRate, steps),
  });
  const gradients = gradientSyncs(algorithm, steps);
  if (parts.algorithm) {
    const optimizer = parts.optimizer !== undefined, ranks = size;
    checkOwnAlgorithm(algorithm, { options, ranks, syncs: gradients, optimizer });
  }
  const compress = algorithm.sends?.compress ?? options.compress;
  const averaging = comm && new WeightAveraging(comm, compress);
  const least = Float64Array.of(task.rankSamples ?? Infinity, callbacks.length > 0 ? 0 : 1);
  await comm?.allreduce(least, "min");
  const anyCallbacks = least[1] === 0;
  if (comm?.rank === 0) noteRepeats(options, least[0]);
  const trainStep = stack.use(
    await TrainStep.open({
      device,
      model,
      batchSize,
      length: task.batch(1).length ?? 1,
      algorithm,
      accumulate: options.accumulate,
      ema: options.ema,
      gradients,
      averaging,
      skips: options.onNan === "skip",
      seed,
      rank: place,
      sitsOut: algorithm.undrawn === "waits" &&
        (options.participants ?? size) < Math.max(size, limits.most),
      sharing: changes ? PER_RANK : sharing,
    }),
  );
  if (parts.algorithm) checkCarries(algorithm, gradients, trainStep.carries);
  if (comm && new Set(comm.network.hosts).size > 1) {
    // Machines need not agree on the last bit of what is computed from the seed.
    await trainStep.weights.edit((flat) => comm.bcast(flat, 0));
  }
  const launcher = processEnvironment("CELGC_LAUNCHER") ?? null;
  const hostsAmong = (comm: Communicator) => hostsOf(comm, device.description, launcher);
  const hosts = comm ? await hostsAmong(comm) : [];
  if (output && new Set(hosts.flatMap(({ devices }) => devices)).size > 1) {
    const each = hosts.map(({ name, devices }) => `${name}: ${devices.join(", ")}`).join("; ");
    console.error(`note: the bits of the result depend on which ranks compute on what: ${each}`);
  }
  if (output) {
    await writeDescriptions(output.directory, task);
    await writeFacts(output, options, parts, {
      device: device.description,
      steps,
      stepsPerEpoch: task.stepsPerEpoch,
      trainSamples: task.trainSamples,
      testSamples: task.splits.at(-1)!.samples,
      parameters: trainStep.parameterCount,
      initialWeights: await hashOf(await trainStep.weights.read()),
      ...hosts.length > 1 ? { hosts } : {},
    });
  }
  const members: Members | null = replay
    ? new ReplayedMembers(comm!, replay)
    : isLive
    ? new LiveMembers(
      "enter" in from
        ? from
        : { comm: from, worlds, firsts: membersOf(worlds.at(-1)!), anyCallbacks },
      { least: limits.least, hostsOf: hostsAmong, say },
    )
    : isPunctual
    ? new PunctualMembers(comm!, await comm!.dup(), worlds, options.maxWait!, say)
    : null;
  const among = (crew: Crew) =>
    trainCrew(crew, {
      ...{ options, device, model, algorithm, trainStep, taskFor, stepsOf, compress },
      ...{ callbacks, anyCallbacks, hosts, checkpoints, spans, output: parts.output },
      first: replay || !averaging ? null : { task, averaging },
      sharing: members ? undefined : sharing,
      members: members ?? undefined,
    });
  const { summary, weights, writes } = members
    ? await amongMembers(members, among).catch(async (error) => {
      await members.end?.(error instanceof StoppedError);
      throw error;
    })
    : await among({ comm: comm!, worlds });
  const { specs } = trainStep.weights;
  // What trained a large model makes room for its files.
  await stack.disposeAsync();
  if (writes) await writeTrained(writes.directory, options, { model, weights, specs });
  await members?.end?.(true);
  return { summary, weights, specs };
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

/** The device, which notes its kernels where that is asked of this rank. */
async function openTraced(
  { device: kind, threads, traceKernels: runs }: Options,
  spans: SpanLog | undefined,
): Promise<Device> {
  const device = await openDevice(kind, { threads });
  if (spans === undefined || runs === null) return device;
  if (device.kind !== "webgpu") return new TracedDevice(device, runs, spans);
  console.error(
    "note: --trace-kernels is for the CPU and WebAssembly: a GPU's engine records its commands once, and does not say " +
      "when it replays which",
  );
  return device;
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

/** SHA-256 in hexadecimal. */
async function hashOf(values: Float32Array): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", values as BufferSource)).toHex();
}
