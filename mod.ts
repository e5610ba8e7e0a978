/**
 * celgc: an MPI-style runtime for Deno, and on it a trainer of ONNX graphs for communication-efficient
 * distributed learning.
 *
 * A program that calls {@linkcode init} is a rank; {@linkcode launchProgram} starts it N times, and
 * {@linkcode launch} starts the project's own trainer. The pieces of the trainer (graphs that train,
 * optimizers, data sets) stand for themselves as well.
 *
 * @example Train on two ranks
 * ```ts ignore
 * import { launch } from "./mod.ts";
 * const run = await launch({ ranks: 2, interval: 4, maxSteps: 100 });
 * console.log(run.summary.testAccuracy);
 * ```
 *
 * @example A rank of any program
 * ```ts
 * import { init } from "./mod.ts";
 * await using comm = await init();
 * const sum = Float32Array.of(comm.rank);
 * await comm.allreduce(sum, "sum");
 * ```
 *
 * @module
 */

// The runtime: ranks, messages, devices.
export { init } from "./runtime/bootstrap/init.ts";
export {
  type LaunchFailure,
  type LaunchOutcome,
  launchProgram,
  type LaunchProgramOptions,
} from "./runtime/launcher/launch.ts";
export type { TransportKind } from "./runtime/bootstrap/mesh.ts";
export type { StreamName } from "./runtime/launcher/output.ts";
export * from "./runtime/mod.ts";
export type {
  CompileOptions,
  Device,
  DeviceKind,
  DeviceState,
  ElementArrays,
  ElementType as HostElementType,
  HostTensor,
  NodeTime,
  Session,
  Submission,
  VariableRange,
  VariableSpec,
} from "./runtime/devices/device.ts";
export {
  DEVICE_CHOICES,
  type DeviceChoice,
  openDevice,
  type OpenDeviceOptions,
  permissionsFor,
} from "./runtime/devices/open.ts";

// Graphs that train.
export * from "./models/mod.ts";

// Optimizers.
export * from "./optimizers/mod.ts";

// Data sets.
export * from "./tasks/data/mod.ts";

// The trainer.
export { CheckpointError } from "./tasks/run/checkpoint.ts";
export { launch, type LaunchOptions, type Run, RunFailedError } from "./tasks/launch/launch.ts";
export {
  type EvalRecord,
  type MetricRecord,
  type Position,
  readMetrics,
  type RoundRecord,
  type Scores,
  type StepRecord,
  type Summary,
  type SummaryRecord,
} from "./tasks/run/metrics.ts";
export { OptionError } from "./tasks/options/kinds.ts";
export type {
  ExecutionOptions,
  Experiment,
  InputFileOptions,
  LanguageModelOptions,
  NetworkFile,
  Options,
  ProcessOptions,
} from "./tasks/options/values.ts";
export { defaultOptions } from "./tasks/options/table.ts";
export { type Preset, PRESET_NAMES, type PresetName, PRESETS } from "./tasks/options/presets.ts";
export { algorithmOf, resolveOptions } from "./tasks/options/resolve.ts";
export { type RunConfig, type RunFacts } from "./tasks/run/folder.ts";
export type { ViewKind } from "./tasks/launch/view.ts";
export { imageTask, type ImageTaskOptions } from "./tasks/problems/image_task.ts";
export type { Batch, Feeds, PredictOptions, Split, Task, TrainableModel } from "./tasks/task.ts";
export { type RunOutput, train, type Trained, type TrainParts } from "./tasks/training/train.ts";
export type { Checkpoints } from "./tasks/training/loop.ts";
export { TrainingError } from "./tasks/training/training_error.ts";

// Plans.
export type { GradientSync, Measured, OverRanks, TimedAllreduce } from "./tasks/plan/measured.ts";
export { plan, type PlannedRun, type PlanOptions, type RunPlan } from "./tasks/plan/plan.ts";
export type { Prediction } from "./tasks/plan/predict.ts";
export type { NetworkCost } from "./runtime/collectives/allreduce_cost.ts";

// Sweeps.
export type { Swept, SweptName } from "./tasks/sweep/axes.ts";
export type { CellResult } from "./tasks/sweep/results.ts";
export { sweep, type SweepOptions, type SweepRun } from "./tasks/sweep/sweep.ts";

// Reports.
export type { FigureImage } from "./tasks/report/images.ts";
export { report, type ReportOptions, type ReportOutcome } from "./tasks/report/report.ts";
export { ReportError } from "./tasks/logs/log_error.ts";
export type { ReportedRun, ReportedScore } from "./tasks/report/summary.ts";
export { type ReportServer, type WatchOptions, watchReport } from "./tasks/report/watch.ts";
