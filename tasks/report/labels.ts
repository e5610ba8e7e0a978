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

/** Options that an algorithm does not heed. */
const UNHEEDED: Readonly<Record<string, readonly string[]>> = {
  "naive-parallel": ["interval", "average"],
  "single": ["interval", "average", "ranks", "partition"],
  "local-sgd": ["clip", "clipBy", "decayClip"],
};

/**
 * A label for each run, of what differs between their options: "celgc I=4", "naive-parallel".
 *
 * @param configs the runs' `config.json`; options may be nested
 * @param directories the runs' folders, whose last part is the label where options do not tell runs apart
 */
export function labelRuns(
  configs: readonly (Readonly<Record<string, unknown>> | null)[],
  directories: readonly string[],
): string[] {
  const options = configs.map((config) => flatten(config ?? {}));
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

/** The names, with a second one in brackets where the first is empty or not the only one of its kind. */
function tellApart(names: readonly string[], others: readonly string[]): string[] {
  return names.map((name, index) => {
    if (name === "") return others[index];
    if (names.indexOf(name) === names.lastIndexOf(name)) return name;
    return `${name} (${others[index]})`;
  });
}

/**
 * The options of a run under their own names, as text. Those of a nested `options` object stand beside the rest, other
 * nested ones as "outer.inner".
 */
export function flatten(config: Readonly<Record<string, unknown>>): Map<string, string> {
  const flat = new Map<string, string>();
  const visit = (object: Readonly<Record<string, unknown>>, prefix: string) => {
    for (const [key, value] of Object.entries(object)) {
      if (typeof value === "object" && value !== null && !Array.isArray(value)) {
        visit(value as Record<string, unknown>, key === "options" ? prefix : `${prefix}${key}.`);
      } else {
        flat.set(prefix + key, typeof value === "string" ? value : JSON.stringify(value));
      }
    }
  };
  visit(config, "");
  return flat;
}

function place(name: string): number {
  const index = ORDER.indexOf(name);
  return index < 0 ? ORDER.length : index;
}
