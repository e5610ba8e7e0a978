/**
 * Starts a training run: makes its folder, starts its ranks, follows its metrics.
 *
 * @module
 */

import type { DeviceKind } from "../../runtime/devices/device.ts";
import { firstError } from "../../runtime/base/errors.ts";
import type { LauncherPlace, World } from "../../runtime/launcher/across_hosts.ts";
import { becomeCompiledRank } from "../../runtime/ranks/compiled_rank.ts";
import { ALGORITHMS } from "../../optimizers/registry.ts";
import { modelName } from "../options/network_names.ts";
import { resolveOptions } from "../options/resolve.ts";
import type { Options } from "../options/table.ts";
import { checkHoldsNoRun, readConfig, type RunConfig } from "../run/folder.ts";
import type { MetricRecord, Summary } from "../run/metrics.ts";
import { findRun } from "../run/resume.ts";
import { DIVERGED, NO_DEVICE } from "../training/training_error.ts";
import { attempt } from "./attempt.ts";
import { BetweenStarts } from "./between_starts.ts";
import { gpusFor } from "./host_preparation.ts";
import { fetchNotice, type PrepareOptions, prepareRun } from "./preparation.ts";
import { onCpuInstead } from "./recovery/cpu_instead.ts";
import { restart, Restarts } from "./recovery/restarts.ts";
import { rollBack } from "./recovery/rollback.ts";
import {
  describeHosts,
  describeRun,
  leavesHost,
  openHosts,
  sizeOf,
  tellHosts,
} from "./run_hosts.ts";
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
  const { view = "silent" } = settings;
  const say = (line: string) => void (view === "silent" || console.error(line));
  return await firstError(launchRun({ ...settings, view }, say), say);
}

async function launchRun(
  { view, onRecord, onFailed, signal, place = null, on, ...given }: LaunchOptions & {
    readonly view: ViewKind;
  },
  say: (line: string) => void,
): Promise<Run> {
  await using scope = new AsyncDisposableStack();
  const between = scope.use(new BetweenStarts(signal));
  const hosts = on ??
    (leavesHost(given, place)
      ? scope.use(await openHosts(await checked(given, place), { place, signal, say }))
      : null);
  const explicit = hosts === null ? given : { ...given, ranks: hosts.size };
  const ready = makeReady(explicit, { hosts, view, say, scope, between });
  const { run, ranksHere, gpus, details } = await tellHosts(on ? null : hosts, ready);
  const { directory, askedDevice } = run;
  const watching = {
    ...{ view, onRecord, signal, hosts, hostsLeave: on === undefined },
    ...{ details, rankEnv: gpus.variables, between },
  };
  const notes = [...run.notes, ...gpus.notes].map((note) => `note: ${note}`);
  const restarts = Restarts.of(run.options), alone = ranksHere === run.ranks;
  const failed = (message: string, code: number) => {
    const error = new RunFailedError(message, code, directory);
    // The launchers on other hosts end with the same code.
    if (hosts) hosts.outcome = { ...hosts.outcome, code };
    onFailed?.(error);
    return error;
  };
  let { options, from } = run;
  const early = await between.outcome(directory, options);
  if (early) throw failed(early.message, early.code);
  while (true) {
    const start = { options, from };
    const end = await attempt(run, start, {
      ...watching,
      notes: [
        describe(options, directory, from),
        ...hosts ? [describeHosts(hosts)] : [],
        ...notes,
      ],
    });
    if (end.how === "finished") {
      return { dir: directory, summary: end.summary, config: await readConfig(directory) };
    }
    if (end.how === "stopped") {
      if (hosts) hosts.outcome = { code: end.code, message: null };
      throw failed(end.message, end.code);
    }
    const device = { asked: askedDevice, taken: options.device, alone };
    const again = end.interrupted ? null : await rollBack(run, options, end.failed) ??
      await onCpuInstead(run, device, end.failed, fetchNotice(view, say)) ??
      await restart(run, restarts, end.failed, between.signal);
    const ended = end.interrupted ? null : await between.outcome(directory, options);
    if (ended) throw failed(ended.message, ended.code);
    const { what, code } = end.failed;
    if (!again) throw failed(what, RANKS_OWN.has(code) ? 1 : code || 1);
    from = again.from;
    options = { ...options, device: again.device ?? options.device };
  }
}

/** Prepares a run, and what the ranks of this host and of others are told. */
async function makeReady(explicit: Partial<Options>, preparing: PrepareOptions) {
  const run = await prepareRun(explicit, preparing), { hosts } = preparing;
  const { options, askedDevice, directory, id = "run" } = run;
  const ranksHere = hosts?.here ?? run.ranks;
  const gpus = await gpusFor(options.device as DeviceKind, ranksHere, options.env);
  const details = hosts && await describeRun(options, askedDevice, { run: id, directory });
  return { run, ranksHere, gpus, details };
}

/** Exit codes by which ranks tell their launcher something. */
const RANKS_OWN = new Set([DIVERGED, NO_DEVICE]);

/** Options with which a run of all hosts could be started: what is wrong with them is said before anybody waits. */
async function checked(
  given: Partial<Options>,
  place: LauncherPlace | null,
): Promise<Partial<Options>> {
  const explicit = { ...given, ranks: await sizeOf(given, place) };
  if (given.resume) await findRun(explicit);
  else {
    const { out } = resolveOptions(explicit);
    if (out !== null) await checkHoldsNoRun(out);
  }
  return given;
}

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
