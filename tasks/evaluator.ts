/**
 * Evaluates the average of the ranks' weights, without touching the weights that train.
 *
 * @module
 */

import { encodeModel, type Model } from "../models/mod.ts";
import type { Communicator } from "../runtime/communicator.ts";
import type { Device } from "../runtime/devices/device.ts";
import { mean } from "./exchange.ts";
import { evalGraph, type JobGraph, statisticsGraph } from "./graphs.ts";
import type { Options } from "./options.ts";
import { run, type Stepper } from "./stepper.ts";
import type { Task } from "./task.ts";

/** What an evaluation found, over the whole test set; the same on every rank. */
export interface Evaluation {
  /** Mean loss. */
  readonly loss: number;
  /** Share classified right, from 0 to 1. */
  readonly accuracy: number;
  /** Test samples. */
  readonly count: number;
}

/** A second copy of the network, for the averaged weights. */
export interface Evaluator extends AsyncDisposable {
  /** Averages the ranks' weights and evaluates the average; the ranks share the work. Collective. */
  evaluate(): Promise<Evaluation>;
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
  readonly model: Model;
  readonly task: Task;
  readonly stepper: Stepper;
  readonly batchSize: number;
  readonly batchNorm: Options["batchNorm"];
}

/**
 * Batches from which each rank measures the statistics anew. With batch norm's momentum of 0.1 the
 * averaged statistics they start from keep a weight of 0.9^50, half a percent.
 */
const CALIBRATION_BATCHES = 50;

/** Compiles the graphs of evaluation. */
export async function openEvaluator(options: EvaluatorOptions): Promise<Evaluator> {
  const { comm, device, model, task, stepper, batchSize, batchNorm } = options;
  await using stack = new AsyncDisposableStack();
  const { specs } = stepper.weights;
  const weights = stack.use(await device.allocate(specs));
  const compile = async ({ graph, updates }: JobGraph) => {
    const bytes = encodeModel(graph, {
      target: device.kind,
      channelBlock: device.channelBlock,
    });
    return stack.use(await device.compile(bytes, { state: [weights], updates }));
  };
  const evaluation = await compile(evalGraph(model, task.evalBatchSize));
  const statistics = batchNorm === "recalibrate"
    ? await compile(statisticsGraph(model, batchSize))
    : null;
  const shared = batchNorm === "local" ? stepper.parameterCount : weights.length;
  let flat: Float32Array | undefined;

  async function average(): Promise<void> {
    flat = await stepper.weights.read(flat);
    await mean(comm, flat.subarray(0, shared));
    await weights.write(flat);
    if (!statistics) return;
    for (let i = 0; i < CALIBRATION_BATCHES; i++) await run(statistics, task.calibration(i));
    await weights.edit((values) => mean(comm, values.subarray(stepper.parameterCount)));
  }

  async function evaluate(): Promise<Evaluation> {
    await average();
    const sums = new Float64Array(2);
    for (const feeds of task.evaluation()) {
      const { loss_sum, correct } = await run(evaluation, feeds);
      sums[0] += Number(loss_sum.data[0]);
      sums[1] += Number(correct.data[0]);
    }
    await comm.allreduce(sums, "sum");
    const count = task.testSamples;
    return { loss: sums[0] / count, accuracy: sums[1] / count, count };
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
