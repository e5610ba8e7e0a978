import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { report } from "../../../tasks/report/report.ts";
import { formatTable } from "../../../tasks/sweep/table.ts";
import { sweep } from "../../../tasks/sweep/sweep.ts";
import { watchReport } from "../../../tasks/report/watch.ts";
import { type BrowserPage, findChromium, startBrowser } from "./_browser.ts";
import { type GeneratedRun, writeGeneratedRun } from "./_generated_runs.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

const chromium = findChromium();
if (chromium === null) {
  console.warn(
    "the report's page is not looked at: no chromium in PATH (Debian: apt install chromium)",
  );
}

const RUN: GeneratedRun = {
  algorithm: "celgc",
  interval: 4,
  ranks: 2,
  epochs: 6,
  stepsPerEpoch: 12,
  kind: "accuracy",
  stepMs: 200,
  syncMs: 40,
};

async function writeSweep(folder: string): Promise<void> {
  await writeGeneratedRun(`${folder}/naive`, { ...RUN, algorithm: "naive-parallel", interval: 1 });
  await writeGeneratedRun(`${folder}/celgc-4`, RUN);
  await writeGeneratedRun(`${folder}/<img src=x>`, { ...RUN, interval: 16, stopAt: 50 });
}

/**
 * Curves in a figure: paths that are stroked and not filled, grid lines left out by their one move.
 */
const curves = (id: string) =>
  `[...document.querySelectorAll("#${id} svg path")].filter((path) =>
  path.getAttribute("fill") === "none" && path.getAttribute("d").length > 60).length`;

const text = (page: BrowserPage, selector: string) =>
  page.evaluate(
    `document.querySelector(${JSON.stringify(selector)})?.textContent ?? ""`,
  ) as Promise<
    string
  >;

