import assert from "node:assert/strict";
import { deno } from "../../_helpers/deno.ts";
import { serveRepository } from "../../_helpers/web_folder.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

Deno.test("three lines that import mod.ts over HTTP train on two ranks in an empty folder", async () => {
  await using folder = await temporaryFolder();
  await using server = serveRepository();
  const url = `${server.url}mod.ts`;
  const program = `import { launch } from "${url}";
const run = await launch({ ranks: 2, maxSteps: 6, trainSize: 100, testSize: 40, device: "cpu" });
console.log(JSON.stringify({ dir: run.dir, ...run.summary }));
`;
  await Deno.writeTextFile(`${folder.path}/three_lines.ts`, program);
  const args = ["run", "-A", "--no-lock"];
  const { code, stdout, stderr } = await deno([...args, "three_lines.ts"], { cwd: folder.path });
  assert.equal(code, 0, stderr);
  const { dir, ranks, steps, identicalWeights } = JSON.parse(stdout);
  assert.deepEqual({ ranks, steps, identicalWeights }, {
    ranks: 2,
    steps: 6,
    identicalWeights: true,
  });
  const files = [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
  assert.deepEqual(files, [
    "README.md",
    "config.json",
    "metrics.jsonl",
    "model.onnx",
    "model.safetensors",
    "rank-0.log",
    "rank-1.log",
  ]);
  assert.ok(dir.startsWith(await Deno.realPath(folder.path)));
});

Deno.test("a sweep, its report and a plan work over HTTP as well", async () => {
  await using folder = await temporaryFolder();
  await using server = serveRepository();
  const url = `${server.url}mod.ts`;
  const program = `import { plan, report, sweep } from "${url}";
const planning = plan({ ranks: 2, maxSteps: 4, trainSize: 100, testSize: 40, device: "cpu" });
const { cells, dir } = await sweep({
  ranks: 2, interval: [1, 2], maxSteps: 4, trainSize: 100, testSize: 40, device: "cpu", out: "runs/i",
});
const { page, runs } = await report([dir]);
const planned = await planning;
console.log(JSON.stringify({ page, runs: runs.length, steps: planned.steps, cells: cells.map(({ name, status }) => name + " " + status) }));
`;
  await Deno.writeTextFile(`${folder.path}/two_calls.ts`, program);
  const args = ["run", "-A", "--no-lock"];
  const { code, stdout, stderr } = await deno([...args, "two_calls.ts"], { cwd: folder.path });
  assert.equal(code, 0, stderr);
  const { page, runs, steps, cells } = JSON.parse(stdout);
  assert.deepEqual(cells, ["interval=1 finished", "interval=2 finished"]);
  assert.deepEqual([runs, steps], [2, 4]);
  assert.match(await Deno.readTextFile(page), /^<!doctype html>/i);
});
