/**
 * The weights that did best on the validation set, and when to stop because nothing becomes better.
 *
 * Early stopping: Prechelt, Early Stopping — But When?, 1998, the criterion UP in evaluations.
 *
 * @module
 */

import { loadNumber, loadTensor, type StateDict, type Stateful } from "../run/checkpoint.ts";
import type { BestScores, Position } from "../run/metrics.ts";
import type { Evaluation, Evaluator } from "../steps/evaluator.ts";
import type { Split } from "../task.ts";
import { scoresUnder } from "./scores.ts";

/** What the best weights are kept by. */
export interface BestWeightsParts {
  /** Holds the weights that were evaluated last; the caller's. */
  readonly evaluator: Evaluator;
  /** Floats of these. */
  readonly length: number;
  /** Evaluations without progress after which a run stops. */
  readonly patience: number;
  /** Writes them down. @default {they are not} */
  readonly keep?: ((weights: Float32Array) => Promise<void>) | undefined;
}

/** The best weights so far. All ranks hold the same. */
export class BestWeights implements Stateful {
  readonly #parts: BestWeightsParts;
  readonly #weights: Float32Array;
  #best: { readonly at: Pick<Position, "step" | "epoch">; readonly evaluation: Evaluation } | null =
    null;
  /** Evaluations since then. */
  #waited = 0;

  constructor(parts: BestWeightsParts) {
    this.#parts = parts;
    this.#weights = new Float32Array(parts.length);
  }

  /** Whether there were as many evaluations without progress as the patience lasts. */
  get isExhausted(): boolean {
    return this.#waited >= this.#parts.patience;
  }

  /** Notes what the weights that were evaluated last have come to on the validation set. */
  async note(evaluation: Evaluation, { step, epoch }: Pick<Position, "step" | "epoch">) {
    if (this.#best && !(evaluation.loss < this.#best.evaluation.loss)) {
      this.#waited++;
      return;
    }
    this.#waited = 0;
    this.#best = { at: { step, epoch }, evaluation };
    this.#weights.set(await this.#parts.evaluator.averaged());
    await this.#parts.keep?.(this.#weights);
  }

  /** Evaluates the best weights on the test set; null where none were noted. Collective. */
  async scores(test: Split): Promise<BestScores | null> {
    if (!this.#best) return null;
    const { at, evaluation } = this.#best;
    const [tested] = await this.#parts.evaluator.evaluateOther(this.#weights, [test]);
    const scores = { ...scoresUnder("validation", evaluation), ...scoresUnder("test", tested) };
    return { ...at, ...scores } as BestScores;
  }

  /** The best weights, and what is known of them. */
  save(): Promise<StateDict> {
    const { at, evaluation } = this.#best ?? {};
    const known = Object.entries({ ...at, ...evaluation })
      .map(([name, value]) => [`best.${name}`, value]);
    return Promise.resolve({
      tensors: [{ name: "best.weights", dims: [this.#weights.length], data: this.#weights }],
      numbers: { ...Object.fromEntries(known), "best.waited": this.#waited },
    });
  }

  /** Goes on from there. */
  async restore(state: StateDict): Promise<void> {
    this.#waited = loadNumber(state, "best.waited");
    this.#weights.set(loadTensor(state, "best.weights", this.#weights.length));
    if (!("best.loss" in state.numbers)) return;
    const known = Object.fromEntries(
      ["loss", "count", "accuracy", "perplexity", "rmse", "r2"].filter((name) =>
        `best.${name}` in state.numbers
      )
        .map((name) => [name, loadNumber(state, `best.${name}`)]),
    );
    const at = { step: loadNumber(state, "best.step"), epoch: loadNumber(state, "best.epoch") };
    this.#best = { at, evaluation: known as unknown as Evaluation };
    // What a run has written since may be of steps that it takes again.
    await this.#parts.keep?.(this.#weights);
  }
}
