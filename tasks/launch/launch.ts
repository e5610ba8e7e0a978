/**
 * Starts a training run: makes its folder, starts its ranks, follows its metrics.
 *
 * @module
 */

import type { DeviceKind } from "../../runtime/devices/device.ts";
import { permissionsFor, resolveDevice } from "../../runtime/devices/open.ts";
import {
  type LaunchOutcome,
  launchProgram,
  type LaunchProgramOptions,
} from "../../runtime/launcher/launch.ts";
import { ENDING_SIGNALS } from "../../runtime/launcher/interrupts.ts";
import { becomeCompiledRank } from "../../runtime/ranks/compiled_rank.ts";
import { checkOptions } from "../../runtime/launcher/options.ts";
import type { LauncherPlace, World } from "../../runtime/launcher/across_hosts.ts";
import { checkData, checkInputs } from "../problems/check_inputs.ts";
import {
  type InputFiles,
  keepInputs,
  readInputs,
  readKeptInputs,
  verifyInputs,
} from "../run/inputs.ts";
import { findData, sayDownload } from "./downloads.ts";
import { Follower } from "./follower.ts";
import type { MetricRecord, Summary } from "../run/metrics.ts";
import { ALGORITHMS } from "../../optimizers/registry.ts";
import { asOptionError } from "../options/as_option_error.ts";
import { OptionError } from "../options/kinds.ts";
import { modelName } from "../options/network_names.ts";
import type { Options } from "../options/table.ts";
import { resolveOptions } from "../options/resolve.ts";
import { notesOn } from "../options/rules.ts";
import { tlsOf } from "../options/tls.ts";
import { EventLog } from "../tensorboard/event_log.ts";
import { writeTrace } from "../trace/chrome_trace.ts";
import { DIVERGED, NO_DEVICE } from "../training/training_error.ts";
import type { RankArguments, RankPlace } from "../training/rank_program.ts";
import { Interruption } from "./interruption.ts";
import { gpusFor, type RunDetails } from "./host_preparation.ts";
import { describeHosts, describeRun, leavesHost, openHosts, sizeOf } from "./run_hosts.ts";
import { writeModelCard } from "./model_card.ts";
import { RankLines } from "./rank_lines.ts";
import { type Failed, goBack, type ReturningRun } from "./recovery/again.ts";
import { onCpuInstead } from "./recovery/cpu_instead.ts";
import { afterLosses } from "./recovery/comebacks.ts";
import { restart, Restarts } from "./recovery/restarts.ts";
import { lockFolder } from "../run/lock.ts";
import { findReplay, type Repeated } from "./recovery/replay.ts";
import { rollBack } from "./recovery/rollback.ts";
import { tooFewLeft } from "./recovery/too_few_left.ts";
import { describeTakenOver, findRun, type Resumed } from "../run/resume.ts";
import {
  FILES,
  makeRunDirectory,
  newConfig,
  readConfig,
  type RunConfig,
  spokenOf,
  withWorlds,
  worldsOf,
  writeConfig,
} from "../run/folder.ts";
import type { ViewKind } from "./view.ts";

/** How to start a run: any option by its name in code, and what code alone can say. */
export interface LaunchOptions extends Partial<Omit<Options, "json" | "quiet">> {
  /** What is shown on standard error. @default {"silent"} */
  readonly view?: ViewKind;
  /** Is called with each record of the run, soon after it was written. */
  readonly onRecord?: (record: MetricRecord) => void;
  /** Ends the run early, on all ranks. */
  readonly signal?: AbortSignal;
  /** This process's place among launchers that something else has started. @default {there are no others} */
  readonly place?: LauncherPlace | null;
  /** The hosts to run on, opened before; stays open. @default {those that the options name} */
  readonly on?: World | null;
  /**
   * Is called with what a run fails with, before its hosts are let go and the error is thrown: `mpirun` may end
   * this process as soon as another launcher has ended with a failure.
   */
  readonly onFailed?: (error: RunFailedError) => void;
}

