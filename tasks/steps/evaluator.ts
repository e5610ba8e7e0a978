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

/** What an evaluation came to, over all of a split; the same on every rank. */
export interface Evaluation {
  /** Mean loss. */
  readonly loss: number;
  /** Share classified right, from 0 to 1, if the model tells. */
  readonly accuracy?: number;
  /** exp(loss), of a text. */
  readonly perplexity?: number;
  /** Root of the mean squared error, of amounts, in their unit. */
  readonly rmse?: number;
  /** The share of the amounts' variance that is predicted, R²: 1 at best, below 0 if the mean is nearer. */
  readonly r2?: number;
  /** Samples. */
  readonly count: number;
}

/** What an evaluator is made of; all of it is the caller's. */
export interface EvaluatorOptions {
  readonly comm: Communicator;
  readonly device: Device;
  readonly model: TrainableModel;
  readonly task: Task;
  /** Whose weights are evaluated. */
  readonly trainStep: TrainStep;
  readonly batchSize: number;
  readonly batchNorm: Options["batchNorm"];
  /** Decides the masks with which statistics are measured. */
  readonly seed: number;
  /** Who else makes the same graphs; left out on all ranks or on none. @default {nobody} */
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
interface Measurement extends AsyncDisposable {
  readonly sessions: Sessions;
  /** What the model carries from batch to batch; null if nothing. */
  readonly carries: DeviceState | null;
}

/** A second copy of the model, for the averaged weights: it owns that, and the sessions of evaluation. */
export class Evaluator implements AsyncDisposable {
  readonly #options: EvaluatorOptions;
  /** The averaged weights last evaluated. */
  readonly #weights: DeviceState;
  /** By {@linkcode shapeOf} a split. */
  readonly #measurements: ReadonlyMap<string, Measurement>;
  /** Measures batch norm's statistics anew; null where that is not asked for. */
  readonly #statistics: Sessions | null;
  readonly #owned: AsyncDisposableStack;
  #flat: Float32Array | undefined;

  /**
   * Compiles the graphs of evaluation. Collective.
   *
   * @throws OptionError when statistics are to be measured anew and the task has nothing to do it with
   */
  static async open(options: EvaluatorOptions): Promise<Evaluator> {
    const { comm, device, model, task, trainStep, batchSize, batchNorm, sharing } = options;
    await using stack = new AsyncDisposableStack();
    const weights = stack.use(await device.allocate(trainStep.weights.specs));
    const measurements = new Map<string, Measurement>();
    const splits = [...task.splits, task.untrained, task.trainPart]
      .filter((split) => split !== undefined);
    const shapes = splits.flatMap(({ batchSize, length = 1 }) => [batchSize, length]);
    // Ranks whose shares of a split are of unequal size have graphs of their own. All are asked, even one that is
    // alone on its host.
    const shared = sharing && await agree(comm, shapes) ? sharing : undefined;
    for (const split of splits) {
      const shape = shapeOf(split);
      if (measurements.has(shape)) continue;
      measurements.set(shape, stack.use(await openMeasurement(options, split, weights, shared)));
    }
    const recalibrates = batchNorm === "recalibrate" && weights.length > trainStep.parameterCount;
    if (recalibrates && !task.calibration) {
      throw new OptionError(
        `--batch-norm recalibrate needs a task of images, which has batches to measure the statistics ` +
          `of ${model.name} with; this task has none: take --batch-norm average or local`,
      );
    }
    const build = () => statisticsGraph(model, { batchSize });
    const statistics = recalibrates ? stack.use(new Sessions({ device, build, sharing })) : null;
    await statistics?.bind([weights]);
    return new Evaluator(options, weights, measurements, statistics, stack.move());
  }

  private constructor(
    options: EvaluatorOptions,
    weights: DeviceState,
    measurements: ReadonlyMap<string, Measurement>,
    statistics: Sessions | null,
    owned: AsyncDisposableStack,
  ) {
    this.#options = options;
    this.#weights = weights;
    this.#measurements = measurements;
    this.#statistics = statistics;
    this.#owned = owned;
  }

