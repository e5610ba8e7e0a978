/**
 * Plans a run: measures what a step and an exchange cost here, and predicts what they come to.
 *
 * @module
 */

import { findData, sayDownload } from "../launch/downloads.ts";
import { type Interval, peakAhead } from "../../optimizers/rounds/interval.ts";
import { ALGORITHMS, BASELINE } from "../../optimizers/registry.ts";
import { resolveDevice } from "../../runtime/devices/open.ts";
import { codecOf } from "../../runtime/compression/registry.ts";
import { parseLink } from "../../runtime/transport/access_link.ts";
import { leavesHost, openHosts, sizeOf } from "../launch/run_hosts.ts";
import type { LauncherPlace } from "../../runtime/launcher/across_hosts.ts";
import { OptionError } from "../options/kinds.ts";
import { OPTIONS, type Options } from "../options/table.ts";
import { stepSizeAt } from "../options/stepping/step_size.ts";
import { resolveOptions } from "../options/resolve.ts";
import type { ViewKind } from "../launch/view.ts";
import { type PlannedSize, planSizes } from "./curve.ts";
import type { Measured } from "./measured.ts";
import { measureRanks } from "./measure_ranks.ts";
import { plannedAlgorithm } from "./planned.ts";
import { checkData } from "../problems/check_inputs.ts";
import { predict, type Prediction } from "./predict.ts";
import {
  type Advice,
  advise,
  fragmentsToPlan,
  isPossible,
  type PlannedSetting,
  type Setting,
  settingsToPlan,
} from "./settings.ts";

/** What is to be planned: options of `launch` by their names in code. */
export interface PlanOptions extends
  Partial<
    Omit<
      Options,
      | "resume"
      | "checkpointEvery"
      | "onFailure"
      | "maxRestarts"
      | "replay"
      | "maxWait"
      | "elastic"
      | "out"
      | "json"
      | "quiet"
      | "hosts"
    >
  > {
  /**
   * Whether to measure with the ranks behind `link`, instead of measuring this machine's own network
   * and calculating what the link adds. @default {false}
   */
  readonly shaped?: boolean;
  /**
   * A number: hosts that `ranks` are to be on, as many on each. Ranks of one are measured, and an allreduce
   * between hosts is calculated, for `link`, which then is a host's. Names, such as `a:4,b:4`: hosts to reach
   * by ssh, all of which are measured. @default {one for each rank if there is a `link`, else this machine}
   */
  readonly hosts?: number | string;
  /**
   * This process's place among launchers that something else has started, all of which are measured.
   * @default {there are no others}
   */
  readonly place?: LauncherPlace | null;
  /**
   * By how much the wall clock of the setting that is advised may exceed that of the fastest, as a share of this
   * one. @default {0.05}
   */
  readonly tolerance?: number;
  /** The intervals to predict. @default {those of 1, 2, 4, 8, 16 and 32 that go with the options, and `interval`} */
  readonly intervals?: readonly Interval[];
  /** What is shown on standard error. @default {"silent"} */
  readonly view?: ViewKind;
  /** Ends the measurements early, on all ranks. */
  readonly signal?: AbortSignal;
}

/** One line of a plan. */
export interface PlannedRun extends Prediction {
  /** As in `--algorithm`. */
  readonly algorithm: Options["algorithm"];
  /** I, or its schedule; null for an algorithm that does not take it. */
  readonly interval: Interval | null;
  /** The baseline's seconds over this run's. */
  readonly speedup: number;
}

/** A plan. */
export interface RunPlan {
  /** Steps of each rank. */
  readonly steps: number;
  /** Passes over the training data, by all ranks together. */
  readonly epochs: number;
  /** Ranks of the run. */
  readonly ranks: number;
  /** The hosts that they are on, if those were asked for. */
  readonly hosts: number | null;
  /** The access link that the prediction is for; null: the network that was measured. */
  readonly link: string | null;
  /** Naive-parallel, the baseline, first; then the intervals in increasing order, and schedules of them. */
  readonly runs: readonly PlannedRun[];
  /**
   * What was compared for the advice: every interval, with each of several compressions and numbers of fragments
   * where the options name none, as far as they go with the other options.
   */
  readonly settings: readonly PlannedSetting[];
  /** The cheapest of the settings, and the fastest, see `settings.ts`. */
  readonly advice: Advice | null;
  /** η and γ over the run, at steps spread evenly over it. */
  readonly sizes: readonly PlannedSize[];
  /** What the prediction rests on. */
  readonly measured: Measured;
}

