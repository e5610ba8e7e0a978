/**
 * The runs below a folder, each with what it was and what it came to.
 *
 * @module
 */

import { type KeptWeights, keptWeights } from "../logs/best_weights.ts";
import { isLeft, optionsOf, readConfigFile } from "../logs/config.ts";
import { findRuns } from "../logs/find_runs.ts";
import { type LastRecords, lastRecords } from "../logs/last_records.ts";
import { PATIENCE_SECONDS, type RunState } from "../logs/run_log.ts";
import { LogError } from "../logs/log_error.ts";
import { ignoredBy } from "../options/applies.ts";

/** One run. What its folder does not tell is null. */
export interface ListedRun {
  /** Its folder, as it was found below the given one. */
  readonly directory: string;
  /** When it was started, ISO 8601. */
  readonly started: string | null;
  /** Whether it goes on, is finished, or ended early: interrupted or failed. */
  readonly state: RunState;
  /** As in the option of that name. */
  readonly preset: string | null;
  readonly task: string | null;
  readonly model: string | null;
  readonly algorithm: string | null;
  /** I, as it was given; null where the algorithm's rounds, or what stands for them, do not go by it. */
  readonly interval: number | string | null;
  /** N */
  readonly ranks: number | null;
  readonly seed: number | null;
  /** Steps of each rank; of a run that is not finished, the rank that was heard of last. */
  readonly steps: number | null;
  /** Passes over the training data, by all ranks together. */
  readonly epochs: number | null;
  /** Share of the test set (of a validation set while the run goes on) that is classified right. */
  readonly accuracy: number | null;
  /** Perplexity on the test text (of the validation text while the run goes on). */
  readonly perplexity: number | null;
  /** Root of the mean squared error on the same. */
  readonly rmse: number | null;
  /** Mean loss on the same. */
  readonly loss: number | null;
  /** The weights that did best on the validation set, of a finished run with `--patience`. */
  readonly best: KeptWeights | null;
  /** Payload bytes sent for the algorithm's exchanges, by all ranks; null until the run is finished. */
  readonly bytesSent: number | null;
  /** Seconds since its first step began. */
  readonly seconds: number | null;
}

/**
 * Lists the runs in the given folders and below, the latest last.
 *
 * @param now tells runs that go on from those that ended early
 * @throws {LogError} if a folder does not exist or there is no run in it
 */
export async function listRuns(
  directories: readonly string[],
  now: Date = new Date(),
): Promise<ListedRun[]> {
  const runs = await Promise.all((await findRuns(directories)).map((run) => describe(run, now)));
  return runs.sort((a, b) => order(a, b));
}

function order(a: ListedRun, b: ListedRun): number {
  const [x, y] = [a.started ?? "", b.started ?? ""];
  return x < y ? -1 : x > y ? 1 : 0;
}

async function describe(directory: string, now: Date): Promise<ListedRun> {
  const config = await readConfigFile(directory).catch((error) => {
    if (error instanceof LogError) return null;
    throw error;
  });
  const options = optionsOf(config);
  const left = await isLeft(directory, config);
  const last = await lastRecords(directory);
  const { summary, step, evaluation } = last;
  const text = (name: string) => typeof options[name] === "string" ? options[name] : null;
  const number = (value: unknown) => typeof value === "number" ? value : null;
  return {
    directory,
    started: typeof config?.started === "string" ? config.started : null,
    state: stateOf(last, left, now),
    preset: text("preset"),
    task: text("task"),
    model: text("model"),
    algorithm: text("algorithm"),
    interval: goesByInterval(options) ? text("interval") ?? number(options.interval) : null,
    ranks: number(options.ranks),
    seed: number(options.seed),
    steps: number(summary?.steps ?? step?.step),
    epochs: number(summary?.epochs ?? step?.epoch),
    accuracy: number(summary ? summary.testAccuracy : evaluation?.accuracy),
    perplexity: number(summary ? summary.testPerplexity : evaluation?.perplexity),
    rmse: number(summary ? summary.testRmse : evaluation?.rmse),
    loss: number(summary ? summary.testLoss : evaluation?.loss),
    best: keptWeights(summary),
    bytesSent: number(summary?.totalBytesSent),
    seconds: number(summary?.seconds ?? step?.seconds),
  };
}

function goesByInterval({ algorithm, syncEvery }: Readonly<Record<string, unknown>>): boolean {
  return !syncEvery && !ignoredBy(String(algorithm)).includes("interval");
}

function stateOf({ summary, modified }: LastRecords, left: boolean, now: Date): RunState {
  if (summary !== null) return "finished";
  if (left) return "ended early";
  const silent = modified === null ? 0 : now.getTime() - modified.getTime();
  return silent > 1000 * PATIENCE_SECONDS ? "ended early" : "going";
}
