/**
 * The cells of a sweep: the product of its axes, each cell with its resolved options, a readable name
 * and the hash by which a finished one is recognised.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { BASELINE } from "../../optimizers/registry.ts";
import { OptionError } from "../options/kinds.ts";
import {
  checkOptions,
  defaultOptions,
  EXPERIMENT,
  type OptionName,
  OPTIONS,
  type Options,
} from "../options/table.ts";
import { defaultsOf, TASKS } from "../options/defaults.ts";
import { resolveOptions } from "../options/resolve.ts";
import { type Axis, splitAxes, type Swept } from "./axes.ts";
import { ignoredBy, ignoredByModel, ignoredByTask } from "../options/applies.ts";

/** Counts the changes of what a cell's folder or a run's numbers mean; a cell of another format is run again. */
export const CELL_FORMAT = 1;

/** One run of a sweep. */
export interface Cell {
  /** Name of its folder, such as `interval=4_lr=0.1`. */
  readonly name: string;
  /** Its value on each axis; null on an axis that does not apply to its algorithm. */
  readonly at: Readonly<Record<string, unknown>>;
  /** Every option as resolved, without a folder. */
  readonly options: Options;
  /** SHA-256 of the options that matter, as far as they are not their defaults; hexadecimal. */
  readonly hash: string;
}

/** What is to be run. */
export interface CellPlan {
  /** The options that tell the cells apart, by their names in code. */
  readonly axes: readonly string[];
  /** The baselines first, then the product of the axes, the last axis fastest. */
  readonly cells: readonly Cell[];
  /** What a person should know of the cells, in sentences. */
  readonly notes: readonly string[];
}

/** Options that decide what a run comes to, or how long it takes; the others change where it is shown or kept. */
const DECIDING = new Set<string>([
  ...Object.keys(EXPERIMENT),
  ...[
    "device",
    "threads",
    "data",
    "link",
    "transport",
    "connections",
    "env",
    "onFailure",
    "replay",
  ],
]);

/**
 * Plans a sweep.
 *
 * @param given options, of which those with several values are axes
 * @param baseline whether to add the naive parallel cells
 * @throws OptionError if an option, or a combination of them, is not possible
 */
export function planCells(given: Swept, baseline = false): CellPlan {
  if (given.resume != null) {
    throw new OptionError(
      "--resume is for one run: a sweep goes on with the command that began it and the same --out",
    );
  }
  const { axes, fixed: one } = splitAxes(given as Record<string, unknown>);
  const fixed = checkOptions(one);
  const varies = baseline || axes.some(({ name }) => name === "algorithm");
  const points = product(axes);
  const naive = baseline ? points.map((at) => ({ ...at, algorithm: BASELINE })) : [];
  const cells = new Map<string, Cell>(), notes = new Set<string>();
  if (points.length === 1 && !baseline) {
    notes.add("one run, since no option has several values, as in --interval 1,4,16");
  }
  for (const at of [...naive, ...points]) {
    const { cell, note } = makeCell(axes, fixed, at, varies);
    if (!cells.has(cell.hash)) cells.set(cell.hash, cell);
    if (note !== null) notes.add(note);
  }
  const named = uniqueNames([...cells.values()]);
  const names = axes.map(({ name }) => name as string);
  return {
    axes: baseline && !names.includes("algorithm") ? ["algorithm", ...names] : names,
    cells: named,
    notes: [...notes],
  };
}

/** Every combination of the axes' values. */
function product(axes: readonly Axis[]): Record<string, unknown>[] {
  return axes.reduce<Record<string, unknown>[]>(
    (points, { name, values }) =>
      points.flatMap((point) => values.map((value) => ({ ...point, [name]: value }))),
    [{}],
  );
}

/** @param varies whether cells differ in their algorithm: fixed options then go with some of them */
function makeCell(
  axes: readonly Axis[],
  fixed: Readonly<Record<string, unknown>>,
  at: Readonly<Record<string, unknown>>,
  varies: boolean,
): { cell: Cell; note: string | null } {
  const given = { ...fixed, ...at };
  const all: Options = { ...defaultsOf(given), ...given as Partial<Options> };
  const { algorithm, task, model } = all;
  const ignored = ignoredBy(algorithm);
  // What decides whether an option has an effect, the options that have none, and whether cells differ in it.
  const deciders = [
    { names: ignored, differ: varies },
    { names: ignoredByTask(task), differ: "task" in at },
    { names: ignoredByModel(model), differ: "model" in at },
  ];
  const applies = ([name]: [string, unknown]) =>
    deciders.every(({ names, differ }) =>
      !names.includes(name as OptionName) || !(differ || name in at)
    );
  const applying = Object.fromEntries(Object.entries(at).filter(applies));
  const label = labelOf(axes, applying, algorithm);
  const applied = Object.fromEntries(Object.entries(given).filter(applies));
  const options = resolveCell(label, applied), { ranks, participants } = options;
  const coordinates = Object.fromEntries(
    Object.keys(at).map((name) => [name, name in applying ? applying[name] : null]),
  );
  const cell = {
    name: label,
    at: varies ? { algorithm, ...coordinates } : coordinates,
    options: { ...options, out: null },
    hash: hashOf(options),
  };
  const drawn = varies && algorithm === BASELINE && participants !== null && participants < ranks;
  const note = drawn
    ? `${algorithm} averages ${participants} of the ${ranks} ranks too, drawn anew for each step; the ` +
      "others sit it out"
    : null;
  return { cell, note };
}

