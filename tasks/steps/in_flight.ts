/**
 * The steps that a device has been given and whose numbers have not come back. A GPU works through its
 * queue by itself: it is given the next steps before the loss of the last is known, and is asked for
 * several losses at once, since to ask is to wait until it has nothing left to do. On the CPU a step is
 * over when it was submitted, and nothing is ever in flight.
 *
 * @module
 */

import type { StepSize } from "../../optimizers/mod.ts";
import { MOST_AHEAD } from "./sessions.ts";
import type { StepResult, SubmittedStep } from "./train_step.ts";

/** Milliseconds after which the numbers of a step are asked for at the latest, by the next step. */
const MOST_DELAY = 200;

/** A step that was submitted. */
export interface PendingStep {
  /** Which step, counted from 1. */
  readonly t: number;
  /** Steps that the ranks have taken in the mean with it, if the others have kept up. */
  readonly progress: number;
  /** η and γ of its batch. */
  readonly size: StepSize;
  /** Samples the rank has learnt from when it is done. */
  readonly samples: number;
  /** Seconds of it that went into exchanges. */
  readonly syncSeconds: number;
  /** When it began, in ms of `performance.now()`. */
  readonly began: number;
  /** Where its numbers will be. */
  readonly step: SubmittedStep;
}

/** A step whose numbers are there. */
export interface CompletedStep extends PendingStep {
  /** Its numbers. */
  readonly result: StepResult;
  /**
   * Milliseconds it took: from the end of the step before it, or from its own beginning if that is later,
   * to its own end. Steps whose numbers came back together share the time evenly.
   */
  readonly milliseconds: number;
  /** When it ended, in ms of `performance.now()`. */
  readonly ended: number;
}

/** The steps in flight on one rank, in order. */
export class InFlightSteps {
  #steps: PendingStep[] = [];
  #settled = -Infinity;

  /** Adds the step that was submitted last. */
  add(step: PendingStep): void {
    this.#steps.push(step);
  }

  /** Whether the numbers should be asked for before another step is submitted. */
  get due(): boolean {
    const [oldest] = this.#steps;
    return oldest !== undefined &&
      (this.#steps.length >= MOST_AHEAD || performance.now() - oldest.began > MOST_DELAY);
  }

  /** Waits for all steps in flight and takes them out, in order. */
  async settle(): Promise<CompletedStep[]> {
    const steps = this.#steps;
    if (steps.length === 0) return [];
    this.#steps = [];
    const results = await Promise.all(steps.map(({ step }) => step.result()));
    const from = Math.max(this.#settled, steps[0].began);
    this.#settled = performance.now();
    const milliseconds = (this.#settled - from) / steps.length;
    return steps.map((step, i) => ({
      ...step,
      result: results[i],
      milliseconds,
      ended: from + milliseconds * (i + 1),
    }));
  }
}
