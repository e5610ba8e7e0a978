/**
 * The steps of one rank, up to where it meets the others: a mini-batch each, η and γ for it, and what belongs to a
 * step of its own exchanges.
 *
 * @module
 */

import type { Algorithm, Communication, StepSize } from "../../optimizers/mod.ts";
import { stepSizeAt } from "../options/stepping/step_size.ts";
import type { Options } from "../options/table.ts";
import type { WeightAveraging } from "../rounds/averaging.ts";
import type { Round } from "../rounds/round.ts";
import type { RoundClock } from "../rounds/round_clock.ts";
import type { Batch, Task } from "../task.ts";
import { copied } from "./copied_batch.ts";
import { type CompletedStep, InFlightSteps } from "./in_flight.ts";
import type { TrainStep } from "./train_step.ts";

/**
 * Number of the first mini-batch drawn aside: they are batches of steps that no run comes to, so the
 * steps' own samples are left as they are.
 */
const ASIDE = 2 ** 24;

/** What steps are taken with; all of it is the caller's. */
export interface LocalStepsParts {
  readonly options: Options;
  readonly task: Task;
  readonly algorithm: Algorithm;
  readonly averaging: WeightAveraging;
  readonly trainStep: TrainStep;
  readonly clock: RoundClock;
  readonly round: Round;
  /** Steps each rank takes; where rounds go by the clock, in the mean. */
  readonly steps: number;
}

/** How a step begins. */
export interface StepBeginning {
  /** η and γ, for a batch that is worth as much as any. */
  readonly size: StepSize;
  /** What ranks exchange around it. */
  readonly communication: Communication;
  /** When it began, in ms of `performance.now()`. */
  readonly began: number;
  /** Seconds of it that have gone into exchanges. */
  readonly syncSeconds: number;
}

/** A step that was submitted. */
export interface BegunStep {
  /** Whether its numbers are there without waiting for the device. */
  readonly ready: boolean;
  /** Steps before it whose numbers have come back meanwhile. */
  readonly earlier: readonly CompletedStep[];
}

/** One rank's steps. */
export class LocalSteps {
  /** Samples this rank has learnt from. */
  samples = 0;
  /** The steps whose numbers have not come back. */
  readonly inFlight = new InFlightSteps();
  readonly #parts: LocalStepsParts;
  /** The mini-batch of the step after the last that was submitted, where it has been drawn ahead. */
  #next: { readonly t: number; readonly batch: Batch } | null = null;

  constructor(parts: LocalStepsParts) {
    this.#parts = parts;
  }

  /** η and γ of step `t`, for a batch that is worth as much as any. */
  sizeOf(t: number): StepSize {
    const { options, task, steps, clock } = this.#parts, done = clock.scheduled(t);
    return stepSizeAt(options, { done, steps, epoch: task.epoch(done) });
  }

  /** Whether an epoch ends with step `t`; where ranks are at different steps, as far as this one knows. */
  endsEpoch(t: number): boolean {
    const { task, clock } = this.#parts;
    const epochs = (steps: number) => Math.floor(task.epoch(clock.progress(steps)));
    return t > 0 && epochs(t) > epochs(t - 1);
  }

  /** Submits step `t`. Collective where gradients are exchanged. */
  async submit(
    t: number,
    { size, communication, began, syncSeconds }: StepBeginning,
  ): Promise<BegunStep> {
    const { options, task, algorithm, averaging, trainStep, clock, round } = this.#parts;
    const { inFlight } = this, waits = algorithm.undrawn === "waits", drawn = round.participants;
    const beforeGradients = averaging.traffic.seconds;
    if (communication.gradients === "correct") {
      const aside = ASIDE + round.count;
      await trainStep.correct(aside, task.batch(aside), waits ? drawn : undefined);
    }
    // Drawn before the numbers are asked for: the device may be at work on earlier steps meanwhile.
    const batch = this.#next?.t === t ? this.#next.batch : task.batch(t),
      batchSize = scaled(size, batch.scale ?? 1);
    // What is only collected moves nobody.
    if (communication.gradients !== "collect") {
      round.notice(batchSize.clipThreshold, batch.samples ?? options.batchSize);
    }
    // Submitted before they have come, so that the device has something to do. Gradients that take each
    // other's place are those of the round that ends the step.
    const [earlier, step] = await Promise.all([
      inFlight.due ? inFlight.settle() : [],
      trainStep.submit(t, batch, batchSize, communication.gradients, {
        averaged: options.ema !== null || options.averaging === "step" || this.endsEpoch(t),
        ...waits || communication.gradients === "replace" ? { participants: drawn } : {},
      }),
    ]);
    const samples = this.samples += batch.samples ?? options.batchSize;
    const seconds = syncSeconds + averaging.traffic.seconds - beforeGradients;
    const progress = clock.progress(t);
    inFlight.add({ t, progress, size: batchSize, samples, syncSeconds: seconds, began, step });
    // A device that works by itself does so while the next is drawn, also where a round waits for it. Copied, since
    // an evaluation or a callback may draw into the task's arrays before that step.
    this.#next = !step.ready && clock.continues(t)
      ? { t: t + 1, batch: copied(task.batch(t + 1)) }
      : null;
    return { ready: step.ready, earlier };
  }

  /** The gradient of a mini-batch drawn aside, at the weights as they are. */
  gradientAside(batch: number): Promise<Float32Array> {
    const { task, trainStep } = this.#parts;
    return trainStep.gradientAside(ASIDE + batch, task.batch(ASIDE + batch));
  }
}

/** η and γ of a batch that is worth more or less than others. */
function scaled({ learningRate, clipThreshold }: StepSize, scale: number): StepSize {
  return { learningRate: learningRate * scale, clipThreshold: clipThreshold * scale };
}