Deno.test({
  name: "a browser draws every figure, asks for nothing else and has nothing to complain of",
  ignore: chromium === null,
  async fn(t) {
    await using folder = await temporaryFolder();
    await writeSweep(folder.path);
    const out = `${folder.path}/page.html`;
    await report([folder.path], { out });
    await using browser = await startBrowser(chromium!);
    const { page, complaints, requests } = await browser.open();
    await page.setViewport({ width: 1280, height: 900 });
    await page.goto(pathToFileURL(out).href);

    await t.step("charts", async () => {
      const drawn = await page.evaluate(`[...document.querySelectorAll("figure")].map((figure) => [
        figure.id, figure.querySelectorAll("svg path").length > 5,
        figure.querySelector(".chart").getAttribute("aria-label").length > 20])`);
      const ids = [
        "training-loss",
        "test-accuracy",
        "clip-rate",
        "gradient-norm",
        "drift",
        "bytes-sent",
        "communication-share",
        "time-per-epoch",
        "ranks",
      ];
      assert.deepEqual(drawn, ids.map((id) => [id, true, true]));
      assert.equal(await page.evaluate(curves("training-loss")), 3);
      assert.match(await text(page, "#training-loss svg"), /epochs/);
      assert.match(await text(page, "#summary"), /naive-parallel baseline.*celgc I=4/s);
      assert.equal(await page.evaluate(`document.querySelectorAll("img").length`), 0);
    });

    await t.step("the axis and the runs can be chosen", async () => {
      await page.evaluate(`document.querySelector("input[value=seconds]").click()`);
      assert.match(await text(page, "#training-loss svg"), /wall clock since the first step/);
      assert.equal(await page.evaluate("location.hash"), "#seconds");
      await page.evaluate(`document.querySelector(".runs button").click()`);
      assert.equal(await page.evaluate(curves("training-loss")), 2);
      await page.evaluate(`document.querySelector(".runs button").click()`);
      assert.equal(await page.evaluate(curves("training-loss")), 3);
    });

    await t.step("a logarithmic axis", async () => {
      const ticks = () =>
        page.evaluate(`[...document.querySelectorAll("#training-loss svg text")]
          .map((text) => text.textContent).filter((text) => /^[\\d.]+$/.test(text)).join()`);
      const linear = await ticks();
      assert.match(linear as string, /^0,/);
      await page.evaluate(`document.querySelector("#training-loss .tools button").click()`);
      assert.doesNotMatch(await ticks() as string, /^0,/);
    });

    await t.step("values under the pointer", async () => {
      await page.hover("#test-accuracy .chart");
      await page.waitForSelector("#test-accuracy .tip");
      assert.match(await text(page, "#test-accuracy .tip"), /(min|s).*celgc I=4.* %/);
    });

    await t.step(
      "dragging looks at a part of every figure, a double click at the whole",
      async () => {
        const box = (await (await page.$("#test-accuracy .chart"))!.boundingBox())!;
        const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
        const before = await text(page, "#training-loss svg");
        await page.mouse.move(x, y);
        await page.mouse.down();
        await page.mouse.move(x + 120, y);
        await page.mouse.up();
        assert.notEqual(await text(page, "#training-loss svg"), before);
        await page.mouse.click(x, y, { count: 2 });
        assert.equal(await text(page, "#training-loss svg"), before);
      },
    );

    await t.step("a figure can be saved", async () => {
      const href = await page.evaluate(`(() => {
        let saved = "";
        HTMLAnchorElement.prototype.click = function () { saved = this.download + " " + this.href; };
        document.querySelector("#drift .tools button[title$=SVG]").click();
        return decodeURIComponent(saved);
      })()`) as string;
      assert.match(href, /^drift-seconds\.svg data:image\/svg\+xml/);
      assert.match(href, /Drift and its bound/);
    });

    await t.step("dark and light follow the reader's system", async () => {
      const ground = () => page.evaluate("getComputedStyle(document.body).backgroundColor");
      const label = `document.querySelector("#training-loss svg text").getAttribute("fill")`;
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
      assert.equal(await ground(), "rgb(245, 246, 248)");
      const light = await page.evaluate(label);
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
      assert.equal(await ground(), "rgb(13, 17, 23)");
      await page.waitForFunction(`${label} !== ${JSON.stringify(light)}`);
    });

    await t.step("a phone scrolls one way only", async () => {
      await page.setViewport({ width: 390, height: 844, isMobile: true, hasTouch: true });
      await page.waitForFunction(`document.querySelector("#training-loss svg").clientWidth < 390`);
      assert.deepEqual(await page.evaluate(`[document.documentElement.scrollWidth, innerWidth]`), [
        390,
        390,
      ]);
      assert.equal(await page.evaluate(curves("training-loss")), 3);
    });

    assert.deepEqual(complaints, []);
    assert.deepEqual([...new Set(requests.map((url) => url.replace(/#.*/, "")))], [
      pathToFileURL(out).href,
    ]);
  },
});

Deno.test({
  name: "a sweep over schedules, fragments and compression has its table, its labels and its page",
  ignore: chromium === null,
  async fn() {
    await using folder = await temporaryFolder();
    const schedule = "qsr:base=1,alpha=0.7";
    const { cells } = await sweep({
      ...{ ranks: 2, device: "cpu", batchSize: 4, trainSize: 40, testSize: 20, maxSteps: 8 },
      ...{ interval: [2, schedule], compress: ["none", "int8"], fragments: [1, 2] },
      out: `${folder.path}/sweep`,
    });
    const axes = ["interval", "fragments", "compress"], table = await formatTable(axes, cells);
    assert.match(table, /^interval +fragments +compress +train loss/);
    assert.match(table, /^2 +2 +int8 +\d/m);
    assert.match(table, /^qsr:base=1,alpha=0.7 +1 +none +\d/m);
    const csv = await Deno.readTextFile(`${folder.path}/sweep/summary.csv`);
    assert.match(csv, /,finished,"qsr:base=1,alpha=0.7",2,int8,/);

    const out = `${folder.path}/page.html`;
    await report([`${folder.path}/sweep`], { out });
    await using browser = await startBrowser(chromium!);
    const { page, complaints } = await browser.open();
    await page.setViewport({ width: 1280, height: 900 });
    await page.goto(pathToFileURL(out).href);
    const labels = await page.evaluate(`[...document.querySelectorAll(".runs button")]
      .map((button) => button.textContent.trim())`) as string[];
    const expected = [2, schedule].flatMap((interval) =>
      ["none", "int8"].flatMap((compress) =>
        [1, 2].map((parts) => `I=${interval} compress=${compress} fragments=${parts}`)
      )
    );
    assert.deepEqual(labels.toSorted(), expected.toSorted());
    const summary = await text(page, "#summary");
    for (const label of expected) assert.ok(summary.includes(label), label);
    for (const id of ["training-loss", "bytes-sent", "drift"]) {
      assert.match(await text(page, `#${id} svg`), /\d/);
    }
    assert.equal(await page.evaluate(curves("training-loss")), expected.length);
    assert.deepEqual(complaints, []);
  },
});

Deno.test({
  name: "a served page redraws as the run goes on, and keeps the reader's view",
  ignore: chromium === null,
  async fn() {
    await using folder = await temporaryFolder();
    const run = `${folder.path}/run`;
    await writeGeneratedRun(run, { ...RUN, stopAt: 20 });
    await using server = await watchReport([run], { title: "T", everyMs: 50 });
    await using browser = await startBrowser(chromium!);
    const { page, complaints } = await browser.open();
    await page.goto(server.url);
    assert.match(await text(page, "#summary"), /still going/);
    await page.evaluate(`document.querySelector("input[value=iteration]").click()`);
    const before = await text(page, "#training-loss svg");
    await page.evaluate(`document.querySelector("#log-notes details").open = true;
      document.querySelectorAll("#summary button.sort")[2].focus()`);
    const described = `document.querySelector("#training-loss .chart").ariaLabel`;
    const begun = await page.evaluate(described);

    await writeGeneratedRun(run, RUN);
    await page.waitForFunction(
      `!document.querySelector("#summary").textContent.includes("still going")`,
    );
    const after = await text(page, "#training-loss svg");
    assert.notEqual(after, before);
    assert.match(after, /iterations of each rank/);
    assert.notEqual(await page.evaluate(described), begun, "who hears the page is told, too");
    assert.equal(await page.evaluate(`document.querySelector("#log-notes details").open`), true);
    assert.equal(
      await page.evaluate(`[...document.querySelectorAll("#summary button.sort")]
        .indexOf(document.activeElement)`),
      2,
      "the keyboard's focus stays",
    );
    assert.deepEqual(complaints, []);
    await page.close();
  },
});
