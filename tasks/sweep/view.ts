/**
 * What a person sees of a sweep while it goes: a bar over the whole on a terminal, a line for each cell
 * in a pipe, or nothing. All of it goes to standard error.
 *
 * @module
 */

import { openBar } from "../launch/bars.ts";
import type { MetricRecord, Summary } from "../run/metrics.ts";
import type { ViewKind } from "../launch/view.ts";
import { formatError, formatPerplexity } from "../launch/summary_text.ts";
import type { Cell } from "./cells.ts";
import type { CellOutcome } from "./results.ts";

/** A view of one sweep. */
export interface SweepView extends Disposable {
  /** Shows a line. */
  say(line: string): void;
  /**
   * A cell's run begins.
   *
   * @param index of the cell, from 0
   * @param damage why a run that had finished cannot be used; null if none had
   */
  begin(index: number, cell: Cell, damage: string | null): void;
  /** Takes a record of the run that goes on into account. */
  record(record: MetricRecord): void;
  /** A cell is done. */
  end(index: number, outcome: CellOutcome): void;
}

/** Opens a view of a sweep of `count` cells. */
export async function openSweepView(kind: ViewKind, count: number): Promise<SweepView> {
  if (kind === "silent") {
    return { say() {}, begin() {}, record() {}, end() {}, [Symbol.dispose]() {} };
  }
  return kind === "bar" ? await barView(count) : lineView(count);
}

/** Share of a cell's run that is done at a record, from 0 to 1. */
function shareDone({ options: { epochs, maxSteps } }: Cell, record: MetricRecord): number {
  const steps = maxSteps === null ? 0 : maxSteps === 0 ? 1 : record.step / maxSteps;
  return Math.min(1, Math.max(record.epoch / epochs, steps));
}

/** For example `[2/6] interval=2: training loss 1.5, test accuracy 43.0 %, 12.3 s`. */
function describeOutcome(index: number, count: number, outcome: CellOutcome): string {
  const { cell, status, reused, message, run } = outcome;
  const head = `[${index + 1}/${count}] ${cell.name}`;
  if (status === "failed") return `${head} failed: ${message!.replaceAll("\n", "\n  ")}`;
  if (status === "pending") return `${head}: not run`;
  const before = reused ? " (finished before, not run again)" : "";
  return `${head}: ${describeSummary(run!.summary)}${before}`;
}

function describeSummary(summary: Summary): string {
  const { trainLoss, testAccuracy, testPerplexity, testRmse, trainSeconds } = summary;
  return [
    trainLoss !== null && `training loss ${trainLoss.toFixed(3)}`,
    testPerplexity !== undefined && `test perplexity ${formatPerplexity(testPerplexity)}`,
    testAccuracy !== undefined && `test accuracy ${(100 * testAccuracy).toFixed(1)} %`,
    testRmse !== undefined && `test RMSE ${formatError(testRmse)}`,
    `${trainSeconds.toFixed(1)} s`,
  ].filter(Boolean).join(", ");
}

function lineView(count: number): SweepView {
  return {
    say: (line) => console.error(line),
    begin(index, { name }, damage) {
      const again = damage === null ? "" : ` (finished before, but ${damage}: run again)`;
      console.error(`[${index + 1}/${count}] ${name} …${again}`);
    },
    record() {},
    end: (index, outcome) => console.error(describeOutcome(index, count, outcome)),
    [Symbol.dispose]() {},
  };
}

async function barView(count: number): Promise<SweepView> {
  const bar = await openBar(
    count,
    { name: "", latest: [] as string[] },
    ({ value, timeLeft, payload: { name, latest } }) => [
      `${Math.floor(100 * value / count)} % of ${count} cells`,
      `${timeLeft} left`,
      name,
      ...latest,
    ],
  );
  let current: { index: number; cell: Cell } | null = null;
  return {
    say: (line) => bar.say(line),
    begin(index, cell) {
      current = { index, cell };
      bar.update(index, { name: cell.name, latest: [] });
    },
    record(record) {
      if (!current || record.rank !== 0 || record.type !== "step") return;
      const latest = [`step ${record.step}`, `loss ${record.loss.toFixed(3)}`];
      const { index, cell } = current;
      bar.update(index + shareDone(cell, record), { name: cell.name, latest });
    },
    end(index, outcome) {
      current = null;
      bar.update(index + 1, { name: "", latest: [] });
      bar.say(describeOutcome(index, count, outcome));
    },
    [Symbol.dispose]: () => bar[Symbol.dispose](),
  };
}
