/**
 * What a person sees of a sweep while it goes: a table that changes on a terminal, a line for each cell in
 * a pipe, or nothing. All of it goes to standard error.
 *
 * @module
 */

import type { MetricRecord, Summary } from "../run/metrics.ts";
import type { ViewKind } from "../launch/view.ts";
import { formatError, formatPerplexity } from "../run/words/summary_text.ts";
import type { Cell } from "./cells.ts";
import { type BlockStream, LiveBlock } from "./live_block.ts";
import { newRow, tableLines, takeRecord, takeSummary } from "./live_table.ts";
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

/** Opens a view of a sweep. */
export function openSweepView(kind: ViewKind, cells: readonly Cell[]): SweepView {
  if (kind === "silent") {
    return { say() {}, begin() {}, record() {}, end() {}, [Symbol.dispose]() {} };
  }
  return kind === "bar" ? tableView(cells) : lineView(cells.length);
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

/** @param stream a terminal */
export function tableView(cells: readonly Cell[], stream?: BlockStream): SweepView {
  const rows = cells.map(({ name }) => newRow(name));
  /** Of cells that were run here: when the first began, and what share of them all was done before. */
  let began: number | null = null, before = 0, current = -1;
  const done = () =>
    rows.reduce((sum, { state, share }) => sum + (state === "waiting" ? 0 : share), 0);
  const secondsLeft = () => {
    if (began === null || !(done() > before)) return null;
    const passed = (performance.now() - began) / 1000;
    return passed * (rows.length - done()) / (done() - before);
  };
  const block = new LiveBlock(
    (columns, room) => tableLines(rows, { columns, rows: room, secondsLeft: secondsLeft() }),
    stream,
  );
  return {
    say: (line) => block.say(line),
    begin(index, _, damage) {
      if (began === null) [began, before] = [performance.now(), done()];
      current = index;
      rows[index].state = "running";
      if (damage !== null) block.say(`${rows[index].name} had finished, but ${damage}: run again`);
      else block.draw();
    },
    record(record) {
      if (current < 0) return;
      takeRecord(rows[current], record, shareDone(cells[current], record));
      block.update();
    },
    end(index, outcome) {
      const { status, reused, run } = outcome, row = rows[index];
      row.share = 1;
      row.state = status === "failed" ? "failed" : reused ? "reused" : "finished";
      current = -1;
      if (run) takeSummary(row, run.summary);
      if (status === "failed") block.say(describeOutcome(index, cells.length, outcome));
      else block.draw();
    },
    [Symbol.dispose]() {
      block[Symbol.dispose]();
    },
  };
}
