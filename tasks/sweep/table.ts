/**
 * The results of a sweep as a table for people, and as CSV for programs.
 *
 * @module
 */

import { relative } from "node:path";
import { formatBytes, loadCsv } from "../../deps.ts";
import type { Summary } from "../run/metrics.ts";
import { type PlainColumn, plainTable } from "../terminal/plain_table.ts";
import { formatError, formatPerplexity } from "../run/words/summary_text.ts";
import { showValue } from "./cells.ts";
import type { CellResult } from "./results.ts";

/** A column of numbers: its heading, and what stands in it. */
type Column = readonly [head: string, show: (cell: CellResult) => string | null];

/** A column that shows a number of the summary. */
const of = <K extends keyof Summary>(
  head: string,
  key: K,
  show: (value: NonNullable<Summary[K]>) => string,
): Column => [head, ({ summary }) => {
  const value = summary?.[key];
  return value === null || value === undefined ? null : show(value);
}];

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const times = (ratio: number | null) => ratio === null ? null : `${ratio.toFixed(2)}×`;
const loss = (value: number) => value.toFixed(4);

const COLUMNS: readonly Column[] = [
  of("train loss", "trainLoss", loss),
  of("test loss", "testLoss", loss),
  of("accuracy", "testAccuracy", percent),
  of("perplexity", "testPerplexity", formatPerplexity),
  of("RMSE", "testRmse", formatError),
  of("rounds", "rounds", String),
  of("sent", "totalBytesSent", formatBytes),
  of("time", "trainSeconds", (seconds) => `${seconds.toFixed(1)} s`),
  of("comm.", "communicationShare", percent),
  ["speedup", ({ speedup }) => times(speedup)],
  ["to loss", ({ speedupToLoss }) => times(speedupToLoss)],
];

/** Columns that a terminal does without where it is too narrow for all, the least missed first. */
const DISPENSABLE = ["test loss", "rounds", "sent", "train loss", "comm.", "to loss", "time"];

/**
 * The table, with notes below it. Columns that say nothing of any cell are left out.
 *
 * @param axes names in code of the options that tell the cells apart
 * @param width columns of the terminal, in which the table must fit as far as it can
 */
export async function formatTable(
  axes: readonly string[],
  cells: readonly CellResult[],
  width = Infinity,
): Promise<string> {
  const heads: Column[] = axes.length > 0
    ? axes.map((axis) => [axis, ({ at }) => at[axis] === null ? null : showValue(at[axis])])
    : [["cell", ({ name }) => name]];
  const numbers = COLUMNS.filter(([, show]) => cells.some((cell) => show(cell) !== null));
  const unfinished = cells.some(({ status }) => status !== "finished");
  const column = (number: boolean) => ([head, show]: Column): PlainColumn => ({
    head,
    number,
    cells: cells.map((cell) => show(cell) ?? "–"),
  });
  const how: PlainColumn = {
    head: "",
    number: true,
    cells: cells.map(({ status }) => status === "finished" ? "" : status),
  };
  const { lines, leftOut } = await plainTable(
    [...heads.map(column(false)), ...numbers.map(column(true)), ...unfinished ? [how] : []],
    DISPENSABLE,
    width,
  );
  const shown = numbers.map(([head]) => head).filter((head) => !leftOut.includes(head));
  const below = notes(cells, shown);
  if (leftOut.length > 0) below.push(`not shown, but in summary.csv: ${leftOut.join(", ")}`);
  return [...lines, ...below.length > 0 ? ["", ...below] : []].join("\n");
}

/** What the columns that compare cells mean, as far as they are there. */
function notes(cells: readonly CellResult[], heads: readonly string[]): string[] {
  const baselines = new Set(cells.flatMap(({ baseline }) => baseline ?? []));
  if (baselines.size === 0) return [];
  const one = baselines.size === 1 ? [...baselines][0] : "the baseline of equal settings";
  return [
    `speedup: ${one}'s training time per epoch over the cell's`,
    ...heads.includes("to loss")
      ? [
        "to loss: its time to its final training loss over the cell's; – where the cell never got there",
      ]
      : [],
  ];
}

/** One line for each cell: its axes, how it went, and its whole summary as plain numbers. */
export async function formatCsv(
  root: string,
  axes: readonly string[],
  cells: readonly CellResult[],
): Promise<string> {
  const { stringify } = await loadCsv();
  const keys = [...new Set(cells.flatMap(({ summary }) => Object.keys(summary ?? {})))]
    .filter((key) => !axes.includes(key)) as (keyof Summary)[];
  const head = [
    "cell",
    "status",
    ...axes,
    ...keys,
    "baseline",
    "speedup",
    "speedupToLoss",
    "dir",
    "message",
  ];
  const rows = cells.map((cell) => [
    cell.name,
    cell.status,
    ...axes.map((axis) => cell.at[axis] === null ? "" : showValue(cell.at[axis])),
    ...keys.map((key) => plain(cell.summary?.[key])),
    cell.baseline ?? "",
    plain(cell.speedup),
    plain(cell.speedupToLoss),
    relative(root, cell.dir),
    cell.message ?? "",
  ]);
  return stringify([head, ...rows]);
}

function plain(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
