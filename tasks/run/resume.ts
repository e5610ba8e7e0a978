/**
 * Going on with a run from its last checkpoint: which options it may change, and what of its log stays.
 *
 * @module
 */

import { join, resolve } from "node:path";
import { checkpointSteps, readManifest } from "./checkpoint.ts";
import { LogError } from "../logs/log_error.ts";
import { readMetrics } from "../logs/log_tail.ts";
import { OptionError } from "../options/kinds.ts";
import {
  checkOptions,
  type OptionName,
  OPTIONS,
  type Options,
  PROCESSES,
} from "../options/table.ts";
import { resolveOptions } from "../options/resolve.ts";
import { FILES, readConfig, type RunConfig } from "./folder.ts";

/** What may be given beside `--resume`: where and how long the run goes on, not what it is. */
const ADJUSTABLE: ReadonlySet<string> = new Set<OptionName>([
  ...Object.keys(PROCESSES).filter((name) => name !== "out") as OptionName[],
  "resume",
  "epochs",
  "maxSteps",
  "evalEvery",
  "checkpointEvery",
  "maxRestarts",
  "device",
  "threads",
  "data",
  "json",
]);

/** A run to go on with. */
export interface Resumed {
  readonly directory: string;
  readonly options: Options;
  readonly config: RunConfig;
}

/**
 * The run that `--resume` names, with the options it was started with and those given beside it.
 *
 * @throws OptionError if there is no such run, or an option would make it another one
 */
export async function findRun(changes: Readonly<Record<string, unknown>>): Promise<Resumed> {
  const explicit = checkOptions(changes);
  const directory = resolve(explicit.resume!);
  let config: RunConfig;
  try {
    config = await readConfig(directory);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound || error instanceof LogError)) throw error;
    throw new OptionError(
      `--resume must be the folder of a run, with its ${FILES.config}, not "${explicit.resume}"`,
    );
  }
  for (const [name, value] of Object.entries(explicit)) {
    const before = config.options[name as OptionName];
    if (ADJUSTABLE.has(name) || JSON.stringify(before) === JSON.stringify(value)) continue;
    throw new OptionError(
      `${OPTIONS[name as OptionName].flag} cannot be changed when a run is resumed: it is ` +
        `${JSON.stringify(before)} there, not ${JSON.stringify(value)}`,
    );
  }
  if ((await checkpointSteps(directory)).length === 0) {
    throw new OptionError(
      `--resume ${explicit.resume}: there is no checkpoint to go on from; a run writes them with ` +
        `--checkpoint-every`,
    );
  }
  const options = resolveOptions({ ...config.options, ...explicit, resume: directory });
  return { directory, options, config };
}

/**
 * Takes a run's folder back to its last checkpoint, or to its start if it has none: later records leave
 * the log, and the ranks' logs make room for new ones.
 *
 * @returns the step of the checkpoint; null without one
 * @throws CheckpointError if the checkpoint is damaged or of another number of ranks
 */
export async function rewind(directory: string, ranks: number): Promise<number | null> {
  const step = (await checkpointSteps(directory)).at(-1) ?? null;
  if (step !== null) await readManifest(directory, step, ranks);
  const path = join(directory, FILES.metrics);
  const kept = readMetrics(path)
    .filter((record) => record.type !== "summary" && step !== null && record.step <= step);
  await Deno.writeTextFile(
    `${path}.part`,
    kept.map((record) => JSON.stringify(record) + "\n").join(""),
  );
  await Deno.rename(`${path}.part`, path);
  for (let rank = 0; rank < ranks; rank++) {
    const log = join(directory, `rank-${rank}`);
    await Deno.rename(`${log}.log`, `${log}.before.log`).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
  return step;
}
