/**
 * Starts a training run: makes its folder, starts its ranks, follows its metrics.
 *
 * @module
 */

import { join, resolve } from "node:path";
import { permissionsFor, resolveDevice } from "../runtime/devices/open.ts";
import { launchProgram } from "../runtime/launch.ts";
import type { DownloadProgress } from "./data/download.ts";
import { type MetricRecord, MetricsTail, type Summary, type SummaryRecord } from "./metrics.ts";
import { OptionError } from "./option.ts";
import type { Options } from "./options.ts";
import { asOptionError, resolveOptions, tlsOf } from "./resolve.ts";
import {
  FILES,
  makeRunDirectory,
  newConfig,
  readConfig,
  type RunConfig,
  writeConfig,
} from "./run_files.ts";
import { openView, type RunView, type ViewKind } from "./run_view.ts";

/** How to start a run: any option by its name in code, and what code alone can say. */
export interface LaunchOptions extends Partial<Options> {
  /** What is shown on standard error. @default {"silent"} */
  readonly view?: ViewKind;
  /** Is called with each record of the run, soon after it was written. */
  readonly onRecord?: (record: MetricRecord) => void;
  /** Ends the run early, on all ranks. */
  readonly signal?: AbortSignal;
}

/** A finished run. */
export interface Run {
  /** Its folder, an absolute path: `config.json`, `metrics.jsonl`, `model.onnx`, `rank-<r>.log`. */
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

/** Milliseconds between two looks at the metrics of a run that goes on. */
const POLL_MS = 100;

/**
 * Trains on several ranks, each a process of its own, and waits for the end.
 *
 * @param given any option by its name in code; what is left out takes the preset's value, then the
 *   default, which makes a job of about a minute on generated images
 * @throws OptionError when an option has a value it cannot have, before anything is started
 * @throws DataError when a data set cannot be fetched
 * @throws RunFailedError when a rank fails
 *
 * @example
 * ```ts ignore
 * import { launch } from "./launch.ts";
 * const run = await launch({ ranks: 2, interval: 4, maxSteps: 20 });
 * console.log(run.summary.testAccuracy, run.dir);
 * ```
 */
export async function launch(given: LaunchOptions = {}): Promise<Run> {
  const { view: kind = "silent", onRecord, signal, ...rest } = given;
  let options = resolveOptions(rest);
  const device = await resolveDevice(options.device);
  options = { ...options, device };
  if (options.data !== null) options.data = await findData(options, kind);
  const directory = await makeRunDirectory(options);
  await writeConfig(directory, newConfig(options));

  const tls = tlsOf(options);
  await using follower = new Follower(directory, kind, onRecord);
  follower.say(describe(options, directory));
  const outcome = await launchProgram({
    ranks: options.ranks,
    program: new URL(import.meta.resolve("./trainer.ts")),
    args: [directory],
    env: options.env,
    ...(options.cwd === null ? {} : { cwd: options.cwd }),
    permissions: [
      ...permissionsFor(device),
      `--allow-read=${[directory, ...options.data === null ? [] : [options.data]].map(comma)}`,
      `--allow-write=${comma(directory)}`,
    ],
    logDir: directory,
    timeout: options.timeout,
    ...(tls ? { tls } : {}),
    quiet: true,
    onOutput: (rank, line) => follower.say(`[${rank}] ${line}`),
    ...(signal ? { signal } : {}),
  }).catch((error) => {
    throw asOptionError(error);
  });
  await follower.end();
  const { code, failure, interrupted } = outcome;
  if (code !== 0 || !follower.summary) {
    const what = failure?.message ??
      (interrupted ? `the run was ended by ${interrupted}` : "the run ended without a summary");
    throw new RunFailedError(what, code || 1, directory);
  }
  return { dir: directory, summary: follower.summary, config: await readConfig(directory) };
}

/** The data set's folder, absolute; fetched first if that was asked for. */
async function findData(options: Options, kind: ViewKind): Promise<string> {
  const folder = resolve(options.data!);
  if (options.download && options.task === "cifar10") {
    const { downloadCifar10 } = await import("./data/sources.ts");
    return resolve(await downloadCifar10(folder, { onProgress: downloadLines(kind) }));
  }
  const found = await Deno.stat(folder).catch(() => null);
  if (!found?.isDirectory) {
    throw new OptionError(`--data must be a folder that exists, not "${options.data}"`);
  }
  return folder;
}

/** Says how far a download is, each tenth of the way. */
function downloadLines(kind: ViewKind): (progress: DownloadProgress) => void {
  let said = "";
  return ({ url, received, total }) => {
    if (kind === "silent" || total === null) return;
    const line = `fetching ${url}: ${10 * Math.floor(10 * received / total)} %`;
    if (line !== said) console.error(said = line);
  };
}

/** A comma separates paths in Deno's flags; one inside a path is doubled. */
const comma = (path: string) => path.replaceAll(",", ",,");

/** One line on what is about to run. */
function describe(options: Options, directory: string): string {
  const { ranks, model, task, algorithm, interval } = options;
  const everyStep = algorithm === "naive-parallel" || algorithm === "single";
  const rounds = everyStep ? "" : `, I = ${interval}`;
  return `${ranks} ranks, ${model} on ${task}, ${algorithm}${rounds}, into ${directory}`;
}

/** Reads a run's metrics as they grow and shows them. */
class Follower implements AsyncDisposable {
  readonly #directory: string;
  readonly #kind: ViewKind;
  readonly #onRecord?: (record: MetricRecord) => void;
  readonly #tail: MetricsTail;
  readonly #following: Promise<void>;
  #view: RunView | null = null;
  #ending = false;
  #wake = () => {};
  /** The run's last record, once it is there. */
  summary: SummaryRecord | null = null;

  constructor(directory: string, kind: ViewKind, onRecord?: (record: MetricRecord) => void) {
    this.#directory = directory;
    this.#kind = kind;
    this.#onRecord = onRecord;
    this.#tail = new MetricsTail(join(directory, FILES.metrics));
    this.#following = this.#follow();
    // An error is thrown where the end is awaited.
    this.#following.catch(() => {});
  }

  /** Shows a line: above the bar if there is one. */
  say(line: string): void {
    if (this.#kind === "silent") return;
    if (this.#view) this.#view.say(line);
    else console.error(line);
  }

  /** Takes in the last records and closes the view. */
  async end(): Promise<void> {
    this.#ending = true;
    this.#wake();
    await this.#following;
    this.#view?.[Symbol.dispose]();
    this.#view = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end().catch(() => {});
  }

  async #follow(): Promise<void> {
    for (;;) {
      const last = this.#ending;
      for (const record of this.#tail.read()) await this.#take(record);
      if (last) return;
      await new Promise<void>((wake) => {
        const timer = setTimeout(wake, POLL_MS);
        this.#wake = () => {
          clearTimeout(timer);
          wake();
        };
      });
    }
  }

  async #take(record: MetricRecord): Promise<void> {
    if (!this.#view && this.#kind !== "silent") {
      const { plan } = await readConfig(this.#directory);
      if (plan) {
        const weights = plan.parameters.toLocaleString("en-US");
        this.say(`${plan.device}; ${weights} weights, ${plan.trainSamples} training samples`);
      }
      this.#view = await openView(this.#kind, plan?.steps ?? 0);
    }
    if (record.type === "summary") this.summary = record;
    this.#view?.record(record);
    this.#onRecord?.(record);
  }
}