/** What hosts are taken to be connected by if nothing is said: a network of a cluster. */
const HOSTS_LINK = "10gbit,50us";

/** A link that holds nothing up. */
const NO_LINK = "0ms";

/** How much slower than the fastest the advised setting may be, if nothing is said. */
export const TOLERANCE = 0.05;

const INTERVALS = [1, 2, 4, 8, 16, 32];

/**
 * Measures a few steps of the actual graph, with the ranks sharing this machine, and their network, and
 * predicts wall clock and communication share of the paper's baseline and of the algorithm at several
 * intervals. With `link` the prediction is for ranks behind such access links. What it is based on, and
 * what it leaves out, is written in `predict.ts`.
 *
 * @throws OptionError when an option has a value it cannot have, before anything is started
 * @throws RunFailedError when a rank fails
 *
 * @example
 * ```ts ignore
 * import { plan } from "./plan.ts";
 * const { runs } = await plan({ ranks: 8, link: "100mbit,20ms" });
 * for (const { algorithm, interval, seconds } of runs) console.log(algorithm, interval, seconds);
 * ```
 */
export async function plan(given: PlanOptions = {}): Promise<RunPlan> {
  const { shaped = false, intervals, tolerance = TOLERANCE, view = "silent", signal, ...others } =
    given;
  const { place = null, ...rest } = others;
  const named = typeof rest.hosts === "string" ? rest.hosts : null;
  const hosts = typeof rest.hosts === "number" ? rest.hosts : null;
  const across = { ...rest, hosts: named };
  const isAcross = leavesHost(across, place);
  const asRun = isAcross ? { ...across, ranks: await sizeOf(across, place) } : across;
  const options = resolveOptions(asRun);
  checkPlan(across, shaped);
  if (!(tolerance >= 0)) {
    throw new OptionError({ flag: "--tolerance", rule: "a share from 0", value: tolerance });
  }
  if (hosts !== null) checkHosts(options, hosts, shaped || isAcross);
  if (isAcross && options.link !== null && !shaped) {
    throw new OptionError(
      "--link is calculated for hosts that are not there: leave it out where hosts are measured, or give " +
        "--shaped to measure behind it",
    );
  }
  const say = view === "silent" ? undefined : (line: string) => console.error(line);
  await using opened = isAcross
    ? await openHosts(across, { place, signal, say: say ?? (() => {}) })
    : null;
  const askedDevice = options.device;
  options.device = await resolveDevice(options.device, say && sayDownload(say));
  if (options.data !== null) options.data = await findData(options, view);
  await checkData(options);
  const { ranks } = options, link = options.link ?? (hosts === null ? null : HOSTS_LINK);
  const hasRounds = ALGORITHMS[options.algorithm].rounds === "interval";
  const algorithm = hasRounds ? options.algorithm : OPTIONS.algorithm.default;
  const planned = { ...options, algorithm }, sayings = { ...asRun, algorithm };
  // An average that comes so many steps late has no place in shorter rounds.
  const usual = () => INTERVALS.filter((interval) => isPossible({ ...sayings, interval }));
  const all = [...new Set(intervals ?? [...usual(), options.interval])].sort(byLength);
  const onOne = hosts === null
    ? options
    : { ...options, ranks: ranks / hosts, participants: null, maxSteps: null };
  const fragments = fragmentsToPlan(asRun, planned);
  const settings = settingsToPlan(sayings, planned, all);
  const { sends } = plannedAlgorithm(planned, algorithm);
  const codecs = [...new Set([...settings.map(({ compress }) => compress), options.compress])];
  const asked = {
    ...{ options: onOne, algorithms: [algorithm, BASELINE], intervals: all, fragments },
    codecs: sends ? [...codecs, sends.compress] : codecs,
  };
  const measured = await measureRanks(asked, {
    // A calculated link adds to what ranks that share no memory take without one.
    link: shaped ? options.link : options.link !== null && hosts === null ? NO_LINK : null,
    signal,
    hosts: opened,
    device: askedDevice,
  });
  const { steps, epochs } = runOf(measured, options);
  const there = opened && new Set(opened.hosts.map(({ host }) => host)).size;
  const scale = { ranks, hosts: hosts ?? (there === null || there === 1 ? ranks : there) };
  const shape = link === null || shaped ? null : parseLink(link);
  const network = shape && {
    latencySeconds: shape.delayMs / 1000,
    bytesPerSecond: shape.bitsPerSecond / 8,
  };
  const rate = (t: number) =>
    stepSizeAt(options, { done: t - 1, steps, epoch: epochs * (t - 1) / steps }).learningRate;
  const learningRate = peakAhead(rate, steps);
  const participants = options.participants ?? ranks;
  const predictOne = (name: Options["algorithm"], setting: Partial<Setting>) => {
    const own = { ...options, ...setting };
    const described = plannedAlgorithm(own, name, { learningRate });
    const codec = codecOf(own.compress);
    return predict(measured, described, steps, network, participants, scale, codec);
  };
  const runs = [
    { algorithm: BASELINE, interval: null, ...predictOne(BASELINE, {}) },
    ...all.map((interval) => ({ algorithm, interval, ...predictOne(algorithm, { interval }) })),
  ];
  const predicted = settings
    .filter(({ fragments }) => fragments === 1 || measured.parts?.[fragments] !== undefined)
    .map((setting) => ({ ...setting, ...predictOne(algorithm, setting) }));
  const [baseline] = runs;
  return {
    steps,
    epochs,
    ranks,
    hosts: hosts ?? (there === 1 ? null : there),
    link,
    runs: runs.map((run) => ({ ...run, speedup: baseline.seconds / run.seconds })),
    settings: predicted,
    advice: advise(predicted, tolerance),
    sizes: planSizes(options, steps, epochs),
    measured,
  };
}

