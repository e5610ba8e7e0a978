import assert from "node:assert/strict";
import { report } from "../../../tasks/report/report.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { knownLines, position, writeRun } from "../run_folder.ts";

const KNOWN = { interval: 2, scale: 4, stepMs: 50, syncMs: 10, drift: 0.1, driftBound: 4 };

async function pageOf(
  options: Record<string, unknown>[],
  lines: (string | object)[][] = [knownLines(KNOWN)],
) {
  await using folder = await temporaryFolder();
  const runs: string[] = [];
  for (const [index, option] of options.entries()) {
    runs.push(await writeRun(folder.path, `run-${index}`, option, lines[index] ?? lines[0]));
  }
  const outcome = await report(runs, { title: `A & B <"'>` });
  assert.equal(outcome.page, `${runs[0]}/report.html`);
  return { html: await Deno.readTextFile(outcome.page), outcome };
}

/** What a browser would read as markup: the page without what is inside scripts and styles. */
function markup(html: string): string {
  return html.replaceAll(/(<(script|style)[^>]*>)[\s\S]*?(<\/\2>)/g, "$1$3");
}

Deno.test("the page refers to nothing outside itself, and forbids itself to", async () => {
  const { html } = await pageOf([{ algorithm: "celgc", interval: 2 }]);
  const references = [...markup(html).matchAll(/\b(?:src|href|action|srcset|data)="([^"]*)"/g)];
  assert.deepEqual(references.map(([, target]) => target), ["data:,"]);
  assert.equal(/@import|url\(\s*["']?https?:/.test(html), false);
  const policy = /Content-Security-Policy" content="([^"]*)"/.exec(html)?.[1] ?? "";
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /script-src 'sha256-[^']+' 'sha256-[^']+'(;|$)/);
  assert.doesNotMatch(policy, /connect-src|https?:|script-src[^;]*unsafe/);
});

Deno.test("options, folders and titles are text, whatever they hold", async () => {
  const evil = `</script><img src=x onerror="alert(1)">`;
  const { html } = await pageOf([
    { algorithm: "celgc", model: evil },
    { algorithm: "celgc", model: `<!--<script>` },
  ]);
  assert.equal(/<img|onerror="/.test(markup(html)), false);
  assert.equal(html.match(/<script/g)?.length, 3, "the data, the library and the script");
  assert.equal(html.match(/<\/script/g)?.length, 3);
  assert.match(markup(html), /<title>A &#38; B &#60;&#34;&#39;&#62;<\/title>/);
  const json = /<script type="application\/json" id="data">([\s\S]*?)<\/script>/.exec(html)?.[1];
  const data = JSON.parse(json ?? "");
  assert.deepEqual(data.runs.map((run: { label: string }) => run.label), [evil, `<!--<script>`]);
});

Deno.test("the summary is readable without a script, and compares with the baseline", async () => {
  const { html } = await pageOf([
    { algorithm: "celgc", interval: 2, ranks: 2 },
    { algorithm: "naive-parallel", ranks: 2 },
  ], [
    knownLines(KNOWN),
    knownLines({ interval: 1, scale: 8, stepMs: 100, syncMs: 40, drift: 0, driftBound: null }),
  ]);
  const rows = [...html.matchAll(/<tr[^>]*>(.*?)<\/tr>/g)].map(([, row]) =>
    [...row.matchAll(/<t[dh][^>]*>(.*?)<\/t[dh]>/g)].map(([, cell]) =>
      cell.replaceAll(/<[^>]*>/g, " ").trim().replaceAll(/\s+/g, " ")
    )
  );
  const header = rows[0];
  const cell = (row: number, name: string) => rows[row][header.indexOf(name)];
  assert.equal(rows.length, 3);
  assert.equal(rows[1][0], "naive-parallel baseline");
  assert.equal(rows[2][0], "celgc I=2");
  assert.equal(cell(1, "speedup per epoch"), "–");
  assert.equal(cell(2, "speedup per epoch"), "2.00×");
  assert.equal(cell(2, "speedup to its loss"), "3.56×");
  assert.equal(cell(2, "communicating of training time"), "10 %");
  assert.equal(cell(2, "clipped of all steps"), "31.3 %");
  assert.equal(cell(2, "drift of its bound"), "40 %");
  assert.equal(cell(2, "test accuracy last (best)"), "80 %");
  assert.equal(cell(2, "sent by each rank"), "8 kB");
});

Deno.test("runs of several tasks have each its own score, and none is best of another's", async () => {
  const images = knownLines(KNOWN);
  const text = [
    ...knownLines(KNOWN).filter((line) => (line as { type: string }).type === "step"),
    { type: "eval", ...position(16, 2), split: "test", loss: 5, perplexity: 148, count: 1 },
  ];
  const { html } = await pageOf([{ task: "cifar10" }, { task: "ptb" }], [images, text]);
  const table = markup(html);
  assert.match(table, /test accuracy<small>.*test perplexity<small>/);
  assert.match(table, /<td data-value="148\.0000" class="best">148</);
  assert.match(table, /<td data-value="0\.8[0]*" class="best">80 %</);
  assert.doesNotMatch(table, /14800/);
});

Deno.test("the summary tells the step of the best weights and their score, where they were kept", async () => {
  const linesWith = (best: object) =>
    knownLines(KNOWN).map((line) =>
      (line as { type: string }).type === "summary" ? { ...line, best } : line
    );
  const lines = linesWith({ step: 12, testAccuracy: 0.934, testLoss: 0.4 });
  const { html } = await pageOf([{}, {}], [lines, knownLines(KNOWN)]);
  assert.match(markup(html), /best weights<small>on the test set/);
  assert.match(markup(html), /<td data-value="0\.934[0]*">93\.4 % at step 12<\/td>/);
  const { html: ofAmounts } = await pageOf([{}], [
    linesWith({ step: 12, testRmse: 0.25, testLoss: 0.5 }),
  ]);
  assert.match(markup(ofAmounts), /<td data-value="0\.2500000">0\.25 at step 12<\/td>/);
  const { html: without } = await pageOf([{}], [knownLines(KNOWN)]);
  assert.ok(!markup(without).includes("best weights"));
});

Deno.test("a run that goes on is marked, and damage is named by file and line", async () => {
  const step = { type: "step", ...position(1, 4), loss: 2, gradNorm: 1, clipped: true, stepMs: 1 };
  const { html, outcome } = await pageOf([{}], [[step, "oops\n", '{"type":"st']]);
  assert.match(markup(html), /1 run, 1 still going/);
  assert.equal(outcome.problems.length, 1);
  assert.match(outcome.problems[0], /run-0\/metrics\.jsonl, line 2: not JSON/);
  assert.match(markup(html), /run-0\/metrics\.jsonl, line 2: not JSON \(&#34;oops&#34;\)/);
});

Deno.test("a page for a folder that is not there is refused", async () => {
  await using folder = await temporaryFolder();
  const run = await writeRun(folder.path, "run", {}, []);
  await assert.rejects(
    report([run], { out: `${folder.path}/no/page.html` }),
    /cannot write .*\/no\/page\.html: there is no such folder/,
  );
});
