/**
 * What a rank's loop is made of.
 *
 * @module
 */

import type { Algorithm } from "../../optimizers/mod.ts";
import type { Communicator } from "../../runtime/communicator.ts";
import type { Options } from "../options/table.ts";
import type { WeightAveraging } from "../rounds/averaging.ts";
import type { MetricsLog, RunHost } from "../run/metrics.ts";
import type { CheckpointWriter } from "../run/checkpoint_writer.ts";
import type { CheckpointFolders } from "../run/write_checkpoint.ts";
import type { Evaluator } from "../steps/evaluator.ts";
import type { TrainStep } from "../steps/train_step.ts";
import type { Worlds } from "../data/sampling/worlds.ts";
import type { Task } from "../task.ts";
import type { SpanLog } from "./records/span_log.ts";
import type { Carried } from "./membership/carried.ts";
import type { Members } from "./membership/members.ts";
import type { Callbacks } from "./callbacks/callbacks.ts";

/** What the loop runs on; all of it is the caller's. */
export interface LoopParts {
  readonly comm: Communicator;
  readonly options: Options;
  readonly task: Task;
  readonly algorithm: Algorithm;
  readonly averaging: WeightAveraging;
  readonly trainStep: TrainStep;
  readonly evaluator: Evaluator;
  /** Where rank 0 writes; null on the others. */
  readonly log: MetricsLog | null;
  /** What the caller has hung into the run. */
  readonly callbacks: Callbacks;
  /** Where the graph runs, for the summary. */
  readonly device: string;
  /** On which hosts, if they are several. */
  readonly hosts?: readonly RunHost[];
  /** Steps each rank takes; where rounds go by the clock, in the mean. */
  readonly steps: number;
  /** Writes down the weights that did best so far, with `--patience`. @default {they are not} */
  readonly keepBest?: ((weights: Float32Array) => Promise<void>) | undefined;
  /** Where checkpoints are, and the step of the one to go on from; absent: there are none. */
  readonly checkpoints?: Checkpoints;
  /** The worlds that the run has had, up to that of these ranks. */
  readonly worlds: Worlds;
  /** How ranks leave and come; absent: they do not. */
  readonly members?: Members | undefined;
  /** What this rank has brought from where it trained with others; absent if it begins. */
  readonly carried?: Carried | undefined;
  /** What notes when things were done; absent where nobody asks. */
  readonly spans?: SpanLog | undefined;
  /** Writes them, while the run goes on; there if they are. */
  readonly writer?: CheckpointWriter;
}

/** Where a run's checkpoints are. */
export interface Checkpoints extends CheckpointFolders {
  /** The step of the checkpoint to go on from; null to begin at the beginning. */
  readonly from: number | null;
  /** The run they belong to, see `RunConfig.id`. @default {any} */
  readonly run?: string | undefined;
  /** How many ranks have written the one to go on from. @default {as many as there are} */
  readonly ranks?: number | undefined;
  /** How often the run has gone back to one because it diverged. @default {never} */
  readonly rollbacks?: number;
  /** How often it has started again after it had lost ranks. @default {never} */
  readonly restarts?: number;
  /** Whether the run was asked to end early, with a checkpoint; asked on rank 0. @default {never} */
  readonly stops?: () => boolean;
}
