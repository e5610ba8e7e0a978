/**
 * What tells one run of a report from another: their options, as far as they differ.
 *
 * @module
 */

import { EXPERIMENT } from "../options/table.ts";
import { ignoredBy } from "../options/applies.ts";

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

/** Options whose value alone says enough. */
const BARE = new Set(["algorithm", "preset", "task", "model", "device"]);

/** The order of a label's parts; the rest follow by name. */
const ORDER = ["preset", "task", "model", "algorithm", ...Object.keys(LETTERS)];

/** Options that are told even if only some algorithms heed them, and those have one value. */
const TOLD = new Set(["interval", "ranks"]);

/** A run's value of each option in which the runs differ; null where its algorithm heeds none. */
export type Place = Readonly<Record<string, unknown>>;

/** A run's options. Its `config.json` may hold them beside other things, or be missing (null). */
export function optionsIn(config: Readonly<Record<string, unknown>> | null): Place {
  return (config?.options ?? config ?? {}) as Place;
}

/**
 * Where each run stands among the others.
 *
 * @param configs the runs' `config.json`
 */
export function placesOf(
  configs: readonly (Readonly<Record<string, unknown>> | null)[],
): Place[] {
  const runs = configs.map((config) => {
    const options = optionsIn(config);
    const without = new Set<string>(ignoredBy(String(options.algorithm)));
    if (options.syncEvery) without.add("interval"); // its rounds go by the clock
    return Object.fromEntries(
      [...TELLING].map((name) => [name, without.has(name) ? null : options[name] ?? null]),
    );
  });
  const names = [...TELLING].filter((name) => {
    const values = new Set(runs.map((run) => JSON.stringify(run[name])));
    if (!TOLD.has(name)) values.delete("null");
    return values.size > 1;
  }).sort((a, b) => order(a) - order(b) || (a < b ? -1 : 1));
  return runs.map((run) => Object.fromEntries(names.map((name) => [name, run[name]])));
}

/**
 * A label for each run: "celgc I=4", "naive-parallel".
 *
 * @param places as {@linkcode placesOf} gives them
 * @param directories the runs' folders, whose last part is the label where options do not tell runs
 *   apart
 */
export function labelRuns(places: readonly Place[], directories: readonly string[]): string[] {
  const labels = places.map((place) =>
    Object.entries(place).flatMap(([name, value]) => {
      if (value === null) return [];
      const text = typeof value === "string" ? value : JSON.stringify(value);
      return [BARE.has(name) ? text : `${LETTERS[name] ?? name}=${text}`];
    }).join(" ")
  );
  const folders = directories.map((path) =>
    path.split(/[/\\]/).filter((part) => part !== "").at(-1) ?? path
  );
  return tellApart(labels, tellApart(folders, directories));
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
