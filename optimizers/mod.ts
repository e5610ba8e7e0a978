/**
 * The distributed optimizers: what a step appends to a training graph, what the ranks exchange and
 * when. Pure descriptions; the training loop carries them out.
 *
 * @module
 */

export type {
  Algorithm,
  Communication,
  ControlVariates,
  Fragments,
  OuterStep,
  Overlap,
  RoundSchedule,
  RoundSpan,
  SentDisplacements,
  TimedRounds,
} from "./algorithm.ts";
export {
  amplifiedScaffold,
  type AmplifiedScaffoldOptions,
} from "./algorithms/amplified_scaffold.ts";
export { celgc, type CelgcOptions } from "./algorithms/celgc.ts";
export { CLIP_RULES, type ClipBy } from "./clip_by.ts";
export type { ClipRule, StepLengths, UnclippedStep, WeightsSize } from "./clipping/clip_rule.ts";
export {
  appendClippedStep,
  type ControlledStep,
  type GradientTransform,
  isClipped,
  PLAIN_STEP,
  type StepOptions,
} from "./clipped_step.ts";
export { diloco, type DilocoOptions } from "./algorithms/diloco.ts";
export { episode, type EpisodeOptions } from "./algorithms/episode.ts";
export { episodePlusPlus, type EpisodePlusPlusOptions } from "./algorithms/episode_plus_plus.ts";
export { fedProx, type FedProxOptions } from "./algorithms/fedprox.ts";
export { localSgd, type LocalSgdOptions } from "./algorithms/local_sgd.ts";
export { minibatchClip, type MinibatchClipOptions } from "./algorithms/minibatch_clip.ts";
export { naiveParallel, type NaiveParallelOptions } from "./algorithms/naive_parallel.ts";
export { fragmented } from "./rounds/fragments.ts";
export {
  formatInterval,
  type Interval,
  type IntervalSegment,
  type IntervalSpec,
  type IntervalText,
  parseInterval,
  type QuadraticRule,
  roundsOf,
} from "./rounds/interval.ts";
export { overlapped } from "./rounds/overlap.ts";
export { drawParticipants } from "./participants.ts";
export { formatSampling, parseSampling, type Sampling } from "./sampling.ts";
export {
  ALGORITHM_NAMES,
  type AlgorithmEntry,
  type AlgorithmName,
  type AlgorithmOptions,
  ALGORITHMS,
  createAlgorithm,
  type ScheduledOptions,
  SELECTIVE_OPTIONS,
  type SelectiveOption,
} from "./registry.ts";
export {
  OPTIMIZER_NAMES,
  type OptimizerName,
  type RuleEntry,
  type RuleOption,
  type RuleOptions,
  UPDATE_RULES,
} from "./rule_registry.ts";
export { scaffold, scaffoldClip, type ScaffoldOptions } from "./algorithms/scaffold.ts";
export {
  type Schedule,
  SCHEDULE_NAMES,
  type ScheduleName,
  sizeAt,
  type StageDecay,
  stageWise,
  type StepPosition,
  type StepSize,
} from "./schedule.ts";
export { single, type SingleOptions } from "./algorithms/single.ts";
export { slowMo, type SlowMoOptions } from "./algorithms/slowmo.ts";
export { sparseLoco, type SparseLocoOptions } from "./algorithms/sparseloco.ts";
export { scheduled } from "./rounds/scheduled.ts";
export { timedRounds, type Weigh } from "./rounds/timed_rounds.ts";
export {
  type ClippedGradients,
  decays,
  type NoDecay,
  type Slot,
  slotOf,
  type StepParameter,
  type UpdateRule,
} from "./update_rule.ts";
export { adam, type AdamOptions, adamW } from "./update_rules/adam.ts";
export { sgd, type SgdOptions } from "./update_rules/sgd.ts";