function resolveCell(label: string, given: Readonly<Record<string, unknown>>): Options {
  try {
    return resolveOptions(given);
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    throw new OptionError(`${error.message} (cell ${label})`, { cause: error });
  }
}

/** For example `interval=4_lr=0.1`: letters, digits and a few signs, for any file system. */
function labelOf(
  axes: readonly Axis[],
  applying: Readonly<Record<string, unknown>>,
  algorithm: string,
): string {
  const names = axes.map(({ name }) => name as string).filter((name) => name in applying);
  if ("algorithm" in applying && !names.includes("algorithm")) names.unshift("algorithm");
  const parts = names.map((name) => {
    const { flag } = OPTIONS[name as keyof Options];
    return `${flag.slice(2)}=${slug(showValue(applying[name]))}`;
  });
  return parts.length > 0 ? parts.join("_") : `algorithm=${slug(algorithm)}`;
}

/** A value as a person writes it. */
export function showValue(value: unknown): string {
  if (value === null || (Array.isArray(value) && value.length === 0)) return "none";
  if (typeof value === "boolean") return value ? "on" : "off";
  return String(value);
}

function slug(text: string): string {
  return text.replace(/[^A-Za-z0-9.+-]+/g, "-").replace(/^[.-]+|[.-]+$/g, "") || "none";
}

/** Longest name of a folder; file systems allow 255 bytes, and paths on Windows not much more. */
const LONGEST_NAME = 100;

/** Names that are one of a kind where capitals do not count, and short enough. */
function uniqueNames(cells: readonly Cell[]): Cell[] {
  const uses = new Map<string, number>();
  for (const { name } of cells) {
    uses.set(name.toLowerCase(), (uses.get(name.toLowerCase()) ?? 0) + 1);
  }
  return cells.map((cell) => {
    const fits = cell.name.length <= LONGEST_NAME && uses.get(cell.name.toLowerCase()) === 1;
    return fits ? cell : { ...cell, name: distinctName(cell) };
  });
}

/** The cell's name with a part of its hash. */
export function distinctName({ name, hash }: Cell): string {
  return `${name.slice(0, LONGEST_NAME - 9)}-${hash.slice(0, 8)}`;
}

/**
 * The hash of what decides a run: two cells of one hash would do the same. Options at their default do not
 * count, nor those that have no effect, so that one which is added changes no hash.
 */
function hashOf(options: Options): string {
  const { algorithm, task, model } = options, defaults = defaultOptions();
  const ignored = new Set<string>([
    ...ignoredBy(algorithm),
    ...ignoredByTask(task),
    ...ignoredByModel(model),
  ]);
  const parts = Object.entries(options)
    .filter(([name, value]) =>
      DECIDING.has(name) && !ignored.has(name) &&
      JSON.stringify(value) !== JSON.stringify(defaults[name as OptionName])
    )
    .sort(([a], [b]) => a < b ? -1 : 1);
  const text = JSON.stringify({
    format: CELL_FORMAT,
    // However the path of a folder is written, the data in it are the same.
    options: parts.map(([name, value]) => [name, name === "data" ? resolve(String(value)) : value]),
  });
  return createHash("sha256").update(text).digest("hex");
}

/**
 * The hash of the cell that a run was, by the options that its `config.json` names: those that have been added
 * since had their defaults.
 *
 * @returns null where an option is not known here, so that nobody can say what it did
 */
export function hashOfRun(options: Readonly<Record<string, unknown>>): string | null {
  if (!Object.keys(options).every((name) => Object.hasOwn(OPTIONS, name))) return null;
  const { task } = options;
  if (task !== undefined && !Object.hasOwn(TASKS, String(task))) return null;
  return hashOf({ ...defaultsOf(options as Partial<Options>), ...options } as Options);
}
