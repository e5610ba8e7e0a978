/**
 * The paper's figures made again: runs what is not finished, draws what is.
 *
 * @module
 */

import { join, resolve } from "node:path";
import { systemReason } from "../../runtime/base/system_error.ts";
import { findData } from "../launch/downloads.ts";
import type { ViewKind } from "../launch/view.ts";
import { closest, hintOf, OptionError } from "../options/kinds.ts";
import { notAFolder } from "../sweep/cell_folder.ts";
import { sweep, type SweepRun } from "../sweep/sweep.ts";
import { drawFigure, type DrawnFigure } from "./draw.ts";
import { type FigureRecord, FIGURES } from "./figures.ts";
import { readLines, type RunLine } from "./lines.ts";
import { PAGE, resultsPage } from "./page.ts";
import { type RunChoice, type SweepName, SWEEPS, sweepsOf } from "./sweeps.ts";

/** What is to be made again. */
export interface ReproduceOptions extends RunChoice {
  /** Names of figures; none: all. */
  readonly figures: readonly string[];
  /** Where runs go: a folder for each sweep. */
  readonly out: string;
  /** Where figures, numbers and page go. */
  readonly page: string;
  /** Whether to fetch data that is not there. */
  readonly download: boolean;
  /** Whether to run nothing, and draw what is finished. */
  readonly draw: boolean;
  /** Sentences for the page. */
  readonly note: string;
  readonly view: ViewKind;
  readonly say: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** What was made. */
export interface Reproduced {
  readonly figures: readonly DrawnFigure[];
  /** Runs that were not finished when all was drawn. */
  readonly missing: number;
  /** What is wrong with runs that have failed, in sentences. */
  readonly failed: readonly string[];
  /** What ended it early; null if nothing did. */
  readonly interrupted: SweepRun["interrupted"];
}

/**
 * Runs the cells that are missing, seed by seed so that a first seed of every figure comes first, and writes the
 * page after each.
 *
 * @throws OptionError for a figure that there is not, data that is not there, folders that cannot be made
 */
export async function reproduce(options: ReproduceOptions): Promise<Reproduced> {
  const records = recordsOf(options.figures);
  const out = resolve(options.out);
  if (await isFile(out)) throw notAFolder(out);
  let interrupted: SweepRun["interrupted"] = null;
  let drawn: DrawnFigure[] | null = null;
  const failed: string[] = [];
  if (!options.draw) {
    await bringData(records, options);
    await makePageFolder(options.page);
    for (const { name, seed } of seedBySeed(records)) {
      options.say(`${name}, seed ${seed} …`);
      const ended = await runSeed(options, name, seed, join(out, name));
      failed.push(...ended.failed);
      drawn = await draw(options, out);
      interrupted = ended.interrupted;
      if (interrupted !== null) break;
    }
  }
  drawn ??= await draw(options, out);
  const figures = drawn.filter(({ record }) => records.includes(record));
  // Several figures may be of the same lines.
  const missing = [...new Set(figures.flatMap(({ lines }) => lines))]
    .reduce((sum, { runs, seeds }) => sum + seeds - runs.length, 0);
  return { figures, missing, failed, interrupted };
}

/** What is to be run for some figures: the first seed of each of their sweeps, then the second of each, and so on. */
function seedBySeed(
  records: readonly FigureRecord[],
): { readonly name: SweepName; readonly seed: number }[] {
  const names = [...new Set(records.map(({ sweep }) => sweep))];
  const most = Math.max(...names.map((name) => SWEEPS[name].seeds.length));
  return Array.from({ length: most }, (_, turn) => turn).flatMap((turn) =>
    names.flatMap((name) =>
      SWEEPS[name].seeds.slice(turn, turn + 1).map((seed) => ({ name, seed }))
    )
  );
}

/** Runs the cells of a sweep that are missing of one seed. */
async function runSeed(
  { view, signal, ...choice }: ReproduceOptions,
  name: SweepName,
  seed: number,
  out: string,
): Promise<Pick<Reproduced, "failed" | "interrupted">> {
  const failed: string[] = [];
  for (const swept of sweepsOf(SWEEPS[name], seed, choice)) {
    const { interrupted, problems, cells } = await sweep({ ...swept, out, view, signal });
    failed.push(
      ...problems,
      ...cells.filter(({ status }) => status === "failed")
        .map((cell) => `${name}, seed ${seed}, ${cell.name}: ${cell.message}`),
    );
    if (interrupted !== null) return { failed, interrupted };
  }
  return { failed, interrupted: null };
}

const isFile = (path: string) => Deno.stat(path).then((info) => info.isFile, () => false);

/** Before anything runs: what has taken hours is not to fail for want of a folder. */
async function makePageFolder(page: string): Promise<void> {
  try {
    await Deno.mkdir(page, { recursive: true });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new OptionError(`--page ${page} cannot be made: ${systemReason(error)}`, {
      cause: error,
    });
  }
}

/** Before anything runs: fetches data if that is wanted, and refuses what is not there. */
async function bringData(
  records: readonly FigureRecord[],
  { data, download, view }: ReproduceOptions,
): Promise<void> {
  const tasks = records.flatMap(({ sweep }) => SWEEPS[sweep].sweeps.map(({ task }) => task));
  for (const task of new Set(tasks)) {
    const folder = join(data, task);
    if (download) {
      await findData({ task, data: folder, download, mirror: [] }, view);
      continue;
    }
    const there = await Deno.stat(folder).then(({ isDirectory }) => isDirectory, () => false);
    if (there) continue;
    throw new OptionError(
      `--data must be a folder that holds ${task}/ in its official layout, not ${data}: bring it there, or let ` +
        "--download fetch it",
    );
  }
}

/**
 * Draws every figure that has a finished run, and the page of all.
 *
 * @throws OptionError if nothing was to be run, and there is no finished run
 */
async function draw(
  { page, note, ...choice }: ReproduceOptions,
  out: string,
): Promise<DrawnFigure[]> {
  const figures: DrawnFigure[] = [];
  const read = new Map<SweepName, RunLine[]>();
  for (const record of FIGURES) {
    const lines = read.get(record.sweep) ??
      await readLines(SWEEPS[record.sweep], out, choice);
    read.set(record.sweep, lines);
    figures.push(await drawFigure(record, lines));
  }
  const drawn = figures.filter(({ lines }) => lines.some(({ runs }) => runs.length > 0));
  if (choice.draw && drawn.length === 0) {
    throw new OptionError(
      `--draw draws what is finished, and ${out} holds no finished run of these figures with --data ${choice.data} and ` +
        `--scale ${choice.scale}: without --draw they are run`,
    );
  }
  await makePageFolder(page);
  // A picture of nothing says nothing.
  for (const { record, ...figure } of drawn) {
    for (const [file, svg] of figure.pictures) await Deno.writeTextFile(join(page, file), svg);
    await Deno.writeTextFile(join(page, `${record.name}.csv`), figure.csv);
  }
  await Deno.writeTextFile(join(page, PAGE), resultsPage(figures, { note, scale: choice.scale }));
  return figures;
}

/** The figures of these names, or all; throws OptionError for a name of none. */
function recordsOf(names: readonly string[]): readonly FigureRecord[] {
  const known = FIGURES.map(({ name }) => name);
  const wrong = names.find((name) => !known.includes(name));
  if (wrong !== undefined) {
    const hint = hintOf(closest(wrong, known));
    throw new OptionError(`there is no figure "${wrong}": they are ${known.join(", ")}${hint}`);
  }
  return names.length === 0 ? FIGURES : FIGURES.filter(({ name }) => names.includes(name));
}
