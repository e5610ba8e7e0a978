/**
 * The distributed optimizers: what a step appends to a training graph, what the ranks exchange and
 * when. Pure descriptions; the training loop carries them out.
 *
 * @module
 */

export type { Algorithm, Communication, OuterStep } from "./algorithm.ts";
export { celgc, type CelgcOptions } from "./celgc.ts";
export {
  appendClippedStep,
  checkStep,
  type ClipBy,
  isClipped,
  NORM_EPSILON,
  PLAIN_STEP,
  type Slot,
  type StepOptions,
  type StepParameter,
} from "./clipped_step.ts";
export { diloco, type DilocoOptions } from "./diloco.ts";
export { episode, type EpisodeOptions } from "./episode.ts";
export { localSgd, type LocalSgdOptions } from "./local_sgd.ts";
export { naiveParallel, type NaiveParallelOptions } from "./naive_parallel.ts";
export {
  appendAverage,
  averageName,
  averageWeight,
  AVERAGING_TRIGGER,
  nonMonotoneTrigger,
} from "./non_monotone_averaging.ts";
export { overlapped } from "./overlap.ts";
export { drawParticipants } from "./participants.ts";
export { type StageDecay, stageWise, type StepSize } from "./schedule.ts";
export { single, type SingleOptions } from "./single.ts";
export { slowMo, type SlowMoOptions } from "./slowmo.ts";
export { type TimedRounds, timedRounds } from "./timed_rounds.ts";
