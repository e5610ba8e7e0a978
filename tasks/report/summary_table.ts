/**
 * The summary of a report's runs as an HTML table.
 *
 * @module
 */

import type { RunState } from "../logs/run_log.ts";
import { escape } from "./escape.ts";
import { writeValue } from "./page/style.ts";
import type { ReportData } from "./report_data.ts";
import type { ReportedRun, ReportedScore } from "./summary.ts";

/** How a run that is not finished is marked. */
export const STATE_WORDS: Readonly<Record<RunState, string>> = {
  going: "still going",
  finished: "finished",
  "ended early": "ended early",
};

/** In a cell that has no value. */
const NOTHING = writeValue(null, "number");

interface Column {
  readonly name: string;
  readonly unit?: string;
  readonly cell: (run: ReportedRun) => string;
  /** By what the table is sorted. */
  readonly value: (run: ReportedRun) => number;
  /** What is best in the column; absent where nothing is better. */
  readonly better?: "most" | "least";
}

function columnsOf({ summaries, page }: ReportData): Column[] {
  const scores = new Map(
    summaries.flatMap(({ score }) => score ? [[`${score.split} ${score.kind}`, score]] : []),
  );
  const compared = page.runs.some((run) => run.baseline);
  // The mini-batches' loss stands in for what was not measured.
  const measured = summaries.every((run) => Number.isFinite(run.averagedTrainLoss));
  return [
    ...PROGRESS,
    AVERAGED_LOSS,
    ...measured ? [] : [MINI_BATCH_LOSS],
    ...[...scores.values()].map(scoreColumn),
    BEST_WEIGHTS,
    ...SPEED,
    ...compared ? SPEEDUPS : [],
    ...COSTS,
  ];
}

const PROGRESS: readonly Column[] = [
  { name: "ranks", cell: (run) => String(run.ranks ?? NOTHING), value: (run) => run.ranks ?? NaN },
  { name: "epochs", cell: (run) => writeValue(run.epochs, "number"), value: (run) => run.epochs },
  { name: "iterations", cell: (run) => count(run.iterations), value: (run) => run.iterations },
  { name: "rounds", cell: (run) => count(run.rounds), value: (run) => run.rounds },
];

const AVERAGED_LOSS: Column = {
  name: "training loss",
  unit: "averaged weights",
  cell: (run) => writeValue(run.averagedTrainLoss, "number"),
  value: (run) => run.averagedTrainLoss,
  better: "least",
};

const MINI_BATCH_LOSS: Column = {
  name: "training loss",
  unit: "mini-batches, last tenth",
  cell: (run) => writeValue(run.trainLoss, "number"),
  value: (run) => run.trainLoss,
  better: "least",
};

function scoreColumn({ kind, split }: ReportedScore): Column {
  const format = kind === "accuracy" ? "percent" : "number";
  // Runs of other tasks have other scores.
  const of = ({ score }: ReportedRun) =>
    score?.kind === kind && score.split === split ? score : null;
  return {
    name: `${split === "valid" ? "validation" : "test"} ${kind}`,
    unit: "last (best)",
    cell: (run) => {
      const own = of(run);
      if (own === null) return NOTHING;
      const last = writeValue(own.last, format);
      return own.best === own.last ? last : `${last} (${writeValue(own.best, format)})`;
    },
    value: (run) => of(run)?.last ?? NaN,
    better: kind === "accuracy" ? "most" : "least",
  };
}

const BEST_WEIGHTS: Column = {
  name: "best weights",
  unit: "on the test set",
  cell: ({ best }) => {
    if (!best) return NOTHING;
    const { accuracy, perplexity, rmse, loss, step } = best;
    const score = accuracy !== null
      ? writeValue(accuracy, "percent")
      : writeValue(perplexity ?? rmse ?? loss, "number");
    return `${score} at step ${count(step)}`;
  },
  value: ({ best }) => best?.accuracy ?? best?.perplexity ?? best?.rmse ?? best?.loss ?? NaN,
};

