/**
 * The steps of a plan's algorithms, and a round's own work, as things that are timed.
 *
 * @module
 */

import { gradientSyncs } from "../../../optimizers/rounds/gradient_syncs.ts";
import type { Device } from "../../../runtime/devices/device.ts";
import type { Options } from "../../options/values.ts";
import { distance, type WeightAveraging } from "../../rounds/averaging.ts";
import { TrainStep } from "../../steps/train_step.ts";
import type { Task, TrainableModel } from "../../task.ts";
import { MOST_AHEAD } from "../../steps/sessions.ts";
import type { GradientSync, MeasureOptions } from "../measured.ts";
import { plannedAlgorithm } from "../planned.ts";
import type { Timed } from "./in_turn.ts";

/** Most steps that follow each other without a pause. */
const MOST_STEPS = 32;
/** After this time in ms no more follow. */
const TURN_MS = 500;
/** Steps so short that nothing comes of them, however often the same are taken. */
const SIZE = { learningRate: 1e-9, clipThreshold: 1e-9 };

/** What steps are taken of, and on what. */
export interface StepParts {
  /** The caller's. */
  readonly device: Device;
  readonly model: TrainableModel;
  readonly task: Task;
  /** This rank, which decides the masks. */
  readonly rank: number;
  /** Carries the gradients: among ranks that exchange nothing, of this one alone. */
  readonly averaging: WeightAveraging;
}

/**
 * Steps of some algorithms, one for each way to exchange gradients: as they are in a run, but that the rank is alone
 * with its gradients. It owns what takes them.
 */
export class TimedSteps implements AsyncDisposable {
  /** The steps, in the order of the algorithms. */
  readonly timed: readonly Timed[];
  /** What takes the steps of the first algorithm. */
  readonly trainStep: TrainStep;
  readonly #owned: AsyncDisposableStack;

  private constructor(
    timed: readonly Timed[],
    trainStep: TrainStep,
    owned: AsyncDisposableStack,
  ) {
    this.timed = timed;
    this.trainStep = trainStep;
    this.#owned = owned;
  }

  /**
   * Compiles the graphs of the steps.
   *
   * @param asked names one algorithm at least; no way to exchange gradients is opened twice
   */
  static async open(
    { options, algorithms, intervals }: MeasureOptions,
    { device, model, task, rank, averaging }: StepParts,
  ): Promise<TimedSteps> {
    await using stack = new AsyncDisposableStack();
    // When averages are taken over is nothing to a step.
    const waited = { ...options, overlap: false, delay: null, mix: null };
    const { batchSize, accumulate, seed } = options, { length = 1 } = task.batch(1);
    const common = { device, model, batchSize, length, accumulate, seed, rank, averaging };
    const timed: Timed[] = [], opened: TrainStep[] = [];
    for (const name of algorithms) {
      const gradients = gradientWays(waited, name, intervals);
      const untimed = [...gradients].filter((way) => timed.every((other) => other.way !== way));
      if (untimed.length === 0) continue;
      const algorithm = plannedAlgorithm(waited, name);
      const trainStep = stack.use(await TrainStep.open({ ...common, algorithm, gradients }));
      // As many follow each other as in a round.
      const following = Math.min(algorithm.interval ?? 1, MOST_STEPS);
      for (const way of untimed) {
        timed.push(timedStep(trainStep, task, way, way === "none" ? following : 1));
      }
      opened.push(trainStep);
    }
    return new TimedSteps(timed, opened[0], stack.move());
  }

  /** Frees the graphs, and the weights. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync();
  }
}

/** The ways in which the steps of an algorithm exchange gradients, in rounds of any of these intervals. */
function gradientWays(
  options: Options,
  name: Options["algorithm"],
  intervals: MeasureOptions["intervals"],
): Set<GradientSync> {
  const ways = new Set<GradientSync>();
  // Rounds of a schedule are of one step, or have a first, a last and others between them.
  const lengths = intervals.flatMap((each) => typeof each === "number" ? each : [1, 3]);
  for (const interval of new Set(lengths)) {
    const algorithm = plannedAlgorithm(options, name, { interval });
    for (const way of gradientSyncs(algorithm, interval)) ways.add(way);
  }
  return ways;
}

/** @param most steps that follow each other, if they do not take too long */
function timedStep(trainStep: TrainStep, task: Task, way: GradientSync, most: number): Timed {
  return {
    way,
    most,
    async act(t) {
      if (way === "correct") await trainStep.correct(t, task.batch(t));
      const began = performance.now();
      let count = 0;
      while (count < most && (count === 0 || performance.now() - began < TURN_MS)) {
        const steps = [];
        for (const end = Math.min(most, count + MOST_AHEAD); count < end; count++) {
          steps.push(await trainStep.submit(t + count, task.batch(t + count), SIZE, way));
        }
        for (const step of steps) await step.result();
      }
      return count;
    },
  };
}

/**
 * A round's own work: the weights come from the device, are divided, compared and go back as they were.
 *
 * @param shared floats that are averaged
 * @param ranks of the run
 */
export function timedRound(
  { weights, parameterCount }: TrainStep,
  shared: number,
  ranks: number,
): Timed {
  const before = new Float32Array(parameterCount);
  return {
    way: "round",
    most: 1,
    async act() {
      await weights.edit((flat) => {
        before.set(flat.subarray(0, parameterCount));
        for (let i = 0; i < shared; i++) flat[i] /= ranks;
        distance(before, flat.subarray(0, parameterCount));
        flat.set(before);
      });
      return 1;
    },
  };
}
