/**
 * Plans a run: measures what a step and an exchange cost here, and predicts what they come to.
 *
 * @module
 */

import { sayDownload } from "../launch/engine_download.ts";
import { join } from "node:path";
import { ALGORITHMS, BASELINE } from "../../optimizers/registry.ts";
import { resolveDevice } from "../../runtime/devices/open.ts";
import { launchProgram } from "../../runtime/launcher/launch.ts";
import { parseLink } from "../../runtime/transport/access_link.ts";
import { checkInputs } from "../problems/check_inputs.ts";
import { keepInputs, readInputs } from "../run/inputs.ts";
import { findData, processesOf, RunFailedError } from "../launch/launch.ts";
import { OptionError } from "../options/kinds.ts";
import { OPTIONS, type Options } from "../options/table.ts";
import { asOptionError } from "../options/as_option_error.ts";
import { resolveOptions } from "../options/resolve.ts";
import type { ViewKind } from "../launch/view.ts";
import type { MeasureOptions } from "./measure.ts";
import type { Measured } from "./measured.ts";
import { plannedAlgorithm } from "./planned.ts";
import { checkData } from "../problems/check_inputs.ts";
import { predict, type Prediction } from "./predict.ts";
import type { PlanArguments } from "./rank.ts";

/** What is to be planned: options of `launch` by their names in code. */
export interface PlanOptions extends
  Partial<
    Omit<Options, "resume" | "checkpointEvery" | "maxRestarts" | "out" | "json" | "quiet">
  > {
  /**
   * Whether to measure with the ranks behind `link`, instead of measuring this machine's own network
   * and calculating what the link adds. @default {false}
   */
  readonly shaped?: boolean;
  /** The intervals to predict. @default {1, 2, 4, 8, 16, 32 and `interval`} */
  readonly intervals?: readonly number[];
  /** What is shown on standard error. @default {"silent"} */
  readonly view?: ViewKind;
  /** Ends the measurements early, on all ranks. */
  readonly signal?: AbortSignal;
}

/** One line of a plan. */
export interface PlannedRun extends Prediction {
  /** As in `--algorithm`. */
  readonly algorithm: Options["algorithm"];
  /** I; null for an algorithm that does not take it. */
  readonly interval: number | null;
  /** The baseline's seconds over this run's. */
  readonly speedup: number;
}

/** A plan. */
export interface RunPlan {
  /** Steps of each rank. */
  readonly steps: number;
  /** Passes over the training data, by all ranks together. */
  readonly epochs: number;
  /** The access link that the prediction is for; null: the network that was measured. */
  readonly link: string | null;
  /** Naive-parallel, the baseline, first; then the intervals in increasing order. */
  readonly runs: readonly PlannedRun[];
  /** What the prediction rests on. */
  readonly measured: Measured;
}

const INTERVALS = [1, 2, 4, 8, 16, 32];

/** The program of the ranks that measure. */
const PLAN_PROGRAM = new URL(import.meta.resolve("./rank.ts"));

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
  const { shaped = false, intervals, view = "silent", signal, ...rest } = given;
  const options = resolveOptions(rest);
  checkPlan(rest, shaped);
  const say = view === "silent" ? undefined : (line: string) => console.error(line);
  options.device = await resolveDevice(options.device, say && sayDownload(say));
  if (options.data !== null) options.data = await findData(options, view);
  await checkData(options);
  const { link, ranks } = options;
  const hasRounds = ALGORITHMS[options.algorithm].rounds === "interval";
  const algorithm = hasRounds ? options.algorithm : OPTIONS.algorithm.default;
  const all = [...new Set(intervals ?? [...INTERVALS, options.interval])].sort((a, b) => a - b);
  const asked = { options, algorithms: [algorithm, BASELINE], intervals: all };
  const measured = await measureRanks(asked, shaped, signal);
  const { steps, epochs } = measured.run;
  const shape = link === null || shaped ? null : parseLink(link);
  const network = shape && {
    latencySeconds: shape.delayMs / 1000,
    bytesPerSecond: shape.bitsPerSecond / 8,
  };
  const predictOne = (name: Options["algorithm"], interval: number | null) => {
    const described = plannedAlgorithm(options, name, interval ?? options.interval);
    const participants = options.participants ?? ranks;
    return {
      algorithm: name,
      interval,
      ...predict(measured, described, steps, network, participants),
    };
  };
  const runs = [
    predictOne(BASELINE, null),
    ...all.map((interval) => predictOne(algorithm, interval)),
  ];
  const [baseline] = runs;
  return {
    steps,
    epochs,
    link,
    runs: runs.map((run) => ({ ...run, speedup: baseline.seconds / run.seconds })),
    measured,
  };
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

async function measureRanks(
  asked: MeasureOptions,
  shaped: boolean,
  signal: AbortSignal | undefined,
): Promise<Measured> {
  const { options } = asked;
  const directory = await Deno.realPath(await Deno.makeTempDir({ prefix: "celgc-plan-" }));
  try {
    const files = await readInputs(options);
    await checkInputs(options, files);
    await keepInputs(directory, files);
    await Deno.writeTextFile(join(directory, "options.json"), JSON.stringify(asked));
    const { link: _, ...processes } = processesOf(options, directory);
    const { code, failure, interrupted } = await asOptionError(null, () =>
      launchProgram({
        ...processes,
        ...(shaped && options.link !== null ? { link: options.link } : {}),
        program: PLAN_PROGRAM,
        args: [directory] satisfies PlanArguments,
        ...(signal ? { signal } : {}),
      }));
    if (code !== 0) {
      const what = failure?.message ?? `the measurements were ended by ${interrupted}`;
      throw new RunFailedError(what, code, directory);
    }
    return JSON.parse(await Deno.readTextFile(join(directory, "measured.json")));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
