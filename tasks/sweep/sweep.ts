/**
 * Runs a sweep: one run for each cell, each in a folder of its own, finished ones not again.
 *
 * @module
 */

import { firstError } from "../../runtime/base/errors.ts";
import { systemReason } from "../../runtime/base/system_error.ts";
import { sayDownload } from "../launch/downloads.ts";
import { resolveDevice } from "../../runtime/devices/open.ts";
import { join, resolve } from "node:path";
import { becomeCompiledRank } from "../../runtime/ranks/compiled_rank.ts";
import { DataError } from "../data/data_error.ts";
import { launch, type LaunchOptions, RunFailedError } from "../launch/launch.ts";
import {
  ENDING_SIGNALS,
  type EndingSignal,
  signalCode,
} from "../../runtime/launcher/interrupts.ts";
import { lockFolder } from "../run/lock.ts";
import { OptionError } from "../options/kinds.ts";
import type { LauncherPlace, World } from "../../runtime/launcher/across_hosts.ts";
import { leavesHost, openHosts, sizeOf, tellHosts } from "../launch/run_hosts.ts";
import type { Options } from "../options/values.ts";
import type { ViewKind } from "../launch/view.ts";
import type { Swept } from "./axes.ts";
import {
  beginCell,
  CellFolders,
  failCell,
  finishCell,
  notAFolder,
  writeWhole,
} from "./cell_folder.ts";
import { type Cell, type CellPlan, planCells } from "./cells.ts";
import {
  type CellOutcome,
  type CellResult,
  compareCells,
  findProblems,
  readRun,
  summaryDocument,
} from "./results.ts";
import { formatCsv } from "./table.ts";
import { openSweepView } from "./view.ts";

/** Names of a sweep's own files inside its folder. */
export const SWEEP_FILES = { json: "summary.json", csv: "summary.csv" } as const;

/** A file that is locked while a sweep writes to its folder. */
const LOCK_FILE = ".sweep.lock";

/** How to sweep: any option of `launch` by its name in code; those with several values are axes. */
export interface SweepOptions extends Swept {
  /** Adds the paper's baseline, naive-parallel, for each setting that applies to it. @default {false} */
  readonly baseline?: boolean;
  /** What is shown on standard error. @default {"silent"} */
  readonly view?: ViewKind;
  /** Ends the sweep early: cells that have finished are kept. */
  readonly signal?: AbortSignal;
  /** This process's place among launchers that something else has started. @default {there are no others} */
  readonly place?: LauncherPlace | null;
}

/** A sweep that has ended. */
export interface SweepRun {
  /** Its folder, an absolute path, with `summary.json`, `summary.csv` and a folder for each cell. */
  readonly dir: string;
  /** Names in code of the options that tell the cells apart. */
  readonly axes: readonly string[];
  /** Baselines first, then in the order of the axes. */
  readonly cells: readonly CellResult[];
  /** What makes cells hard to compare, in sentences; none, as a rule. */
  readonly problems: readonly string[];
  /** The signal that ended the sweep early; null if all cells had their turn. */
  readonly interrupted: EndingSignal | "abort" | null;
}

/**
 * Runs the product of all options that have several values, one cell after the other. All cells of one
 * seed start from the same weights and see the samples in the same order.
 *
 * A cell that a sweep has finished in the same folder, under whatever name, is not run again, unless
 * its files have changed since; so a sweep that was ended goes on when it is started again. A cell that
 * fails is noted, and the others go on. SIGINT, SIGTERM and SIGUSR1 to this process end the sweep early.
 *
 * @param given `out` is the folder of the sweep; `runs/<time>-sweep` by default
 * @throws OptionError before anything is started, when an option or a combination is not possible, or
 *   another sweep is writing to the same folder
 *
 * @example
 * ```ts ignore
 * import { sweep } from "./sweep.ts";
 * const { cells } = await sweep({ ranks: 8, interval: [1, 2, 4], baseline: true, out: "runs/i" });
 * for (const { name, summary, speedup } of cells) console.log(name, summary?.trainLoss, speedup);
 * ```
 */
