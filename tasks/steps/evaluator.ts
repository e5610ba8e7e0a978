/**
 * Evaluates the average of the ranks' weights, without touching the weights that train.
 *
 * @module
 */

import type { Communicator } from "../../runtime/communicator.ts";
import type { Device, DeviceState } from "../../runtime/devices/device.ts";
import { mean } from "../rounds/averaging.ts";
import { measureGraph, MEASURES, statisticsGraph } from "../networks/graphs.ts";
import { OptionError } from "../options/kinds.ts";
import type { Options } from "../options/table.ts";
import { Sessions } from "./sessions.ts";
import type { OncePerHost } from "../../runtime/once_per_host.ts";
import type { TrainStep } from "./train_step.ts";
import type { Split, Task, TrainableModel } from "../task.ts";

/** What an evaluation found, over all of a split; the same on every rank. */
export interface Evaluation {
  /** Mean loss. */
  readonly loss: number;
  /** Share classified right, from 0 to 1, if the network tells. */
  readonly accuracy?: number;
  /** exp(loss), of a text. */
  readonly perplexity?: number;
  /** Samples. */
  readonly count: number;
}

/** A second copy of the network, for the averaged weights. */
export interface Evaluator extends AsyncDisposable {
  /**
   * Averages the ranks' weights (or their averages over the steps, once there are some) and evaluates
   * the result; the ranks share the work. Collective.
   *
   * @param splits those of the task, or some of them
   * @returns what was found in each
   */
  evaluate(splits: readonly Split[]): Promise<Evaluation[]>;
  /** The averaged weights last evaluated: weights first, then running statistics. A copy. */
  averaged(): Promise<Float32Array>;
  /**
   * Compares the averaged weights last evaluated over all ranks. Statistics that are left to each
   * rank are not compared. Collective.
   */
  compare(): Promise<{ identical: boolean; hash: string }>;
}

/** What an evaluator is made of; all of it is the caller's. */
export interface EvaluatorOptions {
  readonly comm: Communicator;
  readonly device: Device;
  readonly network: TrainableModel;
  readonly task: Task;
  readonly stepper: TrainStep;
  readonly batchSize: number;
  readonly batchNorm: Options["batchNorm"];
  /** Decides the masks with which statistics are measured. */
  readonly seed: number;
  /** Who else makes the same graphs. @default {ALONE} */
  readonly sharing?: OncePerHost | undefined;
}

/**
 * Batches from which each rank measures the statistics anew. With batch norm's momentum of 0.1 the
 * averaged statistics they start from keep a weight of 0.9^50, half a percent.
 */
const CALIBRATION_BATCHES = 50;

/** Batches of the calibration are drawn aside: masks of steps that no run comes to. */
const ASIDE = 2 ** 25;

/** Splits of one shape share what evaluates them. */
const shapeOf = ({ batchSize, length = 1 }: Split) => `${batchSize}x${length}`;

/** What evaluates splits of one shape. */
interface Measure extends AsyncDisposable {
  readonly sessions: Sessions;
  /** What the network carries from batch to batch. */
  readonly carried: DeviceState | null;
}

/**
 * Compiles the graphs of evaluation. Collective.
 *
 * @throws OptionError when statistics are to be measured anew and the task has nothing to do it with
 */
