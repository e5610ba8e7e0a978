/**
 * One rank of a run: opens what the loop needs, runs it, and writes the result.
 *
 * @module
 */

import { join } from "node:path";
import type { Algorithm, Communication as Plan } from "../../optimizers/mod.ts";
import type { Communicator } from "../../runtime/communicator.ts";
import type { VariableSpec } from "../../runtime/devices/device.ts";
import { openDevice } from "../../runtime/devices/open.ts";
import { shareFiles } from "../run/inputs.ts";
import { openEvaluator } from "../steps/evaluator.ts";
import { WeightAveraging } from "../rounds/averaging.ts";
import { type Checkpoints, Loop } from "./loop.ts";
import { MetricsLog, type Summary } from "../run/metrics.ts";
import { encodeTrained, encodeTrainedState } from "../networks/trained_model.ts";
import type { Options } from "../options/table.ts";
import { algorithmOf } from "../options/resolve.ts";
import { FILES, type RunConfig, writeConfig } from "../run/folder.ts";
import { openProblem } from "../problems/open_problem.ts";
import { openOncePerHost } from "../../runtime/once_per_host.ts";
import { openTrainStep } from "../steps/train_step.ts";
import type { Task, TrainableModel } from "../task.ts";

/** Where a run writes. */
export interface RunOutput {
  /** The run's folder, which exists. */
  readonly directory: string;
  /** As written so far. */
  readonly config: RunConfig;
}

/** What a run uses instead of what its options name. */
export interface TrainParts {
  /** Where rank 0 writes; nothing is written without it, nor by other ranks. */
  readonly output?: RunOutput;
  /** Trained instead of `--model`; a model read with `foreignModel` is one. */
  readonly model?: TrainableModel;
  /** Learnt instead of `--task`. */
  readonly task?: Task;
  /** Where every rank writes its part of the checkpoints; `--checkpoint-every` needs it. */
  readonly checkpoints?: Checkpoints;
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
 * Trains, on every rank of a communicator at once.
 *
 * @param comm the ranks; stays the caller's
 * @param options the same on every rank
 * @param parts the caller's own model or data, and where to write
 * @throws DataError if the data is not as it should be
 * @throws CheckpointError if the checkpoint to go on from is damaged or another run's
 * @throws TrainingError if the loss is no longer finite, or a rank has drifted farther than is proven
 * possible
 */
export async function train(
  comm: Communicator,
  options: Options,
  parts: TrainParts = {},
): Promise<Trained> {
  await using stack = new AsyncDisposableStack();
  const { batchSize, batchNorm, seed, threads } = options;
  if (options.checkpointEvery !== null && !parts.checkpoints) {
    throw new RangeError(
      "cannot write checkpoints: checkpointEvery is set, parts.checkpoints is not",
    );
  }
  const output = comm.rank === 0 ? parts.output : undefined;
  const device = stack.use(await openDevice(options.device, { threads }));
  const sharing = stack.use(await openOncePerHost(comm));
  const directory = output?.directory ?? null;
  const files = await shareFiles(comm, options, { directory, network: !parts.model });
  const { task, network } = await openProblem(options, comm.rank, device.kind, {
    ...parts,
    files,
    sharing,
  });
  const algorithm = algorithmOf(options);
  const exchange = new WeightAveraging(comm);
  const whole = task.steps?.(options.epochs) ?? Math.ceil(options.epochs * task.stepsPerEpoch);
  const steps = Math.min(whole, options.maxSteps ?? Infinity);
  const gradients = gradientWays(algorithm, Math.min(steps, options.interval));
  const common = { device, network, batchSize, seed, sharing };
  const { length = 1 } = task.batch(1), { rank } = comm;
  const stepper = stack.use(
    await openTrainStep({ ...common, length, algorithm, gradients, exchange, rank }),
  );
  const evaluator = stack.use(await openEvaluator({ ...common, comm, task, stepper, batchNorm }));
  if (output) {
    const { stepsPerEpoch, trainSamples, splits } = task;
    const { parameterCount: parameters } = stepper, { description } = device;
    const plan = {
      device: description,
      steps,
      stepsPerEpoch,
      trainSamples,
      testSamples: splits.at(-1)!.samples,
      parameters,
      initialWeights: await hashOf(await stepper.weights.read()),
    };
    await writeConfig(output.directory, { ...output.config, plan });
  }
  const { checkpoints } = parts, append = (checkpoints?.from ?? null) !== null;
  const path = output && join(output.directory, FILES.metrics);
  const log = path ? stack.use(new MetricsLog(path, { append })) : null;
  const loop = new Loop({
    comm,
    options,
    task,
    algorithm,
    averaging: exchange,
    trainStep: stepper,
    evaluator,
    log,
    device: device.description,
    steps,
    ...(checkpoints ? { checkpoints } : {}),
  });
  const summary = await loop.run();
  const { specs } = stepper.weights, weights = await evaluator.averaged();
  // What trained a large network makes room for its files.
  await stack.disposeAsync();
  if (output) {
    const metadata = { model: network.name, task: options.task };
    const bytes = encodeTrained(network, specs, weights, metadata);
    await Deno.writeFile(join(output.directory, FILES.model), bytes);
    if (task.vocabulary !== undefined) {
      await Deno.writeTextFile(join(output.directory, FILES.vocabulary), task.vocabulary);
    }
    const state = encodeTrainedState(network, specs, weights, metadata);
    await Deno.writeFile(join(output.directory, FILES.weights), state);
  }
  return { summary, weights, specs };
}

/** The ways in which the steps of a run exchange gradients: those of its first round. */
function gradientWays(algorithm: Algorithm, steps: number): Set<Plan["gradients"]> {
  const ways = new Set<Plan["gradients"]>();
  for (let t = 1; t <= steps; t++) ways.add(algorithm.exchange(t).gradients);
  return ways;
}

/** SHA-256 in hexadecimal. */
async function hashOf(values: Float32Array): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", values as BufferSource)).toHex();
}
