/**
 * A run before its ranks start: what is asked for, what it needs, and its folder.
 *
 * @module
 */

import { resolve } from "node:path";
import type { DeviceKind } from "../../runtime/devices/device.ts";
import { resolveDevice } from "../../runtime/devices/open.ts";
import type { World } from "../../runtime/launcher/across_hosts.ts";
import { checkOptions } from "../../runtime/launcher/options.ts";
import { asOptionError } from "../options/as_option_error.ts";
import { OptionError } from "../options/kinds.ts";
import { resolveOptions } from "../options/resolve.ts";
import { notesOn } from "../options/rules.ts";
import type { Options } from "../options/table.ts";
import { checkData, checkInputs } from "../problems/check_inputs.ts";
import {
  FILES,
  makeRunDirectory,
  newConfig,
  type RunConfig,
  withWorlds,
  worldsOf,
  writeConfig,
} from "../run/folder.ts";
import {
  type InputFiles,
  keepInputs,
  readInputs,
  readKeptInputs,
  verifyInputs,
} from "../run/inputs.ts";
import { lockFolder } from "../run/lock.ts";
import { describeTakenOver, findRun, type Resumed } from "../run/resume.ts";
import { writeTrace } from "../trace/chrome_trace.ts";
import type { BetweenStarts } from "./between_starts.ts";
import { findData, sayDownload } from "./downloads.ts";
import { processesOf, TRAINER } from "./processes.ts";
import { goBack, type ReturningRun } from "./recovery/again.ts";
import { findReplay, type Repeated } from "./recovery/replay.ts";
import type { ViewKind } from "./view.ts";

/** A run whose ranks can be started. */
export interface PreparedRun extends ReturningRun {
  /** As resolved, with the device and the data set that were found. */
  readonly options: Options;
  /** The device as it was asked for. */
  readonly askedDevice: Options["device"];
  /** The step of the checkpoint that it goes on from; null: it begins at the beginning. */
  readonly from: number | null;
  /** What a person is to be told of the options. */
  readonly notes: readonly string[];
}

/** What {@linkcode prepareRun} goes by. */
export interface PrepareOptions {
  /** The hosts of the run; null for this one alone. */
  readonly hosts: World | null;
  /** How downloads are shown. */
  readonly view: ViewKind;
  /** Tells a person a line. */
  readonly say: (line: string) => void;
  /** What is to be done when the run is over is left to it: to write its trace, and to let others into its folder. */
  readonly scope: AsyncDisposableStack;
  /** Listens from when the folder is made, and removes it again unless the run begins. */
  readonly between: BetweenStarts;
}

/** The way to tell of a device's files that have to be fetched; none where nothing is shown. */
export function fetchNotice(
  view: ViewKind,
  say: (line: string) => void,
): ((kind: DeviceKind) => Promise<void>) | undefined {
  return view === "silent" ? undefined : sayDownload(say);
}

/**
 * Finds the device and the data, refuses what does not fit together, and makes the run's folder, or takes the one to go
 * on in back to its last checkpoint. Nothing is written before everything is checked.
 *
 * @param explicit the options that were given
 * @throws OptionError, DataError, CheckpointError: see `launch`
 */
export async function prepareRun(
  explicit: Partial<Options>,
  { hosts, view, say, scope, between }: PrepareOptions,
): Promise<PreparedRun> {
  const start = await findStart(explicit), isNew = start.directory === null;
  const options: Options = { ...start.options }, askedDevice = options.device;
  options.device = await resolveDevice(options.device, fetchNotice(view, say));
  await checkLaunch(options, hosts);
  if (options.data !== null) options.data = await findData(options, view);
  await checkData(options);
  const files = isNew ? await fittingInputs(options, start.repeats) : null;
  between.listen();
  const { out } = options;
  const made = isNew ? await between.folder(out === null ? null : resolve(out)) : null;
  const directory = start.directory ?? await makeRunDirectory(options);
  scope.use(await lockRun(directory, isNew ? "--out" : "--resume"));
  made?.(directory);
  if (options.trace) scope.defer(async () => void await writeTrace(directory));
  const config = await writeInputs(directory, start, options, files);
  const { ranks } = options;
  const mostRanks = Math.max(...worldsOf(config).map(({ ranks }) => ranks), ranks);
  const run: ReturningRun = { directory, id: config.id, ranks, mostRanks, say };
  if (start.config) say(describeTakenOver(start.config, explicit));
  return {
    ...run,
    options,
    askedDevice,
    from: isNew ? null : await goBack(run),
    notes: isNew ? notesOn(options, explicit) : [],
  };
}

/** A run that is none of those there are. */
interface New extends Pick<Resumed, "options" | "replay" | "repeats"> {
  readonly directory: null;
  readonly config: null;
}

/** The run that the options ask for: one to go on with, one to repeat, or another. */
type Start = Resumed | Repeated | New;

async function findStart(explicit: Partial<Options>): Promise<Start> {
  if (explicit.resume) return await findRun(explicit);
  if (explicit.replay) return await findReplay(explicit);
  const options = resolveOptions(explicit);
  return { directory: null, options, config: null, replay: null, repeats: null };
}

/** Keeps other processes out of a run's folder, which an option has named. */
async function lockRun(directory: string, flag: string): Promise<AsyncDisposable> {
  const lock = await lockFolder(directory, FILES.lock);
  if (lock !== null) return lock;
  throw new OptionError(
    `${flag} ${directory} is in use by another process, in which its run goes on: wait for its end`,
  );
}

/** The files that the options name, or those of the run that is repeated; refused unless they fit. */
async function fittingInputs(options: Options, repeats: string | null): Promise<InputFiles> {
  const files = repeats ? await readKeptInputs(repeats, options) : await readInputs(options);
  await checkInputs(options, files);
  return files;
}

/**
 * Writes a new run's inputs, or verifies those of one that goes on, and then its configuration.
 *
 * @param files those of a new run; null for one that goes on
 */
async function writeInputs(
  directory: string,
  { config: before, replay }: Start,
  options: Options,
  files: InputFiles | null,
): Promise<RunConfig> {
  const config = before ?? { ...newConfig(options), ...replay ? { replay } : {} };
  if (!files) await verifyInputs(directory, config);
  const kept = files ? await keepInputs(directory, files) : {};
  const written = {
    ...config,
    lock: FILES.lock,
    options: { ...options, out: directory },
    ...(Object.keys(kept).length > 0 ? { files: kept } : {}),
  };
  await writeConfig(directory, withWorlds(written, worldsOf(config)));
  return config;
}

/** Refuses what the launcher would refuse, before anything is written. */
async function checkLaunch(options: Options, hosts: World | null): Promise<void> {
  await asOptionError(
    null,
    () => checkOptions({ ...processesOf(options, "."), program: TRAINER }, hosts?.size),
  );
}
