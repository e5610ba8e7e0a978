/**
 * The finished runs of a sweep, put together by what they are but for their seeds.
 *
 * @module
 */

import { join } from "node:path";
import { optionsOf } from "../logs/config.ts";
import { RunLog } from "../logs/run_log.ts";
import { CellFolders } from "../sweep/cell_folder.ts";
import { planCells } from "../sweep/cells.ts";
import { type RunChoice, type SweepRecord, sweepsOf } from "./sweeps.ts";

/** A finished run. */
export interface SeedRun {
  readonly seed: number;
  readonly log: RunLog;
  /** Its options as its `config.json` has them. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** Runs that differ in their seeds alone: one line of a figure. */
export interface RunLine {
  /** For example `celgc I=4`. */
  readonly label: string;
  /** What tells it from the other lines. */
  readonly at: Readonly<Record<string, unknown>>;
  /** Ranks of its runs. */
  readonly ranks: number;
  /** Those that are finished, in the order of their seeds. */
  readonly runs: readonly SeedRun[];
  /** How many there are to be. */
  readonly seeds: number;
}

/** What a line is called: the letters are the paper's. */
function labelOf(at: Readonly<Record<string, unknown>>, ranks: number, byRanks: boolean): string {
  const { algorithm, interval } = at;
  const parts = [String(algorithm ?? "celgc")];
  if (byRanks) parts.push(`N=${ranks}`);
  if (typeof interval === "number") parts.push(`I=${interval}`);
  return parts.join(" ");
}

/**
 * Reads what is finished of a sweep.
 *
 * @param folder holds the sweep's folder; it need not be there yet
 */
export async function readLines(
  record: SweepRecord,
  folder: string,
  choice: RunChoice,
): Promise<RunLine[]> {
  const folders = await CellFolders.open(join(folder, record.name));
  const byRanks = record.sweeps.some(({ ranks }) => Array.isArray(ranks));
  type Growing = Omit<RunLine, "runs"> & { readonly runs: SeedRun[] };
  const lines = new Map<string, Growing>();
  for (const seed of record.seeds) {
    for (const cell of sweepsOf(record, seed, choice).flatMap((swept) => planCells(swept).cells)) {
      const { algorithm, ranks } = cell.options;
      const at = { algorithm, ...cell.at }, label = labelOf(at, ranks, byRanks);
      const fresh: Growing = { label, at, ranks, runs: [], seeds: record.seeds.length };
      const line = lines.get(label) ?? fresh;
      lines.set(label, line);
      const { path, finished } = await folders.find(cell);
      if (!finished) continue;
      const log = await RunLog.open(path);
      line.runs.push({ seed, log, options: optionsOf(log.config) });
    }
  }
  return [...lines.values()];
}
