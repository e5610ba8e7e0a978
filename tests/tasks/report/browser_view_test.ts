import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { loadAccessibilityRules } from "../../../deps.ts";
import { report } from "../../../tasks/report/report.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { type BrowserPage, findChromium, startBrowser } from "./_browser.ts";
import { type GeneratedRun, writeGeneratedRun } from "./_generated_runs.ts";

const chromium = findChromium();

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

/** Three seeds of CELGC, two of the baseline, of which rank 1 is slow. */
async function writeSeeds(folder: string): Promise<string> {
  for (const seed of [1, 2, 3]) {
    await writeGeneratedRun(`${folder}/celgc-${seed}`, { ...RUN, seed });
  }
  for (const seed of [1, 2]) {
    await writeGeneratedRun(`${folder}/naive-${seed}`, {
      ...RUN,
      seed,
      algorithm: "naive-parallel",
      interval: 1,
      slow: 1,
    });
  }
  const out = `${folder}/page.html`;
  await report([folder], { out });
  return pathToFileURL(out).href;
}

/** What the accessibility rules find, one line for each fault. */
async function faultsOf(page: BrowserPage): Promise<string[]> {
  const { source } = await loadAccessibilityRules();
  // The page's policy lets it run nothing else: the rules come in by the browser's own tools.
  await page.evaluate(source);
  const { violations } = await page.evaluate(
    `axe.run(document, { resultTypes: ["violations"] })`,
  ) as { violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] };
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 120)} ${failureSummary}`)
  );
}

Deno.test({
  name: "seeds are bands, the table sorts and filters, and a link shows the same view",
  ignore: chromium === null,
  async fn(t) {
    await using folder = await temporaryFolder();
    const address = await writeSeeds(folder.path);
    await using browser = await startBrowser(chromium!);
    const { page, complaints } = await browser.open();
    await page.setViewport({ width: 1280, height: 900 });
    await page.goto(address);
    const texts = (selector: string) =>
      page.evaluate(`[...document.querySelectorAll(${JSON.stringify(selector)})]
        .filter((element) => element.offsetParent !== null)
        .map((element) => element.textContent.trim())`) as Promise<string[]>;
    const hash = () => page.evaluate("decodeURIComponent(location.hash)");
    const bands = () =>
      page.evaluate(`[...document.querySelectorAll("#training-loss svg path")]
        .filter((path) => path.getAttribute("fill-opacity") === "0.16").length`);

    await t.step("bands over seeds", async () => {
      assert.deepEqual(await texts(".runs button"), [
        "naive-parallel (2 seeds)",
        "celgc I=4 (3 seeds)",
      ]);
      assert.equal(await bands(), 2);
      await page.evaluate(`[...document.querySelectorAll(".check")]
        .find((label) => label.textContent.includes("seeds")).querySelector("input").click()`);
      assert.equal((await texts(".runs button")).length, 5);
      assert.equal(await bands(), 0);
      assert.equal(await hash(), "#epoch&seeds=off");
    });

    await t.step("smoothing", async () => {
      const curve = () =>
        page.evaluate(`[...document.querySelectorAll("#gradient-norm svg path[fill=none]")]
          .map((path) => path.getAttribute("d")).sort((a, b) => b.length - a.length)[0]`);
      const before = await curve();
      await page.evaluate(`(() => {
        const input = document.querySelector("input.smooth");
        input.value = 5;
        input.dispatchEvent(new Event("input"));
      })()`);
      assert.notEqual(await curve(), before);
    });

    await t.step("sorting by a heading, with the keyboard", async () => {
      const rows = () => texts("#summary tbody th");
      const begun = await rows();
      await page.evaluate(`[...document.querySelectorAll("button.sort")]
        .find((button) => button.textContent.startsWith("run")).focus()`);
      await page.keyboard.press("Enter");
      assert.deepEqual(await rows(), begun.toSorted());
      await page.keyboard.press("Enter");
      assert.deepEqual(await rows(), begun.toSorted().toReversed());
      const sorted = `document.querySelector("#summary th[aria-sort]").getAttribute("aria-sort")`;
      assert.equal(await page.evaluate(sorted), "descending");
    });

    await t.step("filtering hides rows and curves", async () => {
      await page.evaluate(`(() => {
        const input = document.querySelector("input.filter");
        input.value = "interval=4 -seed=2";
        input.dispatchEvent(new Event("input"));
      })()`);
      assert.deepEqual(await texts("#summary tbody th"), ["celgc I=4 seed=3", "celgc I=4 seed=1"]);
      assert.equal(await hash(), "#epoch&seeds=off&smooth=5&filter=interval=4 -seed=2&sort=-1");
    });

    await t.step(
      "of seeds that are one those are drawn that are looked for, and one stays hidden",
      async () => {
        const seeds = `[...document.querySelectorAll(".check")]
        .find((label) => label.textContent.includes("seeds")).querySelector("input").click()`;
        await page.evaluate(seeds);
        assert.deepEqual(await texts(".runs button"), [
          "naive-parallel (2 seeds)",
          "celgc I=4 (2 of 3 seeds)",
        ]);
        const first = `document.querySelector(".runs button")`;
        await page.evaluate(`${first}.click()`);
        assert.match(String(await hash()), /&hide=naive-parallel&filter=/);
        assert.equal(await page.evaluate(`${first}.getAttribute("aria-pressed")`), "false");
        await page.evaluate(`${first}.click()`);
        await page.evaluate(seeds);
      },
    );

    await t.step("the timeline of a run's ranks", async () => {
      await page.select("#ranks select", "naive-parallel seed=2");
      assert.match(
        (await texts("#ranks svg text")).join(" ") ||
          await page.evaluate(`document.querySelector("#ranks svg").textContent`) as string,
        /wall clock of naive-parallel seed=2.*rank 0.*waiting for others/s,
      );
      const description = `document.querySelector("#ranks .chart").getAttribute("aria-label")`;
      assert.match(
        await page.evaluate(description) as string,
        /naive-parallel seed=1: rank 1 computes longest/,
      );
    });

    await t.step("the same view from its address alone", async () => {
      const link = await page.evaluate("location.href") as string;
      const seen = await page.evaluate(`document.querySelector("#drift svg").textContent`);
      const other = await browser.open();
      await other.page.setViewport({ width: 1280, height: 900 });
      await other.page.goto(link);
      assert.equal(
        await other.page.evaluate(`document.querySelector("#drift svg").textContent`),
        seen,
      );
      const rows =
        `[...document.querySelectorAll("#summary tbody tr:not([hidden]) th")].map((e) => e.textContent)`;
      assert.deepEqual(await other.page.evaluate(rows), await page.evaluate(rows));
      assert.equal(
        await other.page.evaluate(`document.querySelector("#ranks select").value`),
        "naive-parallel seed=2",
      );
    });

    await t.step("files of a figure", async () => {
      const saved = await page.evaluate(`(async () => {
        const saved = [];
        HTMLAnchorElement.prototype.click = function () { saved.push([this.download, this.href.slice(0, 40)]); };
        for (const name of ["SVG", "PNG", "CSV"]) {
          document.querySelector("#training-loss .tools button[title$=" + name + "]").click();
        }
        while (saved.length < 3) await new Promise((resolve) => setTimeout(resolve, 20));
        return saved.sort();
      })()`) as [string, string][];
      assert.deepEqual(saved.map(([name]) => name), [
        "training-loss-epoch.csv",
        "training-loss-epoch.png",
        "training-loss-epoch.svg",
      ]);
      assert.match(saved[0][1], /^data:text\/csv/);
      assert.match(saved[1][1], /^data:image\/png;base64,iVBOR/);
    });
    assert.deepEqual(complaints, []);
  },
});

Deno.test({
  name: "the page keeps to the rules of accessibility, in light and dark, from 400 pixels to 4K",
  ignore: chromium === null,
  async fn(t) {
    await using folder = await temporaryFolder();
    const address = await writeSeeds(folder.path);
    await using browser = await startBrowser(chromium!);
    for (const scheme of ["light", "dark"]) {
      for (const width of [400, 1280, 3840]) {
        await t.step(`${scheme}, ${width} pixels`, async () => {
          const { page } = await browser.open();
          await page.setViewport({ width, height: 900 });
          await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
          await page.goto(address);
          // A run that is left out has to be legible on its button.
          await page.evaluate(`document.querySelector(".runs button").click()`);
          assert.deepEqual(await faultsOf(page), []);
          assert.ok(
            await page.evaluate(`document.documentElement.scrollWidth <= innerWidth`),
            "scrolls sideways",
          );
          await page.close();
        });
      }
    }
  },
});

Deno.test({
  name: "a page of six runs of 10,000 steps is under 3 MB and opens within a second",
  ignore: chromium === null,
  async fn() {
    await using folder = await temporaryFolder();
    for (const interval of [1, 2, 4, 8, 16, 32]) {
      const run = { ...RUN, interval, epochs: 40, stepsPerEpoch: 250 };
      await writeGeneratedRun(`${folder.path}/celgc-${interval}`, run);
    }
    const out = `${folder.path}/page.html`;
    await report([folder.path], { out });
    const { size } = await Deno.stat(out);
    assert.ok(size < 3e6, `${size} bytes`);
    await using browser = await startBrowser(chromium!);
    const { page } = await browser.open();
    await page.setViewport({ width: 1280, height: 900 });
    // Processor time of the page's own thread: the wall clock is also that of whatever else runs here.
    const tools = await page.createCDPSession();
    await tools.send("Performance.enable", { timeDomain: "threadTicks" });
    await page.goto(pathToFileURL(out).href);
    const { metrics } = await tools.send("Performance.getMetrics");
    const spent = metrics.find(({ name }) => name === "TaskDuration")!.value;
    assert.equal(await page.evaluate(`document.querySelectorAll("figure svg").length`), 9);
    console.log(`${(size / 1e6).toFixed(2)} MB, ${spent.toFixed(2)} s of processor time`);
    assert.ok(spent > 0 && spent < 1, `${spent} s`);
  },
});
