import { EXPERIMENT } from "../options.ts";

/** Options that may tell one run from another: what decides a run's numbers, and where it ran. */
const TELLING = new Set([...Object.keys(EXPERIMENT), "device", "threads"]);

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

/** Options that an algorithm does not heed, and of which a label says nothing beside it. */
const UNHEEDED: Readonly<Record<string, readonly string[]>> = {
  "naive-parallel": ["average"],
  "single": ["average", "ranks", "partition"],
  "local-sgd": ["clip", "clipBy", "decayClip"],
};

/** The options of a run as text; its `config.json` may hold them beside other things. */
export function optionTexts(
  config: Readonly<Record<string, unknown>> | null,
): Map<string, string> {
  const options = (config?.options ?? config ?? {}) as Record<string, unknown>;
  return new Map(
    Object.entries(options).map(([name, value]) => [
      name,
      typeof value === "string" ? value : JSON.stringify(value),
    ]),
  );
}

/** Without an interval where it means nothing, so that the others' is told. */
function heeded(options: Map<string, string>): Map<string, string> {
  if (exchangesEveryStep(options.get("algorithm"))) options.delete("interval");
  return options;
}

/**
 * Whether an algorithm has no interval: it exchanges at every step, or has nobody to exchange with.
 */
export function exchangesEveryStep(algorithm: string | undefined): boolean {
  return algorithm === "naive-parallel" || algorithm === "single";
}

/**
 * A label for each run, of what differs between their options: "celgc I=4", "naive-parallel".
 *
 * @param configs the runs' `config.json`
 * @param directories the runs' folders, whose last part is the label where options do not tell runs
 *   apart
 */
export function labelRuns(
  configs: readonly (Readonly<Record<string, unknown>> | null)[],
  directories: readonly string[],
): string[] {
  const options = configs.map((config) => heeded(optionTexts(config)));
  const names = [...new Set(options.flatMap((o) => [...o.keys()]))]
    .filter((name) => TELLING.has(name))
    .filter((name) => new Set(options.map((o) => o.get(name))).size > 1)
    .sort((a, b) => place(a) - place(b) || (a < b ? -1 : 1));
  const labels = options.map((option) => {
    const parts = names.flatMap((name) => {
      const value = option.get(name);
      if (value === undefined || value === "null") return [];
      if (UNHEEDED[option.get("algorithm") ?? ""]?.includes(name)) return [];
      if (BARE.has(name)) return [value];
      return [`${LETTERS[name] ?? name}=${value}`];
    });
    return parts.join(" ");
  });
  const folders = directories.map((path) =>
    path.split(/[/\\]/).filter((p) => p !== "").at(-1) ?? path
  );
  return tellApart(labels, tellApart(folders, directories));
}

/**
 * The names, with a second one in brackets where the first is empty or not the only one of its
 * kind.
 */
function tellApart(names: readonly string[], others: readonly string[]): string[] {
  return names.map((name, index) => {
    if (name === "") return others[index];
    if (names.indexOf(name) === names.lastIndexOf(name)) return name;
    return `${name} (${others[index]})`;
  });
}

function place(name: string): number {
  const index = ORDER.indexOf(name);
  return index < 0 ? ORDER.length : index;
}
