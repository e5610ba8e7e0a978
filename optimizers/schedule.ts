/**
 * How the learning rate η and the clipping threshold γ change while training.
 *
 * @module
 */

/** Stage-wise decay: at each of the given epochs, multiply by a factor. */
export interface StageDecay {
  /** Epochs at which a stage begins, counted in passes over the data; need not be whole. */
  readonly at: readonly number[];
  /** What η is multiplied by at each. */
  readonly factor: number;
  /** Whether γ is multiplied as well, as in the authors' code. */
  readonly decaysClip: boolean;
}

/** The two sizes a clipped step is given. */
export interface StepSize {
  /** η */
  readonly learningRate: number;
  /** γ */
  readonly clipThreshold: number;
}

/**
 * η and γ of a step that begins when `epoch` passes are done: a step that begins exactly at a stage's
 * epoch belongs to that stage.
 *
 * @example
 * ```ts
 * import { stageWise } from "./schedule.ts";
 * const decay = { at: [80, 120], factor: 0.1, decaysClip: false };
 * const { learningRate } = stageWise({ learningRate: 0.5, clipThreshold: 1 }, decay, 80);
 * console.assert(learningRate === 0.05);
 * ```
 */
export function stageWise(initial: StepSize, decay: StageDecay, epoch: number): StepSize {
  const stage = decay.at.filter((begin) => epoch >= begin).length;
  const scale = decay.factor ** stage;
  return {
    learningRate: initial.learningRate * scale,
    clipThreshold: initial.clipThreshold * (decay.decaysClip ? scale : 1),
  };
}
