/**
 * Plans a run: measures what a step and an exchange cost here, and predicts what they come to.
 *
 * @module
 */

import { counted } from "../../runtime/base/words.ts";
import { firstError } from "../../runtime/base/errors.ts";
import { findData, sayDownload } from "../launch/downloads.ts";
import {
  type Interval,
  parseInterval,
  peakAhead,
  roundsOf,
} from "../../optimizers/rounds/interval.ts";
import { BASELINE } from "../../optimizers/registry.ts";
import type { NetworkCost } from "../../runtime/collectives/allreduce_cost.ts";
import { resolveDevice } from "../../runtime/devices/open.ts";
import { codecOf } from "../../runtime/compression/registry.ts";
import type { World } from "../../runtime/launcher/across_hosts.ts";
import { openHosts, tellHosts } from "../launch/run_hosts.ts";
import type { ViewKind } from "../launch/view.ts";
import { modelName } from "../options/network_names.ts";
import type { Options } from "../options/table.ts";
import { stepSizeAt } from "../options/stepping/step_size.ts";
import { checkData } from "../problems/check_inputs.ts";
import { comparisonOf } from "./comparison.ts";
import { type PlannedSize, planSizes } from "./curve.ts";
import { networkBehind, type Scale } from "./exchange_cost.ts";
import type { Measured } from "./measured.ts";
import { measureRanks } from "./measure_ranks.ts";
import { type PlanOptions, requestOf } from "./plan_options.ts";
import { plannedAlgorithm } from "./planned.ts";
import { predict, type Prediction } from "./predict.ts";
import { type Advice, advise, type PlannedSetting, type Setting } from "./settings.ts";

export type { PlanOptions } from "./plan_options.ts";

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
   * where the options name none, as far as they go with the other options and have a round within the run.
   */
  readonly settings: readonly PlannedSetting[];
  /** The cheapest of the settings, and the fastest, see `settings.ts`. */
  readonly advice: Advice | null;
  /** η and γ over the run, at steps spread evenly over it. */
  readonly sizes: readonly PlannedSize[];
  /** What the prediction rests on. */
  readonly measured: Measured;
}

/** A link that holds nothing up. */
const NO_LINK = "0ms";

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
  const say = (given.view ?? "silent") === "silent"
    ? undefined
    : (line: string) => console.error(line);
  return await firstError(measureAndPredict(given, say), say ?? (() => {}));
}

async function measureAndPredict(
  { view = "silent", signal, ...asked }: PlanOptions,
  say: ((line: string) => void) | undefined,
): Promise<RunPlan> {
  const { place = null } = asked;
  const request = await requestOf(asked), { hosts, link, shaped } = request;
  await using world = request.isAcross
    ? await openHosts(request.given, { place, signal, say: say ?? (() => {}) })
    : null;
  const found = withDeviceAndData(request.options, view, say);
  const options = await tellHosts(world, found), { ranks } = options;
  const compared = comparisonOf(request.ofAllHosts, options, request.intervals);
  const { algorithm, intervals, fragments, codecs, settings } = compared;
  const there = hosts === null ? options : onOneOf(hosts, options);
  const network = `${modelName(options.model)} on ${options.task}`;
  say?.(`measuring some steps of ${network} with ${counted(there.ranks, "rank")}`);
  const measured = await measureRanks({
    options: there,
    algorithms: [algorithm, BASELINE],
    intervals,
    fragments,
    codecs,
  }, {
    // A calculated link adds to what ranks that share no memory take without one.
    link: shaped ? link : link !== null && hosts === null ? NO_LINK : null,
    signal,
    hosts: world,
    device: request.options.device,
  });
  const { steps, epochs } = runOf(measured, options), hostCount = hosts ?? hostsOf(world);
  const predictOne = predictor(measured, options, { steps, epochs }, {
    network: link === null || shaped ? null : networkBehind(link),
    scale: { ranks, hosts: hostCount ?? ranks },
  });
  const baseline = predictOne(BASELINE, {});
  const runs = [
    { algorithm: BASELINE, interval: null, ...baseline },
    ...intervals.map((interval) => (
      { algorithm, interval, ...predictOne(algorithm, { interval }) }
    )),
  ];
  const rate = peakRate(options, { steps, epochs });
  const predicted = settings
    .filter(({ fragments }) => fragments === 1 || measured.parts?.[fragments] !== undefined)
    // A run that comes to no round before its end is not local SGD with a longer I: it is trained apart.
    .filter(({ interval }) => firstRound(interval, rate) <= steps)
    .map((setting) => ({ ...setting, ...predictOne(algorithm, setting) }));
  return {
    steps,
    epochs,
    ranks,
    hosts: hostCount,
    link,
    runs: runs.map((run) => ({ ...run, speedup: baseline.seconds / run.seconds })),
    settings: predicted,
    advice: advise(predicted, request.tolerance),
    sizes: planSizes(options, steps, epochs),
    measured,
  };
}

/** The options with this machine's device, and the folder where their data is, which is looked at. */
async function withDeviceAndData(
  options: Options,
  view: ViewKind,
  say: ((line: string) => void) | undefined,
): Promise<Options> {
  const device = await resolveDevice(options.device, say && sayDownload(say));
  const data = options.data === null ? null : await findData(options, view);
  const found = { ...options, device, data };
  await checkData(found);
  return found;
}

/** The run of one of so many hosts. */
function onOneOf(hosts: number, options: Options): Options {
  return { ...options, ranks: options.ranks / hosts, participants: null, maxSteps: null };
}

/** How many hosts there are; null for ranks of one. */
function hostsOf(world: World | null): number | null {
  const count = new Set(world?.hosts.map(({ host }) => host)).size;
  return count > 1 ? count : null;
}

/** The run of all ranks, from that of those which were measured: together they take as many samples. */
function runOf({ run, ranks }: Measured, options: Options): Measured["run"] {
  if (ranks === options.ranks) return run;
  const whole = Math.max(1, Math.ceil(run.steps * ranks / options.ranks));
  const steps = Math.min(whole, options.maxSteps ?? Infinity);
  return { steps, epochs: run.epochs * steps * options.ranks / (run.steps * ranks) };
}

/** Where a plan's runs are. */
interface PlannedPlace {
  /** The network that they will have; null: the one that was measured. */
  readonly network: NetworkCost | null;
  readonly scale: Scale;
}

/** Predicts runs of the options, with the algorithm that is named and what differs. */
function predictor(
  measured: Measured,
  options: Options,
  run: Measured["run"],
  { network, scale }: PlannedPlace,
): (name: Options["algorithm"], setting: Partial<Setting>) => Prediction {
  const learningRate = peakRate(options, run);
  const participants = options.participants ?? options.ranks;
  return (name, setting) => {
    const own = { ...options, ...setting };
    const algorithm = plannedAlgorithm(own, name, { learningRate });
    const codec = codecOf(own.compress);
    return predict(measured, algorithm, run.steps, { network, participants, scale, codec });
  };
}

/** The highest η from step t on, by which some schedules of I go. */
function peakRate(options: Options, { steps, epochs }: Measured["run"]): (t: number) => number {
  const rate = (t: number) =>
    stepSizeAt(options, { done: t - 1, steps, epoch: epochs * (t - 1) / steps }).learningRate;
  return peakAhead(rate, steps);
}

/** The step after which the first round is due. */
function firstRound(interval: Interval, learningRate: (t: number) => number): number {
  return roundsOf(parseInterval(interval), learningRate).roundOf(1).end;
}
