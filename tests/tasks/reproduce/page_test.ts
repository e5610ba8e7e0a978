/** The page from invented runs: what it says of them, and that it says whose they are. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { PENN_TREEBANK_SOURCE } from "../../../tasks/data/sources/sources.ts";
import { FIGURES } from "../../../tasks/reproduce/figures.ts";
import { reproduce, type ReproduceOptions } from "../../../tasks/reproduce/reproduce.ts";
import { SWEEPS } from "../../../tasks/reproduce/sweeps.ts";
import type { Cell } from "../../../tasks/sweep/cells.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { type DrawnRun, writeFinished } from "./_finished_cells.ts";

const OLD = "a".repeat(40), NEW = "b".repeat(40);

/** As the paper says: all intervals learn alike, and clip more than the baseline. */
function asClaimed({ options: { algorithm } }: Cell): DrawnRun {
  const celgc = algorithm === "celgc";
  return { loss: 1, score: celgc ? 0.63 : 0.64, clipEvery: celgc ? 2 : 6, commit: NEW };
}

const drawn = async (folder: string, given: Partial<ReproduceOptions> = {}) => {
  const options: ReproduceOptions = {
    ...{ figures: [], data: "data", download: false, scale: 1, out: folder },
    ...{ page: join(folder, "page"), draw: true, note: "", view: "silent", say: () => {} },
    ...given,
  };
  const made = await reproduce(options), { page } = options;
  return { ...made, text: await Deno.readTextFile(join(page, "README.md")), page };
};