const SPEED: readonly Column[] = [
  {
    name: "training time",
    unit: "without evaluation",
    cell: (run) => writeValue(run.trainSeconds, "seconds"),
    value: (run) => run.trainSeconds,
  },
  {
    name: "steps/s",
    cell: (run) => writeValue(run.stepsPerSecond, "number"),
    value: (run) => run.stepsPerSecond,
    better: "most",
  },
];

/** Against the baseline. */
const SPEEDUPS: readonly Column[] = [
  {
    name: "speedup",
    unit: "per epoch",
    cell: (run) => times(run.speedup),
    value: (run) => run.speedup,
    better: "most",
  },
  {
    name: "speedup",
    unit: "to its loss",
    cell: (run) => times(run.speedupToLoss),
    value: (run) => run.speedupToLoss,
    better: "most",
  },
];

const COSTS: readonly Column[] = [
  {
    name: "communicating",
    unit: "of training time",
    cell: (run) => writeValue(run.syncSeconds / run.trainSeconds, "percent"),
    value: (run) => run.syncSeconds / run.trainSeconds,
    better: "least",
  },
  {
    name: "sent",
    unit: "by each rank",
    cell: (run) => writeValue(run.bytesSent, "bytes"),
    value: (run) => run.bytesSent,
  },
  {
    name: "clipped",
    unit: "of all steps",
    cell: (run) => writeValue(run.clipRate, "percent"),
    value: (run) => run.clipRate,
  },
  {
    name: "drift",
    unit: "of its bound",
    cell: (run) => writeValue(run.driftOfBound, "percent"),
    value: (run) => run.driftOfBound,
  },
];

/** The summary of every run as an HTML table; the best value of a column is marked. */
export function summaryTable(data: ReportData): string {
  const ranks = new Set(data.summaries.map((run) => run.ranks));
  const columns = columnsOf(data)
    .filter(({ name }) => name !== "ranks" || ranks.size > 1)
    .filter(({ cell }) => data.summaries.some((run) => cell(run) !== NOTHING));
  const common = ranks.size > 1 || ranks.has(null) ? "" : ` · ranks: ${[...ranks]}`;
  const { summaries, page } = data;
  const best = columns.map(({ better, value }) => {
    if (!better || summaries.length < 2) return -1;
    const values = summaries.map((run) => value(run) * (better === "most" ? 1 : -1));
    const most = Math.max(...values.filter(Number.isFinite));
    return values.indexOf(most);
  });
  const head = columns.map(({ name, unit }) =>
    `<th scope="col">${escape(name)}${unit ? `<small>${escape(unit)}</small>` : ""}</th>`
  );
  const rows = summaries.map((run, index) => {
    const { baseline, state } = page.runs[index];
    const cells = columns.map(({ cell, value }, column) => {
      const number = value(run), key = Number.isFinite(number) ? number.toPrecision(7) : "";
      const mark = best[column] === index ? ' class="best"' : "";
      return `<td data-value="${key}"${mark}>${escape(cell(run))}</td>`;
    });
    return `<tr data-row="${index}"><th scope="row" data-value="${
      escape(run.label)
    }"><span class="swatch" data-run="${index}"></span>${escape(run.label)}` +
      `${baseline ? ' <span class="quiet">baseline</span>' : ""}` +
      `${
        state === "finished" ? "" : `<span class="unfinished">${STATE_WORDS[state]}</span>`
      }</th>` +
      `${cells.join("")}</tr>`;
  });
  return `<table><caption><span>Summary<small class="quiet">${common}</small></span></caption><thead><tr><th scope="col">run</th>${
    head.join("")
  }</tr></thead>` +
    `<tbody>${rows.join("\n")}</tbody></table>`;
}

function times(factor: number): string {
  return Number.isFinite(factor) ? `${factor.toPrecision(3)}×` : NOTHING;
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en").replaceAll(",", "\u2009");
}
