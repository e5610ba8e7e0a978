/**
 * What the cells of a sweep came to, side by side: speedups against a baseline, and whether all began
 * from the same weights.
 *
 * @module
 */

import { relative } from "node:path";
import type { Summary } from "../logs/records.ts";
import { RunLog, summaryOf } from "../logs/run_log.ts";
import type { RunFacts } from "../run/folder.ts";
import { WEIGHT_OPTIONS } from "../options/applies.ts";
import { findBaseline } from "../logs/baseline.ts";
import type { Cell } from "./cells.ts";
import { type Pace, paceOf, speedup, speedupToLoss } from "../logs/pace.ts";

/** What a cell came to. */
export interface CellResult {
  /** For example `interval=4_lr=0.1`. */
  readonly name: string;
  /** Its folder, an absolute path. */
  readonly dir: string;
  /** Its value on each axis; null on an axis that does not apply to its algorithm. */
  readonly at: Readonly<Record<string, unknown>>;
  /** `pending` if the sweep was ended before the cell was. */
  readonly status: "finished" | "failed" | "pending";
  /** Whether the run was there already, finished by an earlier sweep. */
  readonly reused: boolean;
  /** Why it failed. */
  readonly message: string | null;
  /** Null unless finished. */
  readonly summary: Summary | null;
  /** Name of the cell that it is compared with: see `findBaseline`. */
  readonly baseline: string | null;
  /** The baseline's training time per epoch over this cell's. */
  readonly speedup: number | null;
  /** The baseline's time to its final training loss over this cell's; null if it never got there. */
  readonly speedupToLoss: number | null;
}

/** What is known of one cell by itself. */
export type CellOutcome =
  & Pick<CellResult, "dir" | "status" | "reused" | "message">
  & { readonly cell: Cell; readonly run: CellRun | null };

/** A finished cell's run, as its files tell it. */
export interface CellRun {
  readonly summary: Summary;
  readonly pace: Pace;
  /** SHA-256 of the weights that the ranks started from. */
  readonly initialWeights: string | null;
}

/**
 * Reads a finished run's folder, once.
 *
 * @throws {LogError} if its log has no summary
 */
export async function readRun(dir: string): Promise<CellRun> {
  const log = await RunLog.open(dir);
  const facts = log.config?.plan as Partial<RunFacts> | undefined;
  return {
    summary: summaryOf(log),
    pace: paceOf(log),
    initialWeights: facts?.initialWeights ?? null,
  };
}

/** Compares the cells that have finished. */
export function compareCells(outcomes: readonly CellOutcome[]): CellResult[] {
  const finished = outcomes.filter(({ run }) => run !== null);
  const candidates = new Map(finished.map((outcome) => [outcome, outcome.cell.at]));
  return outcomes.map(({ cell, run, dir, status, reused, message }) => {
    const base = run && findBaseline(cell.at, candidates);
    return {
      name: cell.name,
      dir,
      at: cell.at,
      status,
      reused,
      message,
      summary: run?.summary ?? null,
      baseline: base?.cell.name ?? null,
      speedup: run && base ? speedup(base.run!.pace, run.pace) : null,
      speedupToLoss: run && base ? speedupToLoss(base.run!.pace, run.pace) : null,
    };
  });
}

/**
 * What makes cells hard to compare. Cells of one network, data set and seed start from the same
 * weights, and a cell's ranks end with the same.
 *
 * @returns a sentence for each cell of which that does not hold
 */
export function findProblems(outcomes: readonly CellOutcome[]): string[] {
  const first = new Map<string, CellOutcome>();
  const problems: string[] = [];
  for (const outcome of outcomes) {
    if (outcome.run?.summary.identicalWeights === false) {
      problems.push(`the ranks of cell ${outcome.cell.name} ended with different weights`);
    }
    const hash = outcome.run?.initialWeights;
    if (!hash) continue;
    const key = JSON.stringify(WEIGHT_OPTIONS.map((name) => outcome.cell.options[name]));
    const other = first.get(key) ?? outcome;
    first.set(key, other);
    if (other.run!.initialWeights === hash) continue;
    problems.push(
      `cells ${other.cell.name} and ${outcome.cell.name} have the same model, task and seed, but ` +
        `began from different weights (SHA-256 ${other.run!.initialWeights!.slice(0, 8)}… and ` +
        `${hash.slice(0, 8)}…): remove the older one and sweep again`,
    );
  }
  return problems;
}

/** The content of `summary.json`; folders are relative to its own. */
export function summaryDocument(
  root: string,
  axes: readonly string[],
  cells: readonly CellResult[],
  problems: readonly string[],
): string {
  const rows = cells.map((cell) => ({ ...cell, dir: relative(root, cell.dir) }));
  return JSON.stringify({ axes, cells: rows, problems }, null, 2) + "\n";
}