export async function sweep(given: SweepOptions = {}): Promise<SweepRun> {
  await becomeCompiledRank(); // in a rank of a compiled program there is nothing to sweep
  const { view = "silent" } = given;
  const say = (line: string) => void (view === "silent" || console.error(line));
  return await firstError(runCells({ ...given, view }, say), say);
}

async function runCells(
  { baseline, view: kind, signal, place = null, out, ...swept }: SweepOptions & {
    readonly view: ViewKind;
  },
  say: (line: string) => void,
): Promise<SweepRun> {
  await using stack = new AsyncDisposableStack();
  const { world: _, hosts: _hosts, hostfile: _names, port: _port, invitation: _file, ...rest } =
    swept;
  const across = hostsOf(swept, place);
  // What is refused is refused before anybody waits.
  const options = across ? { ...rest, ranks: await sizeOf(across, place) } : rest;
  const plan = planCells(options, baseline);
  const on = across && stack.use(await openHosts(across, { place, signal, say }));
  const run = await tellHosts(on, runPlan(plan, { kind, signal, out: out ?? null, on }));
  // Theirs is the state of the sweep, not that of its last cell.
  if (on) on.outcome = { ...on.outcome, code: exitCodeOf(run) };
  return run;
}

/** What all cells of a sweep have in common. */
interface Running {
  readonly kind: ViewKind;
  readonly signal: AbortSignal | undefined;
  readonly out: string | null;
  /** The hosts that have joined; null: this one alone. */
  readonly on: World | null;
}

async function runPlan(plan: CellPlan, { kind, signal, out, on }: Running): Promise<SweepRun> {
  await using stack = new AsyncDisposableStack();
  const dir = await makeFolder(out);
  stack.use(await lock(dir));
  const stop = stack.use(new Interruption(signal));
  const folders = await CellFolders.open(dir);
  const view = stack.use(openSweepView(kind, plan.cells));
  for (const note of plan.notes) view.say(`note: ${note}`);
  const devices = new Set(plan.cells.map(({ options }) => options.device));
  for (const device of devices) {
    await resolveDevice(device, sayDownload((line) => view.say(line)));
  }
  const outcomes: CellOutcome[] = [];
  let result = compare(dir, plan, outcomes, stop);
  for (const [index, cell] of plan.cells.entries()) {
    const { path, finished, damage } = await folders.find(cell);
    let outcome = notRun(cell, path);
    if (finished) {
      outcome = { ...outcome, status: "finished", reused: true, run: await readRun(path) };
    } else if (stop.how === null) {
      view.begin(index, cell, damage);
      outcome = await runCell(path, cell, stop, on, (record) => view.record(record));
    }
    outcomes.push(outcome);
    if (outcome.status !== "pending") view.end(index, outcome);
    result = compare(dir, plan, outcomes, stop);
    await writeSummary(result);
  }
  return result;
}

/** What a process ends with that has run a sweep. */
export function exitCodeOf({ cells, problems, interrupted }: SweepRun): number {
  if (interrupted !== null) return signalCode(interrupted);
  return problems.length > 0 || cells.some(({ status }) => status === "failed") ? 1 : 0;
}

/** What a sweep has come to so far. */
function compare(
  dir: string,
  { axes }: CellPlan,
  outcomes: readonly CellOutcome[],
  { how }: Interruption,
): SweepRun {
  const cells = compareCells(outcomes), problems = findProblems(outcomes);
  return { dir, axes, cells, problems, interrupted: how };
}

/** Writes the files of a sweep's own. */
async function writeSummary({ dir, axes, cells, problems }: SweepRun): Promise<void> {
  await writeWhole(join(dir, SWEEP_FILES.json), summaryDocument(dir, axes, cells, problems));
  await writeWhole(join(dir, SWEEP_FILES.csv), await formatCsv(dir, axes, cells));
}

/** What is known of a cell before its turn. */
function notRun(cell: Cell, dir: string): CellOutcome {
  return { cell, dir, status: "pending", reused: false, message: null, run: null };
}