/** A finished run. */
export interface Run {
  /** Its folder, an absolute path: `config.json`, `metrics.jsonl`, `model.onnx`, `checkpoint/`, `rank-<r>.log`. */
  readonly dir: string;
  /** What it came to. */
  readonly summary: Summary;
  /** Its options as resolved, versions and plan. */
  readonly config: RunConfig;
}

/** A run that ended before its summary; the message holds the first failing rank's last lines. */
export class RunFailedError extends Error {
  /** The name of the class. */
  override readonly name = "RunFailedError";

  /**
   * Says how a run failed.
   *
   * @param code the first failing rank's exit code, or 128 + its signal
   * @param dir the run's folder
   */
  constructor(
    message: string,
    /** The first failing rank's exit code, or 128 + its signal. */
    readonly code: number,
    /** The run's folder. */
    readonly dir: string,
  ) {
    super(message);
  }
}

/**
 * Trains on several ranks, each a process of its own, and waits for the end.
 *
 * @param settings any option by its name in code; what is left out takes the preset's value, then the
 *   default, which makes a run of about a minute on generated images
 * @throws OptionError when an option has a value it cannot have, before anything is started
 * @throws DataError when a data set cannot be fetched
 * @throws CheckpointError when the run to go on with has a damaged checkpoint
 * @throws RunFailedError when a rank fails
 * @throws HostsError when a host of the run does not come
 *
 * @example
 * ```ts ignore
 * import { launch } from "./launch.ts";
 * const run = await launch({ ranks: 2, interval: 4, maxSteps: 20 });
 * console.log(run.summary.testAccuracy, run.dir);
 * ```
 */
