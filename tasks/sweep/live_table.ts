/**
 * A sweep as a table that changes while its cells run: a row for each cell, and how far all of them are.
 *
 * @module
 */

import { Sparkline } from "../launch/sparkline.ts";
import { formatScore } from "../launch/summary_text.ts";
import type { MetricRecord, Summary } from "../run/metrics.ts";

/** What is known of a cell. */
export interface CellRow {
  readonly name: string;
  state: "waiting" | "running" | "finished" | "reused" | "failed";
  /** From 0 to 1. */
  share: number;
  /** Its last step, and what it has learnt so far. */
  step: number;
  loss: number | null;
  readonly losses: Sparkline;
  /** As it is told: `63.6 %`, `perplexity 120.00`, `RMSE 1.25`. */
  score: string;
  seconds: number | null;
}

const SIGNS: Readonly<Record<CellRow["state"], string>> = {
  waiting: " ",
  running: "▶",
  finished: "✓",
  reused: "✓",
  failed: "✗",
};

/** Columns of a row's curve. */
const CURVE = 16;

/** A row of a cell that has not begun. */
export function newRow(name: string): CellRow {
  return {
    name,
    state: "waiting",
    share: 0,
    step: 0,
    loss: null,
    losses: new Sparkline(CURVE),
    score: "",
    seconds: null,
  };
}

/** Takes a record of the cell's run into account. */
export function takeRecord(row: CellRow, record: MetricRecord, share: number): void {
  if (record.rank !== 0) return;
  if (record.type === "step") {
    row.share = share;
    row.step = record.step;
    row.loss = record.loss;
    row.seconds = record.seconds;
    row.losses.push(record.loss);
  } else if (record.type === "eval" && record.split !== "train") {
    row.score = formatScore(record) ?? row.score;
  }
}

/** Takes the end of the cell's run into account. */
export function takeSummary(row: CellRow, summary: Summary): void {
  const { steps, trainLoss, testAccuracy, testPerplexity, testRmse, trainSeconds } = summary;
  row.share = 1;
  row.step = steps;
  row.loss = trainLoss;
  row.seconds = trainSeconds;
  row.score = formatScore({ accuracy: testAccuracy, perplexity: testPerplexity, rmse: testRmse }) ??
    "";
}

/**
 * The lines of the table: as many rows as there is room for, those around the running one, then one line on all.
 *
 * @param rows lines that there is room for
 */
export function tableLines(
  cells: readonly CellRow[],
  { columns, rows, secondsLeft }: { columns: number; rows: number; secondsLeft: number | null },
): string[] {
  const room = Math.max(1, rows - 1), running = cells.findIndex(({ state }) => state === "running");
  const middle = running < 0 ? cells.findLastIndex(({ state }) => state !== "waiting") : running;
  const from = Math.max(0, Math.min(cells.length - room, middle - Math.floor(room / 2)));
  const shown = cells.slice(from, from + room);
  const fields = shown.map((cell) => [
    cell.state === "waiting"
      ? ""
      : cell.state === "running"
      ? `${Math.floor(100 * cell.share)} %`
      : cell.state,
    cell.step > 0 ? `step ${cell.step}` : "",
    cell.loss === null ? "" : `loss ${cell.loss.toFixed(3)}`,
    cell.losses.toString(),
    cell.score,
    cell.seconds === null ? "" : duration(cell.seconds),
  ]);
  const widths = fields[0].map((_, i) => Math.max(...fields.map((row) => [...row[i]].length)));
  const rest = widths.reduce((sum, width) => sum + (width > 0 ? width + 2 : 0), 0);
  const name = Math.max(
    12,
    Math.min(columns - rest - 2, Math.max(...shown.map((c) => c.name.length))),
  );
  const lines = shown.map((cell, i) => {
    const cut = cell.name.length > name
      ? `${cell.name.slice(0, name - 1)}…`
      : cell.name.padEnd(name);
    const others = fields[i].flatMap((field, j) => widths[j] > 0 ? [field.padEnd(widths[j])] : []);
    return `${SIGNS[cell.state]} ${[cut, ...others].join("  ")}`.trimEnd();
  });
  const done = cells.reduce(
    (sum, { state, share }) => sum + (state === "waiting" ? 0 : state === "running" ? share : 1),
    0,
  );
  const hidden = cells.length - shown.length;
  const parts = [
    `${Math.floor(100 * done / cells.length)} % of ${cells.length} cells`,
    ...secondsLeft === null ? [] : [`${duration(secondsLeft)} left`],
    ...hidden > 0 ? [`${hidden} not shown`] : [],
  ];
  return [...lines, parts.join("  ")];
}

/** For example `4m 8s`. */
function duration(seconds: number): string {
  const whole = Math.round(seconds), minutes = Math.floor(whole / 60);
  if (whole < 60) return `${whole}s`;
  return minutes < 60
    ? `${minutes}m ${whole % 60}s`
    : `${Math.floor(minutes / 60)}h ${minutes % 60}m`;
}
