/**
 * The evaluations of one rank's run, and what they come to in its summary.
 *
 * @module
 */

import type { Communicator } from "../../runtime/communicator.ts";
import type { StateDict, Stateful } from "../run/checkpoint.ts";
import type { Evaluation, Evaluator } from "../steps/evaluator.ts";
import type { EvalRecord, MetricsLog, Position, RunHost, Scores, Summary } from "../run/metrics.ts";
import type { Options } from "../options/table.ts";
import { scoresOf, splitKey } from "./scores.ts";
import type { TrainStep } from "../steps/train_step.ts";
import type { Task } from "../task.ts";
import { checkEvaluation } from "./training_error.ts";

/** How many times the loss of the untrained weights is a loss that only a run which has diverged comes to. */
const DIVERGED = 10;

/** What evaluations are made of; all of it is the caller's. */
export interface EvaluationsParts {
  readonly comm: Communicator;
  readonly options: Options;
  readonly task: Task;
  readonly trainStep: TrainStep;
  readonly evaluator: Evaluator;
  /** Where rank 0 writes; null on the others. */
  readonly log: MetricsLog | null;
  /** Where the graph runs, for the summary. */
  readonly device: string;
  /** On which hosts, if they are several. */
  readonly hosts?: readonly RunHost[];
}

/** What an evaluation came to. */
export interface Evaluated {
  /** Of the split that is watched. */
  readonly watched: Evaluation;
  /** Of all splits that were evaluated, the watched one first. */
  readonly records: readonly EvalRecord[];
}

/** The part of a summary that others sum up. */
export type TrainingTotals = Omit<
  Summary,
  | keyof Scores
  | "ranks"
  | "identicalWeights"
  | "weightsHash"
  | "device"
  | "hosts"
  | "averagedSteps"
  | "ema"
  | "batchNorm"
>;

/** What has been evaluated. Every rank makes the same calls. */
export class Evaluations implements Stateful {
  readonly #parts: EvaluationsParts;
  /** Of the split that is watched, or a part of it, before the first step. */
  #untrained: Evaluation | null = null;
  /** The latest of each split, by its name. */
  #last = new Map<string, Evaluation>();

  constructor(parts: EvaluationsParts) {
    this.#parts = parts;
  }

  /**
   * Evaluates the average of the ranks' weights: on the split that is watched, or on all of them at the end, and
   * on the part of the training set. Collective. Nothing is written.
   */
  async evaluate(at: Position, when: "untrained" | "between" | "end"): Promise<Evaluated> {
    const { evaluator, task } = this.#parts;
    const watched = when === "untrained" && task.untrained || task.splits[0];
    const heldOut = when === "end" ? task.splits : [watched];
    const splits = task.trainPart ? [...heldOut, task.trainPart] : heldOut;
    const results = await evaluator.evaluate(splits);
    const records = splits.map((split, i): EvalRecord => {
      checkEvaluation(at.step, splitKey(split), results[i].loss);
      this.#last.set(splitKey(split), results[i]);
      const { name } = split;
      return {
        type: "eval",
        ...at,
        ...name === null ? {} : { split: name },
        ...results[i],
        ...this.#provenance(),
      };
    });
    this.#untrained ??= results[0];
    return { watched: results[0], records };
  }

  /** The latest loss on the split that is watched; null while that is the untrained weights'. */
  get loss(): number | null {
    const { loss } = this.#last.get(splitKey(this.#parts.task.splits[0])) ?? {};
    return loss === undefined || loss === this.#untrained?.loss ? null : loss;
  }

  /** Writes down what an evaluation came to, on rank 0. */
  write({ records }: Evaluated): void {
    this.#parts.log?.write(...records);
  }

  /** How the weights that are evaluated came about: what is to be said beside their score. */
  #provenance(): Pick<Summary, "averagedSteps" | "ema" | "batchNorm"> {
    const { options: { batchNorm, ema }, trainStep } = this.#parts;
    const { averages, parameterCount, weights } = trainStep;
    const averagedSteps = averages?.steps ?? 0;
    return {
      ...averagedSteps === 0 ? {} : ema === null ? { averagedSteps } : { ema },
      ...weights.length > parameterCount ? { batchNorm } : {},
    };
  }

  /** Compares the ranks' final weights, and writes the summary. Collective. */
  async summarize(at: Position, totals: TrainingTotals): Promise<Summary> {
    const { comm, evaluator, log, task, device, hosts } = this.#parts;
    const { identical, hash } = await evaluator.compare();
    const scores = scoresOf(task, this.#last, this.#untrained!);
    const diverged = [scores.testLoss, scores.validationLoss, totals.trainLoss]
      .some((loss) => (loss ?? 0) > DIVERGED * scores.untrainedLoss);
    const summary: Summary = {
      ...scores,
      ranks: comm.size,
      ...totals,
      ...diverged ? { diverged } : {},
      identicalWeights: identical,
      weightsHash: hash,
      device,
      ...hosts ? { hosts } : {},
      ...this.#provenance(),
    };
    log?.write({ type: "summary", ...at, ...summary });
    return summary;
  }

  /** The evaluations that the summary is made of. */
  save(): Promise<StateDict> {
    const last = [...this.#last].map(([split, evaluation]) => named(`last.${split}`, evaluation));
    const numbers = { ...named("untrained", this.#untrained!), ...Object.assign({}, ...last) };
    return Promise.resolve({ tensors: [], numbers });
  }

  /** Goes on with them. */
  restore(state: StateDict): Promise<void> {
    this.#untrained = unnamed("untrained", state);
    const { splits, trainPart } = this.#parts.task;
    for (const split of trainPart ? [...splits, trainPart] : splits) {
      const key = splitKey(split);
      if (`last.${key}.loss` in state.numbers) this.#last.set(key, unnamed(`last.${key}`, state));
    }
    return Promise.resolve();
  }
}

/** An evaluation's numbers under a prefix. */
function named(prefix: string, evaluation: Evaluation): Record<string, number> {
  return Object.fromEntries(
    Object.entries(evaluation).map(([name, value]) => [`${prefix}.${name}`, value]),
  );
}

/** The evaluation that was {@linkcode named}. */
function unnamed(prefix: string, { numbers }: StateDict): Evaluation {
  const entries = Object.entries(numbers)
    .filter(([name]) => name.startsWith(`${prefix}.`))
    .map(([name, value]) => [name.slice(prefix.length + 1), value]);
  return Object.fromEntries(entries);
}
