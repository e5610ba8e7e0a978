/**
 * A report's page: one HTML file that needs nothing else. The chart library, the script, the style
 * and the data are inside, and the content security policy keeps the page from fetching anything.
 *
 * @module
 */

import { chartBundleUrl } from "../../deps.ts";
import { counted } from "../../runtime/base/words.ts";
import { escape } from "./escape.ts";
import type { ReportData } from "./report_data.ts";
import { linkModules } from "./link_modules.ts";
import { problemsOf } from "./log_problems.ts";
import type {} from "./page/start.ts"; // read by path alone; so that a packer sees it
import { PAGE_STYLE } from "./style_sheet.ts";
import { STATE_WORDS, summaryTable } from "./summary_table.ts";

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

/** The module that the page's script begins with. */
const START = import.meta.resolve("./page/start.ts");

/** The page's own script: the modules of `page/` as one, started with the chart library. */
export async function pageScript(): Promise<string> {
  return `${await linkModules(START)}startPage(globalThis.echarts);\n`;
}

/** The parts that change as runs go on. */
export function renderParts(data: ReportData, made: Date): PageParts {
  const runs = data.page.runs.length;
  const unfinished = (["going", "ended early"] as const).map((state) => {
    const count = data.page.runs.filter((run) => run.state === state).length;
    return count === 0 ? "" : `, ${count} ${STATE_WORDS[state]}`;
  });
  return {
    "state-of-runs":
      (runs === 0
        ? "Waiting for the first run to begin · "
        : `${counted(runs, "run")}${unfinished.join("")} · `) +
      `<time datetime="${made.toISOString()}">${escape(localTime(made))}</time>`,
    "summary": runs === 0 ? "" : summaryTable(data),
    "log-notes": logNotes(data),
  };
}

/** What is wrong with the logs, and where they are. */
function logNotes(data: ReportData): string {
  const problems = data.logs.flatMap(problemsOf);
  const files = data.logs.map((log, index) =>
    `<li><b>${escape(data.summaries[index].label)}</b>: ${escape(log.directory)}</li>`
  );
  const list = (items: readonly string[]) => `<ul>${items.join("\n")}</ul>`;
  return (problems.length === 0
    ? ""
    : `<details class="card problems" open><summary>Problems in the logs</summary>` +
      `${list(problems.map((text) => `<li>${escape(text)}</li>`))}</details>`) +
    (files.length === 0
      ? ""
      : `<details class="card"><summary>Folders of the runs</summary>${list(files)}</details>`);
}

function localTime(date: Date): string {
  return date.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}

/** A script's text must not hold what ends its element. */
function inScript(code: string): string {
  return code.replaceAll(/<(?=\/script|!--)/gi, "\\x3c");
}

/** The page's data, in whose element nothing may end it. */
function inJson({ page }: ReportData): string {
  return JSON.stringify(page).replaceAll("<", "\\u003c");
}

/** A script as the content security policy names it. */
async function hashOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `'sha256-${new Uint8Array(digest).toBase64()}'`;
}
