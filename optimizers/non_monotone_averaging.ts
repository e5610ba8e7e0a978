/**
 * Non-monotonically triggered averaging (NT-ASGD): when the validation loss has stopped falling, the
 * weights of all steps from there on are averaged, and the average is what is evaluated.
 *
 *     a_t = a_{t−1} + μ_t (x_t − a_{t−1}),      μ_t = 1/t,      so      a_t = (1/t) Σ_{s ≤ t} x_s
 *
 * Merity, Keskar and Socher, Regularizing and Optimizing LSTM Language Models, ICLR 2018, Algorithm 1;
 * Polyak and Juditsky 1992. PyTorch's ASGD, which the authors use, leaves x_1 out of the average.
 *
 * The mean over ranks of their averages is the average of the mean weights, whatever the interval between
 * rounds, so that mean is what to evaluate. (A rank that sits out steps has an average of those it took.)
 *
 * @module
 */

import type { Graph } from "../models/graph.ts";
import type { Slot, StepParameter } from "./update_rule.ts";

/** Evaluations without progress after which averaging starts, as in the paper. */
export const AVERAGING_TRIGGER = 5;

/**
 * Whether averaging starts: there were more than `trigger` evaluations before, and `loss` is above the
 * least of all but the last `trigger` of them.
 *
 * @param history validation losses (or perplexities) before this one, in order
 * @param loss this one
 * @throws RangeError when `trigger` is no whole number from 1
 *
 * @example
 * ```ts
 * import { nonMonotoneTrigger } from "./non_monotone_averaging.ts";
 * console.assert(!nonMonotoneTrigger([5, 4, 4.5], 4.1, 2)); // best but for the last two: 5
 * console.assert(nonMonotoneTrigger([5, 4, 4.5, 4.2], 4.1, 2)); // and here: 4
 * ```
 */
export function nonMonotoneTrigger(
  history: readonly number[],
  loss: number,
  trigger = AVERAGING_TRIGGER,
): boolean {
  if (!Number.isSafeInteger(trigger) || trigger < 1) {
    throw new RangeError(`a trigger is a number of evaluations from 1, not ${trigger}`);
  }
  return history.length > trigger && loss > Math.min(...history.slice(0, -trigger));
}

/**
 * μ of a step.
 *
 * @param step counted from 1 at the first step whose weights are averaged
 */
export function averageWeight(step: number): number {
  if (!Number.isSafeInteger(step) || step < 1) {
    throw new RangeError(`steps of the average are counted from 1, not ${step}`);
  }
  return 1 / step;
}

/** The slot that holds a parameter's average. */
function averageName(parameter: string): string {
  return `${parameter}.average`;
}

/**
 * Appends the average of the weights to a graph that ends in a step.
 *
 * Adds the scalar input `average_weight` (μ) and, for each parameter, the input `<p>.average` and the
 * output `<p>.average.next`. Averages start at zero.
 *
 * @param g a graph with an output `<p>.next` for each parameter
 * @returns the slots, one for each parameter
 * @throws RangeError if the graph lacks such an output
 */
export function appendAverage(g: Graph, parameters: readonly StepParameter[]): Slot[] {
  const weight = g.input("average_weight", "float32", []);
  return parameters.map(({ name, value: { dims } }) => {
    const next = g.outputs.get(`${name}.next`);
    if (!next) {
      throw new RangeError(`cannot average ${name}: the graph has no output "${name}.next"`);
    }
    const slot = { name: averageName(name), dims };
    const average = g.input(slot.name, "float32", dims);
    g.output(`${slot.name}.next`, g.add(average, g.mul(g.sub(next, average), weight)));
    return slot;
  });
}