/** What says which hosts all cells run on, one after the other; null: this one. */
function hostsOf({ ranks, ...rest }: Swept, place: LauncherPlace | null): Partial<Options> | null {
  const { world, hosts, hostfile, port, invitation, listen, timeout, transport } = rest;
  const given = { world, hosts, hostfile, port, invitation, listen, timeout, transport };
  if (!leavesHost({ ...given, ranks: typeof ranks === "number" ? ranks : undefined }, place)) {
    return null;
  }
  if (typeof ranks === "object") {
    throw new OptionError("--ranks has one value in a sweep on several hosts: those of this host");
  }
  return { ...given, ...ranks ? { ranks } : {} };
}

/** Runs a cell; a failure is an outcome, not an error. */
async function runCell(
  dir: string,
  cell: Cell,
  stop: Interruption,
  on: World | null,
  onRecord: LaunchOptions["onRecord"],
): Promise<CellOutcome> {
  const outcome = notRun(cell, dir);
  await beginCell(dir, cell);
  try {
    // One rank, of the algorithm that has one, is here.
    const hosts = on && cell.options.ranks === on.size ? { on } : {};
    await launch({ ...cell.options, ...hosts, out: dir, signal: stop.signal, onRecord });
    const run = await readRun(dir);
    await finishCell(dir, cell);
    return { ...outcome, status: "finished", run };
  } catch (error) {
    if (stop.how !== null) return outcome;
    if (!(error instanceof Error)) throw error;
    // A rank's failure tells its own story; anything else may be a fault of the program.
    const expected = [RunFailedError, OptionError, DataError].some((kind) => error instanceof kind);
    const message = expected || !error.stack ? error.message : error.stack;
    await failCell(dir, cell, message);
    return { ...outcome, status: "failed", message };
  }
}

/** Makes the sweep's folder; throws OptionError where that cannot be. */
async function makeFolder(out: string | null): Promise<string> {
  const time = new Date().toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-");
  const dir = resolve(out ?? join("runs", `${time}-sweep`));
  try {
    await Deno.mkdir(dir, { recursive: true });
  } catch (error) {
    const { AlreadyExists, NotADirectory } = Deno.errors;
    if (error instanceof AlreadyExists || error instanceof NotADirectory) {
      throw notAFolder(dir, error);
    }
    if (!(error instanceof Error)) throw error;
    throw new OptionError(`--out ${dir} cannot be made: ${systemReason(error)}`, { cause: error });
  }
  return dir;
}

/** Keeps other sweeps out of a folder; released by the system should this process be killed. */
async function lock(dir: string): Promise<AsyncDisposable> {
  const held = await lockFolder(dir, LOCK_FILE);
  if (held !== null) return held;
  throw new OptionError(
    `--out ${dir} is in use by another sweep: wait for its end, or name another folder`,
  );
}

/** Whether, and by what, the sweep was told to end early. */
class Interruption implements Disposable {
  readonly #controller = new AbortController();
  readonly #handlers: [Deno.Signal, () => void][] = [];
  readonly #outer?: AbortSignal;
  how: EndingSignal | "abort" | null = null;

  constructor(outer?: AbortSignal) {
    this.#outer = outer;
    outer?.addEventListener("abort", this.#onAbort);
    if (outer?.aborted) this.#onAbort();
    const signals = Deno.build.os === "windows" ? ["SIGINT"] as const : ENDING_SIGNALS;
    for (const name of signals) {
      const handler = () => this.#stop(name);
      Deno.addSignalListener(name, handler);
      this.#handlers.push([name, handler]);
    }
  }

  /** Ends the run that goes on. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  readonly #onAbort = () => this.#stop("abort");

  #stop(how: NonNullable<Interruption["how"]>): void {
    this.how ??= how;
    this.#controller.abort();
  }

  [Symbol.dispose](): void {
    this.#outer?.removeEventListener("abort", this.#onAbort);
    for (const [name, handler] of this.#handlers) Deno.removeSignalListener(name, handler);
  }
}
