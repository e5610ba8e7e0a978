/**
 * Going on with a run from its last checkpoint: which options it may change, and what of its log stays.
 *
 * @module
 */

import { join, resolve } from "node:path";
import {
  CheckpointError,
  type CheckpointOwner,
  checkpointSteps,
  findCheckpoint,
  stepFolder,
} from "./checkpoint.ts";
import { LogError } from "../logs/log_error.ts";
import { LogTail, type ParsedLine } from "../logs/log_tail.ts";
import type { MetricRecord } from "../logs/records.ts";
import { OptionError } from "../options/kinds.ts";
import {
  checkOptions,
  defaultOptions,
  HOSTS,
  type OptionName,
  OPTIONS,
  type Options,
  PROCESSES,
} from "../options/table.ts";
import { resolveOptions } from "../options/resolve.ts";
import { FILES, readConfig, type RunConfig } from "./folder.ts";
import { pieceAfter, settleHeld } from "./metrics.ts";
import { replaceFile } from "./write_error.ts";
import { platform } from "../../runtime/base/platform.ts";

/** What may be given beside `--resume`: where, on how many ranks and how long the run goes on, not what it is. */
const ADJUSTABLE: ReadonlySet<string> = new Set<OptionName>([
  ...Object.keys(PROCESSES).filter((name) => name !== "out") as OptionName[],
  ...Object.keys(HOSTS) as OptionName[],
  "sendData",
  "checkpointLocal",
  "ranks",
  "resume",
  "epochs",
  "maxSteps",
  "evalEvery",
  "checkpointEvery",
  "keep",
  "onFailure",
  "elastic",
  "maxRestarts",
  "maxWait",
  "grace",
  "preemptedCode",
  "device",
  "threads",
  "data",
  "log",
  "json",
]);

/**
 * What a folder may not decide, because it widens what the ranks may do, changes what they are, or says who
 * can reach them: whoever resumes a run gives it again.
 */
const GIVEN_AGAIN = [
  "env",
  "allow",
  "cwd",
  "data",
  "listen",
  "tlsCert",
  "tlsKey",
  "tlsCa",
] as const satisfies readonly OptionName[];

