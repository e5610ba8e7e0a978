import { LogError } from "./log_error.ts";

/** How far below a given folder runs are looked for: `sweep/cells/<cell>`. */
const DEPTH = 3;

/**
 * The folders of runs in the given folders, each once, in order: a run's own folder, or every run
 * below a sweep's folder (sorted by name).
 *
 * @param options.wait whether a folder may hold no run yet
 * @throws {LogError} if a folder does not exist or there is no run in it.
 */
export async function findRuns(
  directories: readonly string[],
  { wait = false }: { wait?: boolean } = {},
): Promise<string[]> {
  if (directories.length === 0) {
    throw new LogError("cannot find runs: it takes at least one folder of a run or a sweep");
  }
  const found = new Set<string>();
  for (const given of directories) {
    const directory = given.replace(/(?<=.)[/\\]+$/, "");
    const runs = await runsBelow(directory, DEPTH);
    if (runs.length === 0 && !wait) {
      throw new LogError(
        `cannot find runs in ${directory}: there is no metrics.jsonl in it or in the folders below it; ` +
          "pass the folder given to --out of a run or a sweep (by default runs/<time>-<name>)",
      );
    }
    for (const run of runs) found.add(run);
  }
  return [...found];
}

async function runsBelow(directory: string, depth: number): Promise<string[]> {
  const folders: string[] = [];
  try {
    for await (const entry of Deno.readDir(directory)) {
      if (entry.name === "metrics.jsonl" && !entry.isDirectory) return [directory];
      if (entry.isDirectory) folders.push(entry.name);
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new LogError(`cannot find runs in ${directory}: there is no such folder`);
    }
    // Deno reports "not a directory" by different classes on different systems.
    if ((await Deno.stat(directory)).isDirectory) throw error;
    throw new LogError(`cannot find runs in ${directory}: it is a file, and a folder is needed`);
  }
  if (depth === 0) return [];
  const runs: string[] = [];
  for (const name of folders.sort(byNumbers)) {
    runs.push(...await runsBelow(`${directory}/${name}`, depth - 1));
  }
  return runs;
}

const collator = new Intl.Collator("en", { numeric: true });

function byNumbers(a: string, b: string): number {
  return collator.compare(a, b);
}
