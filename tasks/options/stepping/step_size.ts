/**
 * η and γ of a step, from a run's options.
 *
 * @module
 */

import { sizeAt, type StepPosition, type StepSize } from "../../../optimizers/schedule.ts";
import type { Options } from "../values.ts";

/** The options that a step's size depends on. */
const SIZE_OPTIONS = [
  "lr",
  "clip",
  "schedule",
  "warmup",
  "lrMin",
  "decayAt",
  "decayFactor",
  "decayClip",
] as const satisfies readonly (keyof Options)[];

/** η and γ of the step that begins there, for a batch that is worth as much as any. Pure. */
export function stepSizeAt(
  options: Pick<Options, typeof SIZE_OPTIONS[number]>,
  at: StepPosition,
): StepSize {
  const { lr, clip, schedule: name, warmup, lrMin: least } = options;
  const { decayAt, decayFactor: factor, decayClip: decaysClip } = options;
  return sizeAt({ learningRate: lr, clipThreshold: clip }, {
    name,
    warmup,
    least,
    decay: { at: decayAt, factor, decaysClip },
  }, at);
}
