/**
 * Decides when averaging over the steps begins (NT-ASGD): when the watched loss has stopped falling.
 *
 * @module
 */

import { nonMonotoneTrigger } from "../../optimizers/non_monotone_averaging.ts";
import { loadNumber, type StateDict, type Stateful } from "../run/checkpoint.ts";

/** The losses of the evaluations so far. All ranks hold the same numbers. */
export class AveragingTrigger implements Stateful {
  readonly #trigger: number | null;
  #history: number[] = [];

  /** @param trigger evaluations without progress after which averaging begins; null: it never does */
  constructor(trigger: number | null) {
    this.#trigger = trigger;
  }

  /** Notes the loss of an evaluation while training. True if averaging is to begin. */
  fires(loss: number): boolean {
    if (this.#trigger === null) return false;
    const fires = nonMonotoneTrigger(this.#history, loss, this.#trigger);
    this.#history.push(loss);
    return fires;
  }

  /** The losses. */
  save(): Promise<StateDict> {
    const numbers: Record<string, number> = { "averaging.evaluations": this.#history.length };
    this.#history.forEach((loss, i) => numbers[`averaging.${i}`] = loss);
    return Promise.resolve({ tensors: [], numbers });
  }

  /** Goes on from there. */
  restore(state: StateDict): Promise<void> {
    const length = loadNumber(state, "averaging.evaluations");
    this.#history = Array.from({ length }, (_, i) => loadNumber(state, `averaging.${i}`));
    return Promise.resolve();
  }
}
