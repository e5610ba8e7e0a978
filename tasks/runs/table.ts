/**
 * A list of runs as a table for people.
 *
 * @module
 */

import { relative } from "node:path";
import { formatBytes } from "../../deps.ts";
import { plainTable } from "../terminal/plain_table.ts";
import { formatScore } from "../run/words/summary_text.ts";
import { modelName } from "../options/network_names.ts";
import type { KeptWeights } from "../logs/best_weights.ts";
import type { ListedRun } from "./list.ts";

/** A column: its heading, what stands in it (null for nothing), and whether it holds numbers. */
interface Column {
  readonly head: string;
  readonly cell: (run: ListedRun) => string | null;
  readonly number?: boolean;
}

const show = <T>(value: T | null, as: (value: T) => string | null) =>
  value === null ? null : as(value);

/** A time as people say it: `2026-03-01 14:05`, in this machine's zone. */
function formatTime(iso: string): string | null {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return null;
  const two = (value: number) => String(value).padStart(2, "0");
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ` +
    `${two(time.getHours())}:${two(time.getMinutes())}`;
}

function formatDuration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 100) return `${seconds.toFixed(1)} s`;
  if (whole < 6000) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor(whole % 3600 / 60)} min`;
}

/** What a run, or its best weights, came to, in the score of its task. */
function result(run: KeptWeights | ListedRun): string | null {
  return formatScore(run) ?? show(run.loss, (value) => `loss ${value.toFixed(4)}`);
}

/** The same of the weights that were kept, and when that was. */
const bestResult = (best: KeptWeights) => `${result(best) ?? "–"} at step ${best.step}`;

/** Columns that a terminal does without where it is too narrow for all, the least missed first. */
const DISPENSABLE = ["started", "sent", "model", "epochs", "time", "task", "seed", "best", "N"];

/**
 * The table; columns that say nothing of any run are left out.
 *
 * @param base folder below which the runs' folders are named
 * @param width columns of the terminal, in which the table must fit as far as it can
 */
export async function formatRuns(
  runs: readonly ListedRun[],
  base: string,
  width = Infinity,
): Promise<string> {
  const all: readonly Column[] = [
    { head: "folder", cell: ({ directory }) => relative(base, directory) || "." },
    { head: "started", cell: ({ started }) => show(started, formatTime) },
    { head: "task", cell: ({ task }) => task },
    { head: "model", cell: ({ model }) => show(model, modelName) },
    { head: "algorithm", cell: ({ algorithm }) => algorithm },
    { head: "I", cell: ({ interval }) => show(interval, String), number: true },
    { head: "N", cell: ({ ranks }) => show(ranks, String), number: true },
    { head: "seed", cell: ({ seed }) => show(seed, String), number: true },
    { head: "epochs", cell: ({ epochs }) => show(epochs, (n) => n.toFixed(2)), number: true },
    { head: "result", cell: result, number: true },
    { head: "best", cell: ({ best }) => show(best, bestResult), number: true },
    { head: "sent", cell: ({ bytesSent }) => show(bytesSent, formatBytes), number: true },
    { head: "time", cell: ({ seconds }) => show(seconds, formatDuration), number: true },
    { head: "", cell: ({ state }) => state === "finished" ? null : state },
  ];
  const columns = all.filter(({ cell }) => runs.some((run) => cell(run) !== null))
    .map(({ head, cell, number = false }) => ({
      head,
      number,
      cells: runs.map((run) => cell(run) ?? (head === "" ? "" : "–")),
    }));
  const { lines, leftOut } = await plainTable(columns, DISPENSABLE, width);
  const below = leftOut.length === 0 ? [] : ["", `not shown, but in --json: ${leftOut.join(", ")}`];
  return [...lines, ...below].join("\n");
}