export async function launch(settings: LaunchOptions = {}): Promise<Run> {
  await becomeCompiledRank(); // in a rank of a compiled program there is nothing to launch
  const { view: kind = "silent", onRecord, onFailed, signal, place = null, on, ...given } =
    settings;
  await using stack = new AsyncDisposableStack();
  const say = (line: string) => void (kind === "silent" || console.error(line));
  const hosts = on ??
    (leavesHost(given, place)
      ? stack.use(await openHosts(await checked(given, place), { place, signal, say }))
      : null);
  const explicit = hosts === null ? given : { ...given, ranks: hosts.size };
  const started = await findStart(explicit);
  const options: Options = { ...started.options }, askedDevice = options.device;
  const beforeFetch = kind === "silent" ? undefined : sayDownload(say);
  options.device = await resolveDevice(options.device, beforeFetch);
  await checkLaunch(options, hosts);
  if (options.data !== null) options.data = await findData(options, kind);
  await checkData(options);
  const files = started.directory ? null : await fittingInputs(options, started.repeats);
  const directory = started.directory ?? await makeRunDirectory(options);
  const { replay } = started;
  const config = started.config ?? { ...newConfig(options), ...replay ? { replay } : {} };
  stack.use(await lockRun(directory, started.directory ? "--resume" : "--out"));
  if (options.trace) stack.defer(async () => void await writeTrace(directory));
  if (!files) await verifyInputs(directory, config);
  const kept = files ? await keepInputs(directory, files) : {};
  const worlds = worldsOf(config);
  await writeConfig(
    directory,
    withWorlds({
      ...config,
      lock: FILES.lock,
      options: { ...options, out: directory },
      ...(Object.keys(kept).length > 0 ? { files: kept } : {}),
    }, worlds),
  );
  const { ranks } = options, mostRanks = Math.max(...worlds.map(({ ranks }) => ranks), ranks);
  const returning: ReturningRun = { directory, id: config.id, ranks, mostRanks, say };
  if (started.config) say(describeTakenOver(started.config, explicit));
  let from = started.directory ? await goBack(returning) : null;
  const details = hosts && await describeRun(options, askedDevice, {
    run: config.id ?? "run",
    directory,
  });
  const gpus = await gpusFor(
    options.device as DeviceKind,
    ranksHere(options, hosts),
    options.env,
  );
  const notes = [...started.directory ? [] : notesOn(options, explicit), ...gpus.notes];
  const restarts = Restarts.of(options), alone = ranksHere(options, hosts) === ranks;
  const failed = (message: string, code: number) => {
    const error = new RunFailedError(message, code, directory);
    // The launchers on other hosts end with the same code.
    if (hosts) hosts.outcome = { ...hosts.outcome, code };
    onFailed?.(error);
    return error;
  };
  /** How the run goes on after its ranks have failed; null: it does not. */
  const goOn = async (end: Failed) =>
    await rollBack(returning, options, end) ??
      await onCpuInstead(
        returning,
        { asked: askedDevice, taken: options.device, alone },
        end,
        beforeFetch,
      ) ??
      await restart(returning, restarts, end, signal);
  while (true) {
    await using events = options.log === "tensorboard"
      ? await EventLog.open(directory, options.ranks, from)
      : null;
    await using follower = new Follower(directory, kind, (record) => {
      events?.take(record);
      onRecord?.(record);
    });
    follower.say(describe(options, directory, from));
    if (hosts) follower.say(describeHosts(hosts));
    for (const note of notes) follower.say(`note: ${note}`);
    const lines = new RankLines((line) => follower.say(line));
    await using interruption = new Interruption(
      directory,
      options,
      signal,
      (line) => follower.say(line),
    );
    const run = options.elastic === null ? {} : { config: spokenOf(await readConfig(directory)) };
    const outcome = await runRanks(options, directory, { from, ...run }, lines, interruption, {
      hosts,
      hostsLeave: on === undefined,
      details: details && { ...details, from, ...run },
      rankEnv: gpus.variables,
    });
    await follower.end();
    const { summary } = follower, { code, failure } = outcome;
    const interrupted = interruption.how ?? outcome.interrupted;
    if (code === 0 && summary) {
      const config = await readConfig(directory);
      await writeModelCard(directory, config, summary);
      return { dir: directory, summary, config };
    }
    const asked = await interruption.outcome(code) ??
      await tooFewLeft(directory, options, outcome);
    if (asked) {
      if (hosts) hosts.outcome = { code: asked.code, message: null };
      throw failed(asked.message, asked.code);
    }
    const seen = kind !== "silent" && failure && lines.has(failure.lastLines);
    const what = (seen ? failure.headline : failure?.message) ??
      (interrupted ? `the run was ended by ${interrupted}` : "the run ended without a summary");
    const again = interrupted ? null : await goOn({ code, failure, what, from: from ?? 0 });
    if (!again) throw failed(what, RANKS_OWN.has(code) ? 1 : code || 1);
    ({ from, device: options.device = options.device } = again);
  }
}

/** A run that is none of those there are. */
interface New extends Pick<Resumed, "options" | "replay" | "repeats"> {
  readonly directory: null;
  readonly config: null;
}

