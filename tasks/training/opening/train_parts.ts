/**
 * What a caller gives to a run beside its options.
 *
 * @module
 */

import type { Algorithm, UpdateRule } from "../../../optimizers/mod.ts";
import type { Worlds } from "../../data/sampling/worlds.ts";
import type { Options } from "../../options/table.ts";
import type { TaskDealer } from "../../problems/open_problem.ts";
import type { Task, TrainableModel } from "../../task.ts";
import type { Callback } from "../callbacks/callback.ts";
import { checkCallbacks } from "../callbacks/callbacks.ts";
import type { Checkpoints } from "../loop_parts.ts";
import type { RunOutput } from "../records/run_files.ts";

/** What a run uses instead of what its options name. */
export interface TrainParts {
  /** Where rank 0 writes; nothing is written without it, nor by other ranks. */
  readonly output?: RunOutput;
  /** Trained instead of `--model`; a model read with `foreignModel` is one. */
  readonly model?: TrainableModel;
  /** Learnt instead of `--task`; a function makes it anew whenever the ranks have become others. */
  readonly task?: Task | TaskDealer;
  /** The update rule of a step instead of `--optimizer`, the same on every rank. */
  readonly optimizer?: UpdateRule;
  /**
   * What the ranks exchange and when, with the step that they take, instead of `--algorithm` and all options that
   * make one, such as `--interval` and `--clip-by`. The same on every rank; its update rule is its own.
   */
  readonly algorithm?: Algorithm;
  /** Called along the run, in their order; each rank's own. They change no number of it. @default {none} */
  readonly callbacks?: readonly Callback[];
  /** Where checkpoints are; `--checkpoint-every` needs it. */
  readonly checkpoints?: Checkpoints;
  /** The worlds that the run has had, where its ranks were more or fewer before. @default {these ranks} */
  readonly worlds?: Worlds | undefined;
  /** The worlds of a run that is to be run again as it was; `comm` then has a rank for each number in it. */
  readonly replay?: Worlds | undefined;
  /** Where this host's ranks make files that they alone read, such as a text's tokens. @default {a temporary folder} */
  readonly folder?: string | undefined;
}

/**
 * Throws RangeError, or TypeError for what callbacks are not, if what is given cannot be, as far as nothing has to be
 * opened to see it.
 *
 * @param rank this process's; null of one that comes to ranks that train
 */
export function checkParts(parts: TrainParts, options: Options, rank: number | null): void {
  checkCallbacks(parts.callbacks ?? []);
  if (options.checkpointEvery !== null && !parts.checkpoints) {
    throw new RangeError(
      "cannot write checkpoints: checkpointEvery is set, parts.checkpoints is not",
    );
  }
  // The other ranks write nothing, and their program need not give them where.
  if (options.out !== null && rank === 0 && !parts.output) {
    throw new RangeError(
      `cannot write to ${options.out}: out is set, parts.output, which is where train() writes, is not`,
    );
  }
  if (rank === null && options.onFailure !== "shrink") {
    throw new RangeError(
      `cannot come to ranks that train: onFailure "${options.onFailure}" lets nobody in, "shrink" does`,
    );
  }
}