/** A section of the page, without the breaks of its lines. */
const sectionOf = (text: string, title: string) =>
  text.split(/^## /m).find((part) => part.startsWith(title))!.replaceAll(/\s*\n\s*/g, " ");

Deno.test("the page says what was seen, by which rule it agrees, of how many seeds and of which commits", async () => {
  await using folder = await temporaryFolder();
  await writeFinished(SWEEPS.intervals, 1, folder.path, (cell) => {
    const other = cell.at.interval === 2 || cell.options.algorithm === "single";
    return { ...asClaimed(cell), commit: other ? OLD : NEW };
  });
  await writeFinished(
    SWEEPS.intervals,
    2,
    folder.path,
    (cell) => cell.options.algorithm === "celgc" ? asClaimed(cell) : null,
  );
  const { text, missing, page } = await drawn(folder.path);
  assert.equal(missing, 10 + 4 + 3 + 3 + 6 + 3 + 3, "lines of several figures count once");

  const learning = sectionOf(text, "Fewer rounds");
  assert.match(
    learning,
    /As good: celgc I=1, .*celgc I=16, celgc I=32\. .*\*\*This agrees\.\*\* \(It agrees if /,
  );
  assert.match(learning, /\| celgc I=4 +\| 63 % +\| 6 +\| 48 kB +\| [\d.]+ s +\|/);
  assert.match(learning, /η = 0\.3, γ = 1 \(both times 0\.1 from epoch 9 on\), 12 epochs/);
  assert.match(
    learning,
    /Finished: 2 of 3 seeds of celgc I=1, .*; 1 of 3 seeds of naive-parallel, single\./,
  );
  assert.match(
    learning,
    /Made with commit b{12} \(.*\), but for what follows\. celgc I=2 of seed 1; single of seed 1: made with commit a{12} \(/,
  );
  assert.match(
    sectionOf(text, "How often"),
    /steps 16\.7 % clipped\. More often: .*\*\*This agrees\.\*\*/,
  );
  // Of each round, not of a bin's end: the last drift of I = 1 is the largest.
  assert.match(sectionOf(text, "Drift"), /was 20 % of it, with celgc I=1\. \*\*This agrees/);
  assert.match(sectionOf(text, "Not run yet"), /`speedup`: N ranks need/);

  const titles = new Set<string>();
  for (const name of ["epochs", "rounds", "bytes", "seconds"]) {
    const svg = await Deno.readTextFile(join(page, `intervals-${name}.svg`));
    titles.add(/<title id="title">(.*)<\/title>/.exec(svg)![1]);
    assert.match(
      svg,
      /<desc id="desc">At the end .* celgc I=4: test accuracy at the end 63 %, rounds 6,/,
    );
    assert.match(svg, />14 of 24 runs so far</);
    // What has sent nothing is nowhere on a logarithmic axis.
    assert.equal(svg.includes(">single<"), name === "epochs" || name === "seconds");
    assert.ok(svg.length < 30_000, `${svg.length}`);
  }
  assert.equal(titles.size, 4, "each picture says what it shows");
});

Deno.test("whole figures have their verdicts, alike by any spelling of the folder of data", async () => {
  await using folder = await temporaryFolder();
  const data = join(Deno.cwd(), "data");
  for (const record of Object.values(SWEEPS)) {
    for (const seed of record.seeds) {
      await writeFinished(record, seed, folder.path, (cell) => {
        const text = cell.options.task !== "cifar10", far = cell.at.interval === 16;
        return { ...asClaimed(cell), score: text ? (far ? 200 : 100) : far ? 0.2 : 0.6 };
      }, { data, scale: 1 });
    }
  }
  const { text, missing, figures } = await drawn(folder.path);
  assert.equal(missing, 0);
  assert.ok(!text.includes("Not run yet") && !text.includes("No verdict"));
  assert.ok(!text.includes(folder.path) && !text.includes(data));
  assert.deepEqual(
    figures.map(({ record, finding }) => [record.name, finding.agrees]),
    FIGURES.map(({ name }) => [
      name,
      // All lines of "speedup" take as many iterations.
      ["clipping", "drift"].includes(name)
        ? "agrees"
        : name === "speedup"
        ? "does not agree"
        : "agrees in part",
    ]),
  );
  const svgOf = (name: string) => Deno.readTextFile(join(folder.path, "page", `${name}.svg`));
  assert.match(await svgOf("participants"), />one seed</);
  assert.match(await svgOf("clipping"), />3 seeds: mean and range</);
});

Deno.test("first seeds are said to be these, and commands are those of what was run", async () => {
  await using folder = await temporaryFolder();
  await writeFinished(SWEEPS.wikitext2, 1, folder.path, asClaimed, { data: "data", scale: 0.5 });
  const { text, page } = await drawn(folder.path, { scale: 0.5 });
  assert.match(await Deno.readTextFile(join(page, "wikitext-2.svg")), />1 of 2 seeds so far</);
  const section = sectionOf(text, "WikiText-2");
  assert.match(section, /Finished: 1 of 2 seeds\./);
  assert.match(section, /deno task sweep .* --epochs 3 --eval-every 0\.5 --data DATA\/wikitext2 /);
  assert.match(section, /deno task reproduce wikitext-2 --data DATA --scale 0\.5/);
});

Deno.test("nothing is drawn where nothing is finished", async () => {
  await using folder = await temporaryFolder();
  await assert.rejects(
    drawn(folder.path),
    /--draw draws what is finished, and .* holds no finished run/,
  );
  await assert.rejects(Deno.stat(join(folder.path, "page")), Deno.errors.NotFound);
});

Deno.test("folders that cannot be made are told before anything runs", async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, "file"), data = join(folder.path, "data");
  await Deno.writeTextFile(file, "");
  await Deno.mkdir(join(data, "ptb"), { recursive: true });
  await assert.rejects(drawn(file), { message: `--out must be a folder, not the file ${file}` });
  await assert.rejects(
    drawn(join(folder.path, "runs"), { figures: ["penn-treebank"], data, draw: false, page: file }),
    /--page .*file cannot be made: /,
  );
  await assert.rejects(Deno.stat(join(folder.path, "runs")), Deno.errors.NotFound);
});

Deno.test("--download fetches nothing that is there, and spoils nothing that is another's", async () => {
  await using folder = await temporaryFolder();
  const data = join(folder.path, "data"), text = (name: string) => join(data, "ptb", name);
  const given = { figures: ["penn-treebank"], data, download: true, draw: false };
  await Deno.mkdir(join(data, "ptb"), { recursive: true });
  await Deno.writeTextFile(text("train.txt"), "my own");
  await assert.rejects(drawn(folder.path, given), /train\.txt exists with 6 bytes, the official/);
  for (const { files: [{ name, bytes }] } of PENN_TREEBANK_SOURCE.downloads) {
    await Deno.writeTextFile(text(name), "");
    await Deno.truncate(text(name), bytes);
  }
  for (const seed of SWEEPS.ptb.seeds) {
    await writeFinished(SWEEPS.ptb, seed, folder.path, asClaimed, { data, scale: 1 });
  }
  const { text: page, missing } = await drawn(folder.path, given);
  assert.equal(missing, 0);
  assert.match(page, /^## Penn Treebank$/m);
});