/** The run that the options ask for: one to go on with, one to repeat, or another. */
async function findStart(explicit: Partial<Options>): Promise<Resumed | Repeated | New> {
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

/** Exit codes by which ranks tell their launcher something. */
const RANKS_OWN = new Set([DIVERGED, NO_DEVICE]);

const TRAINER = new URL(import.meta.resolve("../training/rank_program.ts"));

/** The files that the options name, or those of the run that is repeated; refused unless they fit. */
async function fittingInputs(options: Options, repeats: string | null): Promise<InputFiles> {
  const files = repeats ? await readKeptInputs(repeats, options) : await readInputs(options);
  await checkInputs(options, files);
  return files;
}

/** Refuses what the launcher would refuse, before anything is written. */
async function checkLaunch(options: Options, hosts: World | null): Promise<void> {
  await asOptionError(
    null,
    () => checkOptions({ ...processesOf(options, "."), program: TRAINER }, hosts?.size),
  );
}

/** Options with which a run of all hosts could be started: what is wrong with them is said before anybody waits. */
async function checked(
  given: Partial<Options>,
  place: LauncherPlace | null,
): Promise<Partial<Options>> {
  const explicit = { ...given, ranks: await sizeOf(given, place) };
  if (given.resume) await findRun(explicit);
  else resolveOptions(explicit);
  return given;
}

function rankArguments(directory: string, place: RankPlace): RankArguments {
  return [directory, JSON.stringify(place)];
}

/** How many of the ranks are on this host. */
function ranksHere({ ranks }: Options, hosts: World | null): number {
  return hosts === null ? ranks : hosts.here;
}

/** Runs the trainer on all ranks. */
async function runRanks(
  options: Options,
  directory: string,
  place: RankPlace,
  lines: RankLines,
  interruption: Interruption,
  { hosts, hostsLeave, details, rankEnv }: {
    readonly hosts: World | null;
    readonly hostsLeave: boolean;
    readonly details: RunDetails | null;
    readonly rankEnv: NonNullable<LaunchProgramOptions["rankEnv"]>;
  },
): Promise<LaunchOutcome> {
  return await asOptionError(null, () =>
    launchProgram({
      ...hosts ? { on: hosts, hostsLeave, details } : {},
      ...processesOf(options, directory),
      program: TRAINER,
      args: rankArguments(directory, place),
      rankEnv,
      logDir: directory,
      onOutput: (rank, line) => lines.take(rank, line),
      signal: interruption.signal,
      handleSignals: ENDING_SIGNALS,
      onInterrupt: (how, from) => interruption.take(how, from),
      ...afterLosses(options, (line) => lines.pass(line)),
      // Ranks leave a scheduler's signals to their launcher.
      endSignal: "SIGINT",
    }));
}

/**
 * How the ranks of a run are started, whatever their program.
 *
 * @param options with a device and a data set that have been found
 * @param directory a folder that they read and write
 */
export function processesOf(
  options: Options,
  directory: string,
): Omit<LaunchProgramOptions, "program"> {
  const tls = tlsOf(options);
  const readable = options.data === null ? [directory] : [directory, options.data];
  return {
    ranks: options.ranks,
    env: options.env,
    ...(options.cwd === null ? {} : { cwd: options.cwd }),
    allow: [
      ...permissionsFor(options.device as DeviceKind),
      `read=${readable.map(comma)}`,
      `write=${comma(directory)}`,
      // The CPU's engine is native code, which may do anything, so the ranks may share memory as well. An
      // MPI library is native code too.
      ...(options.device === "cpu" || options.transport === "mpi" ? ["ffi"] : []),
      ...options.allow,
    ],
    ...(options.transport === "auto" ? {} : { transport: options.transport }),
    stdin: options.stdin,
    listen: options.listen,
    timeout: options.timeout,
    ...(tls ? { tls } : {}),
    ...(options.link === null ? {} : { link: options.link }),
    ...(options.connections === 1 ? {} : { connections: options.connections }),
    ...(options.onFailure === "shrink" ? { onFailure: "return" } : {}),
    quiet: true,
  };
}

/** A comma separates paths in a permission; one inside a path is doubled. */
const comma = (path: string) => path.replaceAll(",", ",,");

/** One line on what is about to run. */
function describe(options: Options, directory: string, from: number | null): string {
  const { ranks, model, task, algorithm, interval, syncEvery } = options;
  const rounds = ALGORITHMS[algorithm].rounds !== "interval"
    ? ""
    : syncEvery === null
    ? `, I = ${interval}`
    : `, a round every ${syncEvery} s`;
  const where = from === null ? `into ${directory}` : `from step ${from} of ${directory}`;
  const who = ranks === 1 ? "1 rank" : `${ranks} ranks`;
  return `${who}, ${modelName(model)} on ${task}, ${algorithm}${rounds}, ${where}`;
}
