import assert from "node:assert/strict";
import { report } from "../../../tasks/report/report.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { knownLines, writeRun } from "../run_folder.ts";

Deno.test("each figure is written as SVG and PNG, the paper's over every axis", async () => {
  await using folder = await temporaryFolder();
  const known = { interval: 2, scale: 10, stepMs: 50, syncMs: 10, drift: 0.1, driftBound: 4 };
  // Without evaluations, for time's sake: a PNG takes a quarter of a second.
  const lines = knownLines(known).filter((line) => !("accuracy" in line));
  const run = await writeRun(folder.path, "run", { algorithm: "celgc" }, lines);
  const { images } = await report([run], { out: `${folder.path}/page.html`, images: true });
  const names = images.map(({ svg }) => svg.replace(`${folder.path}/page-figures/`, ""));
  const axes = ["epochs", "wall-clock", "iterations", "rounds", "bytes"];
  assert.deepEqual(names, [
    ...axes.map((axis) => `training-loss-${axis}.svg`),
    "clip-rate.svg",
    "gradient-norm.svg",
    "drift.svg",
    "bytes-sent.svg",
    "communication-share.svg",
    "time-per-epoch.svg",
    "ranks.svg",
  ]);
  const loss = await Deno.readTextFile(images[0].svg);
  assert.match(loss, /^<svg width="960" height="540"/);
  assert.match(loss, />Training loss</);
  assert.match(loss, />run</, "the legend names the run");
  assert.doesNotMatch(loss, /NaN|undefined/);
  const png = await Deno.readFile(images[0].png);
  assert.deepEqual([...png.subarray(0, 8)], [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const header = new DataView(png.buffer, png.byteOffset);
  assert.deepEqual([header.getUint32(16), header.getUint32(20)], [1920, 1080]);
  // A blank image of this size is a few kilobytes.
  assert.ok(png.length > 20_000, `${png.length} bytes`);
});