export async function openEvaluator(options: EvaluatorOptions): Promise<Evaluator> {
  const { comm, device, network, task, stepper, batchSize, batchNorm, seed, sharing } = options;
  await using stack = new AsyncDisposableStack();
  const { specs } = stepper.weights;
  const weights = stack.use(await device.allocate(specs));
  const measures = new Map<string, Measure>();
  const splits = [...task.splits, ...task.untrained ? [task.untrained] : []];
  // Ranks whose shares of a split are of unequal size have graphs of their own.
  const alike = await agree(
    comm,
    splits.flatMap(({ batchSize, length = 1 }) => [batchSize, length]),
  );
  for (const split of splits) {
    const shape = shapeOf(split);
    if (!measures.has(shape)) measures.set(shape, stack.use(await openMeasure(split)));
  }
  const recalibrates = batchNorm === "recalibrate" && weights.length > stepper.parameterCount;
  if (recalibrates && !task.calibration) {
    throw new OptionError(
      `--batch-norm recalibrate needs a task of images, which has batches to measure the statistics ` +
        `of ${network.name} with; this task has none: take --batch-norm average or local`,
    );
  }
  const statistics = recalibrates
    ? stack.use(
      new Sessions({ device, build: () => statisticsGraph(network, { batchSize }), sharing }),
    )
    : null;
  await statistics?.bind([weights]);
  const shared = batchNorm === "local" ? stepper.parameterCount : weights.length;
  let flat: Float32Array | undefined;

  async function openMeasure({ batchSize, length = 1 }: Split): Promise<Measure> {
    await using own = new AsyncDisposableStack();
    const build = (length: number) => measureGraph(network, { batchSize, length });
    const shared = alike ? { sharing } : {};
    const sessions = own.use(new Sessions({ device, length, build, ...shared }));
    const { carries } = sessions.sample;
    const carried = carries.length
      ? own.use(await device.allocate(carries.map(({ name, dims }) => ({ name, dims }))))
      : null;
    await sessions.bind(carried ? [weights, carried] : [weights]);
    const kept = own.move();
    return { sessions, carried, [Symbol.asyncDispose]: () => kept.disposeAsync() };
  }

  async function average(): Promise<void> {
    flat = await stepper.weights.read(flat);
    // Before the first step that counts, the averages are empty.
    const parameters = flat.subarray(0, stepper.parameterCount);
    if (stepper.averagedSteps > 0) await stepper.averages!.read(parameters);
    await mean(comm, flat.subarray(0, shared));
    await weights.write(flat);
    if (!statistics) return;
    for (let i = 0; i < CALIBRATION_BATCHES; i++) {
      const masks = network.masks?.(batchSize, { seed, rank: comm.rank, step: ASIDE + i }, 1);
      await statistics.run({ ...task.calibration!(i), ...masks });
    }
    await weights.edit((values) => mean(comm, values.subarray(stepper.parameterCount)));
  }

  async function measure(split: Split): Promise<Evaluation> {
    const { sessions, carried } = measures.get(shapeOf(split))!;
    await carried?.edit((values) => void values.fill(0));
    const { outputs } = sessions.sample.graph;
    const sums = new Float64Array(3);
    for (const feeds of split.batches()) {
      const found = await sessions.run(feeds);
      for (const [i, name] of MEASURES.entries()) sums[i] += Number(found[name]?.data[0] ?? 0);
    }
    await comm.allreduce(sums, "sum");
    const [lossSum, correct] = sums, count = outputs.has("count") ? sums[2] : split.samples;
    const loss = lossSum / count;
    return {
      loss,
      ...outputs.has("correct") ? { accuracy: correct / count } : {},
      // Beyond what a number can be it would be no number in a record.
      ...task.perplexity ? { perplexity: Math.min(Math.exp(loss), Number.MAX_VALUE) } : {},
      count,
    };
  }

  async function evaluate(splits: readonly Split[]): Promise<Evaluation[]> {
    await average();
    const found: Evaluation[] = [];
    for (const split of splits) found.push(await measure(split));
    return found;
  }

  async function compare(): Promise<{ identical: boolean; hash: string }> {
    const values = (await weights.read()).subarray(0, shared);
    const bytes = new Uint8Array(
      values.buffer as ArrayBuffer,
      values.byteOffset,
      values.byteLength,
    );
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const all = comm.rank === 0 ? new Uint8Array(digest.length * comm.size) : null;
    await comm.gather(digest, all, 0);
    const verdict = Uint8Array.of(1);
    if (all) {
      for (let i = 0; i < all.length; i++) if (all[i] !== digest[i % digest.length]) verdict[0] = 0;
    }
    await comm.bcast(verdict, 0);
    return { identical: verdict[0] === 1, hash: digest.toHex() };
  }

  const owned = stack.move();
  return {
    evaluate,
    averaged: () => weights.read(),
    compare,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Whether all ranks have the same numbers. Collective. */
async function agree(comm: Communicator, numbers: readonly number[]): Promise<boolean> {
  const least = Float64Array.from(numbers), most = Float64Array.from(numbers);
  await comm.allreduce(least, "min");
  await comm.allreduce(most, "max");
  return least.every((value, i) => value === most[i]);
}
