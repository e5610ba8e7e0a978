/**
 * A report's page: one HTML file that needs nothing else. The chart library, the script, the style
 * and the data are inside, and the content security policy keeps the page from fetching anything.
 *
 * @module
 */

import { chartBundleUrl } from "../../deps.ts";
import { writeValue } from "./page/style.ts";
import type { ReportData } from "./figures.ts";
import { linkModules } from "./link_modules.ts";
import { PAGE_STYLE } from "./style_sheet.ts";
import type { RunLog } from "../logs/run_log.ts";
import type { ReportedRun } from "./summary.ts";

/** What a page is made of besides its data. */
export interface PageOptions {
  readonly title: string;
  /** When the logs were read. */
  readonly made: Date;
  /** Ask the server for fresh data so often, in milliseconds; null for a page that stands alone. */
  readonly watchMs: number | null;
}

/** Parts of the page that change as runs go on: HTML by the id of the element that holds it. */
export type PageParts = Readonly<Record<"state-of-runs" | "summary" | "log-notes", string>>;

/** The whole page as HTML. */
export async function renderPage(
  data: ReportData,
  options: PageOptions,
): Promise<string> {
  const parts = renderParts(data, options.made);
  const library = inScript(await Deno.readTextFile(await chartBundleUrl()));
  const script = inScript(await pageScript());
  const policy = [
    "default-src 'none'",
    `script-src ${await hashOf(library)} ${await hashOf(script)}`,
    "style-src 'unsafe-inline'",
    "img-src data:",
    options.watchMs === null ? "" : "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
  ].filter((rule) => rule !== "").join("; ");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="celgc">
<link rel="icon" href="data:,">
<title>${escape(options.title)}</title>
<style>${PAGE_STYLE}</style>
</head>
<body${options.watchMs === null ? "" : ` data-watch="${options.watchMs}"`}>
<header>
<h1>${escape(options.title)}</h1>
<p class="quiet" id="state-of-runs">${parts["state-of-runs"]}</p>
<p class="problems" id="state" role="status"></p>
</header>
<main>
<section class="summary card scroll" id="summary" tabindex="0" aria-label="Summary">${parts.summary}</section>
<noscript><p class="problems">The figures need JavaScript; the summary above does not.</p></noscript>
<nav id="controls" aria-label="View"></nav>
<div class="figures"></div>
<div id="log-notes">${parts["log-notes"]}</div>
</main>
<footer class="quiet">Drawn from metrics.jsonl of each run. Drag over a figure to look at a part of it in all of
them, double-click for the whole. Charts by Apache ECharts (Apache License 2.0).</footer>
<script type="application/json" id="data">${inJson(data)}</script>
<script>${library}</script>
<script type="module">${script}</script>
</body>
</html>
`;
}

/** The page's own script: the modules of `page/` as one, started with the chart library. */
export async function pageScript(): Promise<string> {
  return `${await linkModules(
    import.meta.resolve("./page/start.ts"),
  )}startPage(globalThis.echarts);\n`;
}

/** The parts that change as runs go on. */
export function renderParts(data: ReportData, made: Date): PageParts {
  const going = data.page.runs.filter((run) => run.going).length;
  const runs = data.page.runs.length;
  return {
    "state-of-runs":
      `${runs} run${runs === 1 ? "" : "s"}${going > 0 ? `, ${going} still going` : ""} · ` +
      `<time datetime="${made.toISOString()}">${escape(localTime(made))}</time>`,
    "summary": summaryTable(data),
    "log-notes": logNotes(data),
  };
}

/** The page's data as JSON. */
export function pageJson(data: ReportData): string {
  return JSON.stringify(data.page);
}

/** Text as it stands in HTML, in an attribute's quotes as well. */
export function escape(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** In a cell that has no value. */
const NOTHING = writeValue(null, "number");

interface Column {
  readonly name: string;
  readonly unit?: string;
  readonly cell: (run: ReportedRun) => string;
  /** What is best in the column; absent where nothing is better. */
  readonly better?: { readonly value: (run: ReportedRun) => number; readonly most: boolean };
}

function columnsOf(data: ReportData): Column[] {
  const { summaries, page } = data;
  const score = summaries.find((run) => run.score)?.score;
  const kind = score?.kind ?? "accuracy";
  const scoreFormat = kind === "accuracy" ? "percent" : "number";
  const columns: Column[] = [
    { name: "ranks", cell: (run) => String(run.ranks ?? NOTHING) },
    { name: "epochs", cell: (run) => writeValue(run.epochs, "number") },
    { name: "iterations", cell: (run) => count(run.iterations) },
    { name: "rounds", cell: (run) => count(run.rounds) },
    {
      name: "training loss",
      unit: "last tenth",
      cell: (run) => writeValue(run.trainLoss, "number"),
      better: { value: (run) => run.trainLoss, most: false },
    },
  ];
  if (score) {
    columns.push({
      name: `${score.split === "valid" ? "validation" : "test"} ${kind}`,
      unit: "last (best)",
      cell: ({ score: s }) =>
        s
          ? writeValue(s.last, scoreFormat) +
            (s.best === s.last ? "" : ` (${writeValue(s.best, scoreFormat)})`)
          : NOTHING,
      better: { value: (run) => run.score?.last ?? NaN, most: kind === "accuracy" },
    });
  }
  columns.push(
    {
      name: "training time",
      unit: "without evaluation",
      cell: (run) => writeValue(run.trainSeconds, "seconds"),
    },
    {
      name: "steps/s",
      cell: (run) => writeValue(run.stepsPerSecond, "number"),
      better: { value: (run) => run.stepsPerSecond, most: true },
    },
  );
  if (page.runs.some((run) => run.baseline)) {
    columns.push(
      {
        name: "speedup",
        unit: "per epoch",
        cell: (run) => times(run.speedup),
        better: { value: (run) => run.speedup, most: true },
      },
      {
        name: "speedup",
        unit: "to its loss",
        cell: (run) => times(run.speedupToLoss),
        better: { value: (run) => run.speedupToLoss, most: true },
      },
    );
  }
  columns.push(
    {
      name: "communicating",
      unit: "of training time",
      cell: (run) => writeValue(run.syncSeconds / run.trainSeconds, "percent"),
      better: { value: (run) => run.syncSeconds / run.trainSeconds, most: false },
    },
    { name: "sent", unit: "by each rank", cell: (run) => writeValue(run.bytesSent, "bytes") },
    { name: "clipped", unit: "of all steps", cell: (run) => writeValue(run.clipRate, "percent") },
    { name: "drift", unit: "of its bound", cell: (run) => writeValue(run.driftOfBound, "percent") },
  );
  return columns;
}

function summaryTable(data: ReportData): string {
  const ranks = new Set(data.summaries.map((run) => run.ranks));
  const columns = columnsOf(data)
    .filter(({ name }) => name !== "ranks" || ranks.size > 1)
    .filter(({ cell }) => data.summaries.some((run) => cell(run) !== NOTHING));
  const common = ranks.size > 1 || ranks.has(null) ? "" : ` · ranks: ${[...ranks]}`;
  const { summaries, page } = data;
  const best = columns.map(({ better }) => {
    if (!better || summaries.length < 2) return -1;
    const values = summaries.map((run) => better.value(run) * (better.most ? 1 : -1));
    const most = Math.max(...values.filter(Number.isFinite));
    return values.indexOf(most);
  });
  const head = columns.map(({ name, unit }) =>
    `<th scope="col">${escape(name)}${unit ? `<small>${escape(unit)}</small>` : ""}</th>`
  );
  const rows = summaries.map((run, index) => {
    const { baseline, going } = page.runs[index];
    const cells = columns.map(({ cell }, column) =>
      `<td${best[column] === index ? ' class="best"' : ""}>${escape(cell(run))}</td>`
    );
    return `<tr><th scope="row"><span class="swatch" data-run="${index}"></span>${
      escape(run.label)
    }` +
      `${baseline ? ' <span class="quiet">baseline</span>' : ""}` +
      `${going ? '<span class="going">still going</span>' : ""}</th>${cells.join("")}</tr>`;
  });
  return `<table><caption>Summary<small class="quiet">${common}</small></caption><thead><tr><th scope="col">run</th>${
    head.join("")
  }</tr></thead>` +
    `<tbody>${rows.join("\n")}</tbody></table>`;
}

function logNotes(data: ReportData): string {
  const problems = data.logs.flatMap((log) => problemsOf(log));
  const files = data.logs.map((log, index) =>
    `<li><b>${escape(data.summaries[index].label)}</b>: ${escape(log.directory)}</li>`
  );
  const list = (items: readonly string[]) => `<ul>${items.join("\n")}</ul>`;
  return (problems.length === 0
    ? ""
    : `<details class="card problems" open><summary>Problems in the logs</summary>` +
      `${list(problems.map((text) => `<li>${escape(text)}</li>`))}</details>`) +
    `<details class="card"><summary>Folders of the runs</summary>${list(files)}</details>`;
}

/** What was wrong with a log, in sentences that name the file. */
export function problemsOf(log: RunLog): string[] {
  const problems = log.damaged.map(({ line, reason }) =>
    `${log.file}, line ${line}: ${reason}; left out`
  );
  const more = log.damagedCount - log.damaged.length;
  if (more > 0) problems.push(`${log.file}: ${more} more damaged lines left out`);
  if (log.torn && log.summary !== null) {
    problems.push(`${log.file}: the last line is incomplete; left out`);
  }
  if (log.config === null) {
    problems.push(`${log.directory}/config.json is missing; the run goes by its folder`);
  }
  const losses = log.steps.column("loss");
  const broken = losses.filter((loss) => !Number.isFinite(loss)).length;
  if (broken > 0) {
    problems.push(
      `${log.file}: the loss was not a finite number in ${broken} of ${losses.length} steps`,
    );
  }
  return problems;
}

function times(factor: number): string {
  return Number.isFinite(factor) ? `${factor.toPrecision(3)}×` : NOTHING;
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en").replaceAll(",", "\u2009");
}

function localTime(date: Date): string {
  return date.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}

/** A script's text must not hold what ends its element. */
function inScript(code: string): string {
  return code.replaceAll(/<(?=\/script|!--)/gi, "\\x3c");
}

function inJson(data: ReportData): string {
  return pageJson(data).replaceAll("<", "\\u003c");
}

/** A script as the content security policy names it. */
async function hashOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `'sha256-${new Uint8Array(digest).toBase64()}'`;
}