/** Numbers in increasing order, then schedules. */
function byLength(a: Interval, b: Interval): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return typeof a === "number" ? -1 : typeof b === "number" ? 1 : a < b ? -1 : 1;
}

/** The run of all ranks, from that of those which were measured: together they take as many samples. */
function runOf({ run, ranks }: Measured, options: Options): Measured["run"] {
  if (ranks === options.ranks) return run;
  const whole = Math.max(1, Math.ceil(run.steps * ranks / options.ranks));
  const steps = Math.min(whole, options.maxSteps ?? Infinity);
  return { steps, epochs: run.epochs * steps * options.ranks / (run.steps * ranks) };
}

function checkHosts({ ranks }: Options, hosts: number, measured: boolean): void {
  if (!(Number.isInteger(hosts) && hosts > 0 && ranks % hosts === 0)) {
    throw new OptionError(
      `--hosts must divide --ranks, ${ranks}, into equal parts for a plan, found ${hosts}`,
    );
  }
  if (measured) {
    throw new OptionError(
      `--hosts ${hosts} is for hosts that are not there, which are calculated: leave it out where ranks are ` +
        "measured on several, or behind a link (--shaped)",
    );
  }
}

function checkPlan(given: Partial<Options>, shaped: boolean): void {
  const { algorithm = OPTIONS.algorithm.default } = given;
  if (ALGORITHMS[algorithm].rounds === "none") {
    throw new OptionError(`--algorithm ${algorithm} exchanges nothing: there is nothing to plan`);
  }
  if (given.syncEvery) {
    throw new OptionError(
      "--sync-every has no meaning for a plan, which is about intervals in steps",
    );
  }
  if (given.syncEpochs) {
    throw new OptionError("--sync-epochs is left out of a plan: it adds one round to each epoch");
  }
  if (shaped && !given.link) throw new OptionError("--shaped measures behind a --link: give one");
}
