/**
 * A sweep as a table that changes while its cells run: a row for each cell, and how far all of them are.
 *
 * @module
 */

import { Sparkline } from "../terminal/sparkline.ts";
import { formatScore } from "../run/words/summary_text.ts";
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
  /** The rank whose steps are shown: the one that writes the log. */
  writer: number;
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
    writer: 0,
  };
}

/** Takes a record of the cell's run into account. */
export function takeRecord(row: CellRow, record: MetricRecord, share: number): void {
  // Where rank 0 is lost and the others go on, another writes.
  if (record.type !== "step") row.writer = record.rank;
  if (record.rank !== row.writer) return;
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

/** What stands behind a cell's name. */
interface Field {
  readonly of: (cell: CellRow) => string;
  /** In which order fields make room for names, where the terminal is too narrow for both; 0: never. */
  readonly yields: number;
}

const FIELDS: readonly Field[] = [
  {
    of: ({ state, share }) =>
      state === "waiting" ? "" : state === "running" ? `${Math.floor(100 * share)} %` : state,
    yields: 0,
  },
  { of: ({ step }) => step > 0 ? `step ${step}` : "", yields: 1 },
  { of: ({ loss }) => loss === null ? "" : `loss ${loss.toFixed(3)}`, yields: 4 },
  { of: ({ losses }) => losses.toString(), yields: 3 },
  { of: ({ score }) => score, yields: 0 },
  { of: ({ seconds }) => seconds === null ? "" : duration(seconds), yields: 2 },
];

/** Columns that a name has in any case. */
const SHORTEST_NAME = 12;

/**
 * The lines of the table: as many rows as there is room for, those around the running one, then one line on all.
 *
 * @param rows lines that there is room for
 */
export function tableLines(
  cells: readonly CellRow[],
  { columns, rows, secondsLeft }: { columns: number; rows: number; secondsLeft: number | null },
): string[] {
  const shown = rowsAround(cells, Math.max(1, rows - 1));
  const longest = Math.max(...shown.map(({ name }) => name.length));
  const fields = fieldsBeside(longest, shown, columns);
  const width = Math.min(longest, Math.max(SHORTEST_NAME, roomForNames(fields, columns)));
  const lines = shown.map(({ name, state }, i) => {
    // What tells cells apart stands at the end, as a rule.
    const cut = name.length > width ? `…${name.slice(1 - width)}` : name.padEnd(width);
    const others = fields.map(({ texts, width }) => texts[i].padEnd(width));
    return `${SIGNS[state]} ${[cut, ...others].join("  ")}`.trimEnd();
  });
  return [...lines, progressLine(cells, cells.length - shown.length, secondsLeft)];
}

/** As many cells, around the running one or the last that has had its turn. */
function rowsAround(cells: readonly CellRow[], count: number): readonly CellRow[] {
  const running = cells.findIndex(({ state }) => state === "running");
  const middle = running < 0 ? cells.findLastIndex(({ state }) => state !== "waiting") : running;
  const from = Math.max(0, Math.min(cells.length - count, middle - Math.floor(count / 2)));
  return cells.slice(from, from + count);
}

/** A field as it stands in each row. */
interface FilledField extends Pick<Field, "yields"> {
  readonly texts: readonly string[];
  /** Columns of the longest. */
  readonly width: number;
}

/** The fields that say something of a row, less those that have to yield to names of so many columns. */
function fieldsBeside(
  longestName: number,
  shown: readonly CellRow[],
  columns: number,
): readonly FilledField[] {
  const fields = FIELDS.map(({ of, yields }): FilledField => {
    const texts = shown.map(of);
    return { yields, texts, width: Math.max(...texts.map((text) => [...text].length)) };
  }).filter(({ width }) => width > 0);
  while (roomForNames(fields, columns) < longestName && fields.some(({ yields }) => yields > 0)) {
    const first = Math.min(...fields.flatMap(({ yields }) => yields > 0 ? [yields] : []));
    fields.splice(fields.findIndex(({ yields }) => yields === first), 1);
  }
  return fields;
}

/** Columns that are left of a line beside its sign and these fields. */
function roomForNames(fields: readonly FilledField[], columns: number): number {
  return columns - 2 - fields.reduce((sum, { width }) => sum + width + 2, 0);
}

/** How far all cells are together. */
function progressLine(
  cells: readonly CellRow[],
  hidden: number,
  secondsLeft: number | null,
): string {
  const shareOf = ({ state, share }: CellRow) =>
    state === "waiting" ? 0 : state === "running" ? share : 1;
  const done = cells.reduce((sum, cell) => sum + shareOf(cell), 0);
  return [
    `${Math.floor(100 * done / cells.length)} % of ${cells.length} cells`,
    ...secondsLeft === null ? [] : [`${duration(secondsLeft)} left`],
    ...hidden > 0 ? [`${hidden} not shown`] : [],
  ].join("  ");
}

/** For example `4m 8s`. */
function duration(seconds: number): string {
  const whole = Math.round(seconds), minutes = Math.floor(whole / 60);
  if (whole < 60) return `${whole}s`;
  return minutes < 60
    ? `${minutes}m ${whole % 60}s`
    : `${Math.floor(minutes / 60)}h ${minutes % 60}m`;
}
