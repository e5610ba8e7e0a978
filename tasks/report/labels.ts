/**
 * What tells one run of a report from another: their options, as far as they apply and differ.
 *
 * @module
 */

import type { Coordinates } from "../logs/baseline.ts";
import { optionsOf, type RunConfigFile } from "../logs/config.ts";
import { ignoredBy, ignoredByModel, ignoredByTask } from "../options/applies.ts";
import { TASKS } from "../options/defaults.ts";
import { EXPERIMENT, type Options } from "../options/table.ts";

/** Options that may tell one run from another: what decides a run's numbers, where and on what link. */
const TELLING = new Set([...Object.keys(EXPERIMENT), "device", "threads", "link"]);

/** Options that have a letter in the paper, in the order in which a label gives them. */
const LETTERS: Readonly<Record<string, string>> = {
  ranks: "N",
  interval: "I",
  lr: "η",
  clip: "γ",
  momentum: "μ",
};

/** What a run trains: runs that differ in it are told apart by it, whatever follows from it. */
const PROBLEM = ["preset", "task", "model"] as const;

/** Options whose value alone says enough. */
const BARE = new Set<string>([...PROBLEM, "algorithm", "device"]);

/** The order of a label's parts; the rest follow by name. */
const ORDER = [...PROBLEM, "algorithm", ...Object.keys(LETTERS)];

/** Options that are told wherever runs of the report differ in them, whatever their problem. */
const ACROSS_PROBLEMS = new Set(["algorithm"]);

/** Options that are told even if they apply to some algorithms alone, and those have one value. */
const TOLD = new Set(["interval", "ranks"]);

/**
 * Where each run stands among the others: its value of each option in which the runs differ, null where
 * the option has no effect on it.
 *
 * @param configs the runs' `config.json`
 */
export function coordinatesOf(configs: readonly (RunConfigFile | null)[]): Coordinates[] {
  const runs = configs.map((config) => {
    const options = optionsOf(config);
    const ignored = ignoredOptions(options);
    return Object.fromEntries(
      [...TELLING].map((name) => [name, ignored.has(name) ? null : options[name] ?? null]),
    );
  });
  const names = differing(runs, [...TELLING]);
  return runs.map((run) => Object.fromEntries(names.map((name) => [name, run[name]])));
}

/** The names of a run's options that have no effect on it. */
function ignoredOptions(options: Readonly<Record<string, unknown>>): Set<string> {
  // A log may be of another version: of a task or a model that it does not name, nothing is known.
  const { algorithm, task, model, syncEvery } = options as Partial<Options>;
  const ignored = new Set<string>([
    ...ignoredBy(String(algorithm)),
    ...task !== undefined && Object.hasOwn(TASKS, task) ? ignoredByTask(task) : [],
    ...model !== undefined ? ignoredByModel(model) : [],
  ]);
  if (syncEvery) ignored.add("interval"); // its rounds go by the clock
  return ignored;
}

/** Those of the names whose values differ, in the order of a label. */
function differing(runs: readonly Coordinates[], names: readonly string[]): string[] {
  return names.filter((name) => {
    const values = new Set(runs.map((run) => JSON.stringify(run[name])));
    if (!TOLD.has(name)) values.delete("null");
    return values.size > 1;
  }).sort((a, b) => order(a) - order(b) || (a < b ? -1 : 1));
}

/**
 * A label for each run: "celgc I=4", "naive-parallel". Runs of several problems are told apart by the
 * problem, and then each problem's runs by what differs among them: what follows from a problem, as its
 * batch size and schedule, is no part of a label.
 *
 * @param runs as {@linkcode coordinatesOf} gives them
 * @param directories the runs' folders, whose last part is the label where options do not tell runs
 *   apart
 */
export function labelRuns(runs: readonly Coordinates[], directories: readonly string[]): string[] {
  const folders = directories.map((path) =>
    path.split(/[/\\]/).filter((part) => part !== "").at(-1) ?? path
  );
  return tellApart(optionLabels(runs), tellApart(folders, directories));
}

/** What the options that differ say of each run: runs that do not differ have one label, which may be empty. */
export function optionLabels(runs: readonly Coordinates[]): string[] {
  const problems = runs.map((run) => problemOf(run, runs));
  return runs.map((run, index) => {
    const alike = runs.filter((_, other) => problems[other].key === problems[index].key);
    const always = [
      ...problems[index].names,
      ...Object.keys(run).filter((name) => ACROSS_PROBLEMS.has(name)),
    ];
    const rest = Object.keys(run).filter((name) => !always.includes(name));
    const parts = [...always, ...differing(alike, rest)].sort((a, b) => order(a) - order(b));
    return parts.flatMap((name) => {
      const value = run[name];
      if (value === null) return [];
      const text = typeof value === "string" ? value : JSON.stringify(value);
      return [BARE.has(name) ? text : `${LETTERS[name] ?? name}=${text}`];
    }).join(" ");
  });
}

/** What tells a run's problem from those of the others, by the names of the options that do. */
function problemOf(
  run: Coordinates,
  runs: readonly Coordinates[],
): { readonly key: string; readonly names: readonly string[] } {
  const given = PROBLEM.filter((name) => name in run && run[name] !== null);
  const [first, ...rest] = given;
  // A preset is of one task and one model, unless they were chosen beside it.
  const own = first === "preset"
    ? rest.filter((name) =>
      runs.some((other) => other.preset === run.preset && other[name] !== run[name])
    )
    : rest;
  const names = first === undefined ? [] : [first, ...own];
  return { key: JSON.stringify(PROBLEM.map((name) => run[name] ?? null)), names };
}

/** The names, with a second one in brackets where the first is empty or not the only one. */
function tellApart(names: readonly string[], others: readonly string[]): string[] {
  return names.map((name, index) => {
    if (name === "") return others[index];
    if (names.indexOf(name) === names.lastIndexOf(name)) return name;
    return `${name} (${others[index]})`;
  });
}

function order(name: string): number {
  const index = ORDER.indexOf(name);
  return index < 0 ? ORDER.length : index;
}
