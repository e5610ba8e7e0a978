/**
 * The trainer as a library: runs, sweeps, plans and reports, and what a run of one's own is made of.
 *
 * @module
 */

export { CheckpointError } from "./run/checkpoint.ts";
export { launch, type LaunchOptions, type Run, RunFailedError } from "./launch/launch.ts";
export { LogError } from "./logs/log_error.ts";
export { readMetrics } from "./logs/log_tail.ts";
export type {
  BestScores,
  Compression,
  EvalRecord,
  MetricRecord,
  Position,
  RelayedPair,
  RoundRecord,
  RunHost,
  Scores,
  StepRecord,
  Summary,
  SummaryRecord,
  WaitingSummary,
} from "./logs/records.ts";
export { OptionError, type OptionFault } from "./options/kinds.ts";
export {
  type ArrayTaskOptions,
  type AveragingOptions,
  type ExecutionOptions,
  type Experiment,
  type GptModelOptions,
  type HostOptions,
  type ImageOptions,
  type InputFileOptions,
  type LanguageModelOptions,
  MODEL_NAMES,
  type ModelName,
  type NetworkFile,
  type Options,
  PRESET_NAMES,
  type PresetName,
  type ProcessOptions,
  type RecoveryOptions,
  type SteppingOptions,
  TASK_NAMES,
  type TaskName,
  type TokenizerOptions,
} from "./options/values.ts";
export { defaultOptions } from "./options/table.ts";
export { type Preset, PRESETS } from "./options/presets.ts";
export { resolveOptions } from "./options/resolve.ts";
export { type TrainOptions, trainOptions } from "./training/train_options.ts";
export { type RunConfig, type RunFacts } from "./run/folder.ts";
export type { ViewKind } from "./launch/view.ts";
export { awdLstmTask, type AwdLstmTaskOptions } from "./problems/awd_lstm_task.ts";
export type { TaskDealer } from "./problems/open_problem.ts";
export { imageTask, type ImageTaskOptions } from "./problems/image_task.ts";
export {
  windowTask,
  type WindowTaskOptions,
  type WindowTaskParts,
} from "./problems/window_task.ts";
export type {
  Batch,
  Decoder,
  Feeds,
  ImageInput,
  PredictOptions,
  Split,
  Task,
  TrainableModel,
} from "./task.ts";
export type { Entrance } from "./training/membership/live_members.ts";
export { type RunOutput, train, type Trained, type TrainParts } from "./training/train.ts";
export {
  type BegunRound,
  type BegunStep,
  type Callback,
  CallbackError,
  type CallbackRun,
  type Hook,
} from "./training/callbacks/callback.ts";
export type { Checkpoints } from "./training/loop_parts.ts";
export type { CheckpointFolders } from "./run/write_checkpoint.ts";
export { TrainingError } from "./training/training_error.ts";

// Graphs of networks as files.
export {
  type ExportedFile,
  type ExportedNames,
  exportGraph,
  type ExportOptions,
  GRAPH_OPTIONS,
  type GraphOptions,
} from "./export.ts";

// Texts.
export { generate, type GeneratedToken, type GenerateOptions } from "./generation/generate.ts";

// Plans.
export type {
  GradientSync,
  Measured,
  MeasuredPart,
  OverRanks,
  TimedAllreduce,
} from "./plan/measured.ts";
export type { PlannedSize } from "./plan/curve.ts";
export { plan, type PlannedRun, type PlanOptions, type RunPlan } from "./plan/plan.ts";
export type { Prediction } from "./plan/predict.ts";
export type { Advice, PlannedSetting, Setting } from "./plan/settings.ts";
export type { CodecCost } from "../runtime/compression/cost.ts";
export type { NetworkCost } from "../runtime/collectives/allreduce_cost.ts";

// Sweeps.
export type { Swept, SweptName } from "./sweep/axes.ts";
export type { CellResult } from "./sweep/results.ts";
export { sweep, type SweepOptions, type SweepRun } from "./sweep/sweep.ts";

// Reports.
export type { FigureImage } from "./report/images.ts";
export { report, type ReportOptions, type ReportOutcome } from "./report/report.ts";
export { ReportError } from "./report/report_error.ts";
export type { ReportedRun, ReportedScore } from "./report/summary.ts";
export type { KeptWeights } from "./logs/best_weights.ts";
export type { RunState } from "./logs/run_log.ts";
export { type ReportServer, type WatchOptions, watchReport } from "./report/watch.ts";