  /**
   * Averages the ranks' weights (or their averages over the steps, once there are some) and evaluates
   * the result; the ranks share the work. Statistics that are not averaged are rank 0's. Collective.
   *
   * @param splits those of the task, or some of them
   * @returns the evaluation of each
   */
  async evaluate(splits: readonly Split[]): Promise<Evaluation[]> {
    await this.#average();
    const evaluations: Evaluation[] = [];
    for (const split of splits) evaluations.push(await this.#measure(split));
    return evaluations;
  }

  /**
   * Evaluates other weights, and goes back to those evaluated last. Collective.
   *
   * @param weights the same on every rank, weights first, then running statistics
   */
  async evaluateOther(weights: Float32Array, splits: readonly Split[]): Promise<Evaluation[]> {
    const before = await this.averaged(), evaluations: Evaluation[] = [];
    await this.#weights.write(weights);
    for (const split of splits) evaluations.push(await this.#measure(split));
    await this.#weights.write(before);
    return evaluations;
  }

  /** The averaged weights last evaluated: weights first, then running statistics. A copy. */
  averaged(): Promise<Float32Array> {
    return this.#weights.read();
  }

  /**
   * Compares the averaged weights last evaluated over all ranks. Statistics that are not averaged are not
   * compared. Collective.
   */
  async compare(): Promise<{ identical: boolean; hash: string }> {
    const { comm } = this.#options;
    const values = (await this.#weights.read()).subarray(0, this.#averagedLength);
    const bytes = new Uint8Array(
      values.buffer as ArrayBuffer,
      values.byteOffset,
      values.byteLength,
    );
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const digests = comm.rank === 0 ? new Uint8Array(digest.length * comm.size) : null;
    await comm.gather(digest, digests, 0);
    const identical = Uint8Array.of(1);
    digests?.forEach((byte, i) => {
      if (byte !== digest[i % digest.length]) identical[0] = 0;
    });
    await comm.bcast(identical, 0);
    return { identical: identical[0] === 1, hash: digest.toHex() };
  }

  /** Floats that are averaged over the ranks: without statistics that are left to each. */
  get #averagedLength(): number {
    const { batchNorm, trainStep } = this.#options;
    return batchNorm === "local" ? trainStep.parameterCount : this.#weights.length;
  }

  async #average(): Promise<void> {
    const { comm, trainStep } = this.#options, { averages, parameterCount } = trainStep;
    const flat = this.#flat = await trainStep.weights.read(this.#flat);
    // Before the first step that counts, the averages are empty.
    if (averages && averages.steps > 0) {
      await averages.state.read(flat.subarray(0, parameterCount));
    }
    await mean(comm, flat.subarray(0, this.#averagedLength));
    // Statistics that are left to each rank: the model that is evaluated, and written, has rank 0's.
    if (this.#averagedLength < flat.length) {
      await comm.bcast(flat.subarray(this.#averagedLength), 0);
    }
    await this.#weights.write(flat);
    if (this.#statistics) await this.#recalibrate(this.#statistics);
  }

  async #recalibrate(statistics: Sessions): Promise<void> {
    const { comm, model, task, trainStep, batchSize, seed } = this.#options;
    for (let i = 0; i < CALIBRATION_BATCHES; i++) {
      const masks = model.masks?.(batchSize, { seed, rank: comm.rank, step: ASIDE + i }, 1);
      await statistics.run({ ...task.calibration!(i), ...masks });
    }
    await this.#weights.edit((values) => mean(comm, values.subarray(trainStep.parameterCount)));
  }

  async #measure(split: Split): Promise<Evaluation> {
    const { comm, task } = this.#options;
    const { sessions, carries } = this.#measurements.get(shapeOf(split))!;
    await carries?.edit((values) => void values.fill(0));
    const { outputs } = sessions.sample.graph;
    const sums = new Float64Array(MEASURES.length);
    const runs = Iterator.from(split.batches()).map((feeds) => ({ feeds }));
    for await (const measured of sessions.runEach(runs)) {
      for (const [i, name] of MEASURES.entries()) sums[i] += Number(measured[name]?.data[0] ?? 0);
    }
    await comm.allreduce(sums, "sum");
    const [lossSum, correct, counted, squaredError] = sums;
    const count = outputs.has("count") ? counted : split.samples;
    const loss = lossSum / count, mse = squaredError / count, { variance = 0 } = split;
    return {
      loss,
      ...outputs.has("correct") ? { accuracy: correct / count } : {},
      // Beyond what a number can be it would be no number in a record.
      ...task.perplexity ? { perplexity: Math.min(Math.exp(loss), Number.MAX_VALUE) } : {},
      ...outputs.has("squared_error") ? { rmse: Math.sqrt(mse) * (task.unit ?? 1) } : {},
      ...outputs.has("squared_error") && variance > 0 ? { r2: 1 - mse / variance } : {},
      count,
    };
  }

  /** Disposes of the sessions and the copy. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync();
  }
}

/** @param sharing who else makes the same graph */
async function openMeasurement(
  { device, model }: EvaluatorOptions,
  { batchSize, length = 1 }: Split,
  weights: DeviceState,
  sharing: OncePerHost | undefined,
): Promise<Measurement> {
  await using stack = new AsyncDisposableStack();
  const build = (length: number) => measureGraph(model, { batchSize, length });
  const sessions = stack.use(new Sessions({ device, length, build, sharing }));
  const { carries: variables } = sessions.sample;
  const carries = variables.length > 0
    ? stack.use(await device.allocate(variables.map(({ name, dims }) => ({ name, dims }))))
    : null;
  await sessions.bind(carries ? [weights, carries] : [weights]);
  const owned = stack.move();
  return { sessions, carries, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Whether all ranks have the same numbers. Collective. */
async function agree(comm: Communicator, numbers: readonly number[]): Promise<boolean> {
  const least = Float64Array.from(numbers), most = Float64Array.from(numbers);
  await comm.allreduce(least, "min");
  await comm.allreduce(most, "max");
  return least.every((value, i) => value === most[i]);
}