/** A run to go on with. */
export interface Resumed {
  readonly directory: string;
  readonly options: Options;
  readonly config: RunConfig;
  /** It repeats none. */
  readonly replay: null;
  /** It repeats none. */
  readonly repeats: null;
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
    if (error instanceof LogError) {
      throw new OptionError(
        `--resume ${explicit.resume}: its ${FILES.config} is damaged: it must hold a JSON object with ` +
          `the run's "options" and does not, without which nobody knows the run: begin it anew`,
      );
    }
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new OptionError(
      `--resume must be the folder of a run, with its ${FILES.config}, not "${explicit.resume}"`,
    );
  }
  checkGivenAgain(config.options, explicit);
  if (config.replay) {
    throw new OptionError(
      `--resume ${explicit.resume}: it is a replay, which begins at the beginning: give --replay again`,
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
  const { download = false, onFailure = "shrink" } = explicit;
  // Ranks that come back are for runs that go on meanwhile.
  const { elastic = onFailure === "shrink" ? config.options.elastic ?? null : null } = explicit;
  // On which hosts it goes on is said again, or it is on this one.
  const hosts = Object.fromEntries(
    Object.entries(HOSTS).map(([name, spec]) => [name, spec.default]),
  );
  const options = resolveOptions({
    ...config.options,
    ...hosts,
    download,
    ...explicit.maxRestarts ? { onFailure: "restart" } : {},
    ...elastic === null ? { elastic } : { elastic, onFailure: "shrink" },
    ...explicit,
    resume: directory,
  });
  await checkLength(directory, config, options);
  return { directory, options, config, replay: null, repeats: null };
}

/**
 * Refuses a run that would be over before its last checkpoint. Its ranks know that too, but they start when its folder
 * has gone back to that checkpoint, without what the run had come to.
 */
async function checkLength(
  directory: string,
  { id, options: { epochs: before } }: RunConfig,
  { epochs, maxSteps }: Options,
): Promise<void> {
  const newest = (await checkpointSteps(directory)).at(-1)!;
  if (epochs >= before && newest <= (maxSteps ?? Infinity)) return;
  const from = await findCheckpoint(directory, { run: id }, () => {});
  if (from === null) return;
  const last = from > (maxSteps ?? Infinity)
    ? `step ${maxSteps}`
    : epochOf(directory, from - 1) >= epochs
    ? `${epochs} epochs`
    : null;
  if (last === null) return;
  throw new OptionError(
    `cannot go on from step ${from}: with these options the run ends after ${last}; give a larger ` +
      "--max-steps or --epochs",
  );
}

/** How many epochs were done after a step; −∞ if the log does not say. */
function epochOf(directory: string, step: number): number {
  let epoch = -Infinity;
  const take = ({ record }: ParsedLine) => {
    const read = record as unknown as MetricRecord | undefined;
    if (read?.type === "step" && read.step === step) epoch = read.epoch;
  };
  readLog(join(directory, FILES.metrics), take);
  return epoch;
}

/** Throws OptionError for what the run was started with and is not given now. */
export function checkGivenAgain(before: Options, explicit: Partial<Options>): void {
  const defaults = defaultOptions();
  const missing = GIVEN_AGAIN.filter((name) =>
    explicit[name] === undefined && before[name] !== undefined &&
    JSON.stringify(before[name]) !== JSON.stringify(defaults[name])
  );
  if (missing.length === 0) return;
  const flags = missing.map((name) => `${OPTIONS[name].flag} ${shown(before[name])}`);
  throw new OptionError(
    `${explicit.resume ? "--resume" : "--replay"} ${
      explicit.resume ?? explicit.replay
    }: the run was started with ${flags.join(", ")}; a folder's word is ` +
      `not taken for that, so give ${
        missing.length === 1 ? "it" : "each of them"
      } again, with this ` +
      `value or another`,
  );
}

/** What is said of one start of a run alone. */
const GIVEN_FOR_ONE: ReadonlySet<string> = new Set<OptionName>(["out", "resume", "json", "quiet"]);

/** One line on the options that a resumed run takes over from its folder, where they are not the defaults. */
export function describeTakenOver({ options }: RunConfig, explicit: Partial<Options>): string {
  const defaults = defaultOptions();
  const names = (Object.keys(OPTIONS) as OptionName[]).filter((name) =>
    !(name in HOSTS) && !GIVEN_FOR_ONE.has(name) && explicit[name] === undefined &&
    options[name] !== undefined &&
    JSON.stringify(options[name]) !== JSON.stringify(defaults[name])
  );
  const flags = names.map((name) =>
    OPTIONS[name].placeholder === null
      ? OPTIONS[name].flag
      : `${OPTIONS[name].flag} ${shown(options[name])}`
  );
  return `taken over from ${FILES.config}: ${flags.length > 0 ? flags.join(" ") : "the defaults"}`;
}

/** A value as a message has it. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return value.join(",");
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value).map(([name, text]) => `${name}=${text}`).join(" ");
}

/** What {@linkcode rewind} goes by. */
export interface RewindOptions extends Pick<CheckpointOwner, "run"> {
  /** The most ranks that the run has had. */
  readonly ranks: number;
  /** Is told what could not be used. */
  readonly say: (line: string) => void;
}

/**
 * Takes a run's folder back to its newest checkpoint that is whole, or to its start if it has none: later
 * records leave the log, later checkpoints, which are damaged, are set aside, and the ranks' logs make room for
 * new ones.
 *
 * @returns the step of the checkpoint; null without one
 * @throws CheckpointError if no checkpoint is whole and the run's own, or the log is damaged
 */
export async function rewind(
  directory: string,
  { say, run, ranks }: RewindOptions,
): Promise<number | null> {
  const step = await findCheckpoint(
    directory,
    { run },
    ({ fault }) => say(`${fault}; the checkpoint before it is taken`),
  );
  if (step !== null) await setAside(directory, step);
  const path = join(directory, FILES.metrics);
  // A checkpoint stands by itself, and with it what led to it.
  settleHeld(path, (piece) => step !== null && piece <= pieceAfter(step, false));
  const kept = recordsUpTo(path, step ?? -1)
    // Rounds with which the run ended are no part of one that goes on.
    .filter((record) => record.type !== "round" || !record.final);
  await replaceFile(path, kept.map((record) => JSON.stringify(record) + "\n").join(""));
  for (let rank = 0; rank < ranks; rank++) {
    const log = join(directory, `rank-${rank}`);
    await platform.rename(`${log}.log`, await freeName(`${log}.before`)).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
  return step;
}

/** Gives checkpoints after a step, which were passed over, names by which nobody takes them for the run's newest. */
async function setAside(directory: string, step: number): Promise<void> {
  for (const each of await checkpointSteps(directory)) {
    if (each <= step) continue;
    const folder = stepFolder(directory, each), aside = `${folder}.damaged`;
    await platform.remove(aside, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    await platform.rename(folder, aside);
  }
}

/** The name of a log that is not there yet: `base.log`, or `base-2.log` and so on. */
async function freeName(base: string): Promise<string> {
  for (let count = 1;; count++) {
    const name = `${base}${count === 1 ? "" : `-${count}`}.log`;
    if (await platform.lstat(name).then(() => false, () => true)) return name;
  }
}

/** Removes a run's newest checkpoint if it is of a step from which the run has gone on in vain. */
export async function forgetCheckpoint(
  directory: string,
  step: number | undefined,
): Promise<void> {
  const newest = (await checkpointSteps(directory)).at(-1);
  if (newest === undefined || newest !== step) return;
  await platform.remove(stepFolder(directory, newest), { recursive: true });
}

/**
 * The records of a log up to a step. What follows them may be damaged: it need not have been on the disk when power
 * was lost, and the run will write it again.
 */
function recordsUpTo(path: string, step: number): MetricRecord[] {
  const records: MetricRecord[] = [];
  let damaged: string | null = null;
  const take = ({ record: parsed, damage }: ParsedLine, number: number) => {
    if (damage !== undefined) damaged ??= `line ${number}: ${damage}`;
    const record = parsed as unknown as MetricRecord | undefined;
    if (!record || record.type === "summary" || record.step > step) return;
    if (damaged !== null) {
      throw new CheckpointError(
        `cannot go on with the run: cannot read ${path}, ${damaged}; remove that line`,
      );
    }
    records.push(record);
  };
  readLog(path, take);
  return records;
}

/** Reads a log from its beginning; nothing if it is not there. */
function readLog(path: string, take: (line: ParsedLine, number: number) => void): void {
  try {
    new LogTail(path).read({ take, restart: () => {} });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
