import assert from "node:assert/strict";
import { join } from "node:path";
import { readMetrics } from "../../../tasks/logs/log_tail.ts";
import { readConfig } from "../../../tasks/run/folder.ts";
import { sweep } from "../../../tasks/sweep/sweep.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { runOf, TINY } from "./_tiny.ts";

Deno.test("a sweep runs each cell once, from the same weights and samples, and compares them", async () => {
  await using folder = await temporaryFolder();
  const out = folder.path;
  const given = { ...TINY, interval: [1, 4], baseline: true, out };
  const first = await sweep(given);
  const names = ["algorithm=naive-parallel", "interval=1", "interval=4"];
  assert.deepEqual(first.cells.map(({ name }) => name), names);
  assert.ok(first.cells.every(({ status, reused }) => status === "finished" && !reused));
  assert.deepEqual(first.problems, []);
  assert.deepEqual(first.cells.map(({ summary }) => summary!.rounds), [4, 4, 1]);
  assert.deepEqual(first.cells.map(({ baseline }) => baseline), names.map(() => names[0]));
  assert.equal(first.cells[0].speedup, 1);
  assert.equal(first.cells[0].speedupToLoss, 1);
  assert.ok(first.cells[2].speedup! > 0);

  // The first losses are of the initial weights on the first batches: alike in all cells.
  const starts = await Promise.all(first.cells.map(async ({ dir }) => ({
    weights: (await readConfig(dir)).plan!.initialWeights,
    losses: readMetrics(join(dir, "metrics.jsonl"))
      .flatMap((r) => r.type === "step" && r.step === 1 ? [[r.rank, r.loss]] : [])
      .sort(([a], [b]) => a - b),
  })));
  assert.match(starts[0].weights, /^[0-9a-f]{64}$/);
  assert.equal(starts[0].losses.length, 2);
  assert.deepEqual(starts[1].weights, starts[0].weights);
  assert.deepEqual(starts[2], starts[1]);
  starts[0].losses.forEach(([, loss], rank) => {
    assert.ok(Math.abs(loss - starts[1].losses[rank][1]) < 1e-5);
  });

  const document = JSON.parse(await Deno.readTextFile(join(out, "summary.json")));
  assert.deepEqual(document.axes, ["algorithm", "interval"]);
  assert.deepEqual(document.cells.map((cell: { dir: string }) => cell.dir), names);
  assert.equal(document.cells[2].summary.weightsHash, first.cells[2].summary!.weightsHash);
  const csv = (await Deno.readTextFile(join(out, "summary.csv"))).trimEnd().split("\n");
  assert.equal(csv.length, 4);
  assert.match(csv[0], /^cell,status,algorithm,interval,testAccuracy,/);
  assert.match(csv[1], /^algorithm=naive-parallel,finished,naive-parallel,,/);

  const before = await Promise.all(names.map((name) => runOf(out, name)));
  const again = await sweep({ ...given, interval: [1, 2, 4] });
  assert.deepEqual(again.cells.map(({ name, reused }) => [name, reused]), [
    [names[0], true],
    ["interval=1", true],
    ["interval=2", false],
    ["interval=4", true],
  ]);
  assert.deepEqual(await Promise.all(names.map((name) => runOf(out, name))), before);
  assert.deepEqual(again.cells[3].summary, first.cells[2].summary);

  const left = [...Deno.readDirSync(out)].map(({ name }) => name).sort();
  assert.deepEqual(left, [...names, "interval=2", "summary.csv", "summary.json"].sort());
});

Deno.test("a cell whose files were altered, or whose run was cut off, is run again", async () => {
  await using folder = await temporaryFolder();
  const out = folder.path, given = { ...TINY, maxSteps: 1, interval: [1, 2, 3], out };
  await sweep(given);
  const log = join(out, "interval=2", "metrics.jsonl");
  await Deno.writeTextFile(log, (await Deno.readTextFile(log)).replace(/"loss":\d/, '"loss":9'));
  await Deno.writeTextFile(
    join(out, "interval=3", "cell.json"),
    (await Deno.readTextFile(join(out, "interval=3", "cell.json"))).replace("finished", "started"),
  );
  const { cells } = await sweep(given);
  assert.deepEqual(cells.map(({ reused, status }) => [reused, status]), [
    [true, "finished"],
    [false, "finished"],
    [false, "finished"],
  ]);
});

Deno.test("a cell that fails is noted, does not stop the others, and is tried again", async () => {
  await using folder = await temporaryFolder();
  const given = { ...TINY, algorithm: "local-sgd", lr: [1e30, 0.1], out: folder.path } as const;
  const { cells } = await sweep(given);
  assert.deepEqual(cells.map(({ status }) => status), ["failed", "finished"]);
  assert.match(cells[0].message!, /training has diverged: at step \d rank \d has loss/);
  assert.equal(cells[0].summary, null);
  const again = await sweep(given);
  assert.deepEqual(again.cells.map(({ status, reused }) => [status, reused]), [
    ["failed", false],
    ["finished", true],
  ]);
});

Deno.test("runs of other options in the same folder are kept, and found again", async () => {
  await using folder = await temporaryFolder();
  const out = folder.path, given = { ...TINY, maxSteps: 1, interval: [2], out };
  const [first] = (await sweep({ ...given, lr: 0.1 })).cells;
  const [other] = (await sweep({ ...given, lr: 0.05 })).cells;
  assert.notEqual(other.dir, first.dir);
  assert.match(other.dir, /interval=2-[0-9a-f]{8}$/);
  for (const [lr, dir] of [[0.1, first.dir], [0.05, other.dir]] as const) {
    const [cell] = (await sweep({ ...given, lr })).cells;
    assert.deepEqual([cell.reused, cell.dir], [true, dir]);
  }
});

Deno.test("a sweep that is ended early keeps what has finished, and goes on later", async () => {
  await using folder = await temporaryFolder();
  const given = { ...TINY, interval: [1, 2], epochs: 1e6, out: folder.path };
  const controller = new AbortController();
  const ended = setInterval(() => {
    // The second cell has begun.
    try {
      if (Deno.statSync(join(folder.path, "interval=2", "metrics.jsonl")).size > 0) {
        controller.abort();
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }, 5);
  const first = await sweep({ ...given, maxSteps: 80, signal: controller.signal });
  clearInterval(ended);
  assert.deepEqual(first.cells.map(({ status }) => status), ["finished", "pending"]);
  assert.equal(first.interrupted, "abort");
  const cut = join(folder.path, "interval=2", "cell.json");
  assert.equal(JSON.parse(await Deno.readTextFile(cut)).status, "started");
  const { cells, interrupted } = await sweep({ ...given, maxSteps: 80 });
  assert.equal(interrupted, null);
  assert.deepEqual(cells.map(({ status, reused }) => [status, reused]), [
    ["finished", true],
    ["finished", false],
  ]);
});

Deno.test("two sweeps do not write to one folder at a time", async () => {
  await using folder = await temporaryFolder();
  const given = { ...TINY, interval: [1], out: folder.path };
  const first = sweep(given);
  while (![...Deno.readDirSync(folder.path)].some(({ name }) => name === "interval=1")) {
    await new Promise((wake) => setTimeout(wake, 5));
  }
  await assert.rejects(sweep(given), /is in use by another sweep/);
  assert.equal((await first).cells[0].status, "finished");
});

Deno.test("a cell of an earlier version is recognised by what its options mean", async () => {
  await using folder = await temporaryFolder();
  const given = { ...TINY, interval: [2], maxSteps: 2, out: folder.path };
  const [{ name, dir }] = (await sweep(given)).cells;
  const before = await runOf(folder.path, name);
  const path = join(dir, "config.json"), config = JSON.parse(await Deno.readTextFile(path));
  const rewrite = async (options: Record<string, unknown>) => {
    const bytes = new TextEncoder().encode(JSON.stringify({ ...config, options }));
    await Deno.writeFile(path, bytes);
    const cell = JSON.parse(await Deno.readTextFile(join(dir, "cell.json")));
    cell.hash = "f".repeat(64);
    const digest = await crypto.subtle.digest("SHA-256", bytes);
    cell.files["config.json"] = new Uint8Array(digest).toHex();
    await Deno.writeTextFile(join(dir, "cell.json"), JSON.stringify(cell));
  };

  const { labelSmoothing: _added, ...earlier } = config.options;
  // Other defaults of what has no effect on this task, and of what decides no number.
  await rewrite({ ...earlier, imageSize: 7, maxRestarts: 9 });
  assert.deepEqual((await sweep(given)).cells.map(({ reused }) => reused), [true]);
  assert.equal(await runOf(folder.path, name), before);

  // Of an option that is unknown here nobody can say what it did.
  await rewrite({ ...earlier, warp: 9 });
  assert.deepEqual((await sweep(given)).cells.map(({ reused }) => reused), [false]);
});

Deno.test("a cell that is run again has nothing of its earlier run, such as checkpoints", async () => {
  await using folder = await temporaryFolder();
  const given = { ...TINY, interval: [2], keep: 9, log: "tensorboard", out: folder.path } as const;
  const { cells: [{ dir }] } = await sweep({ ...given, checkpointEvery: 1 });
  const namesIn = (name: string) =>
    [...Deno.readDirSync(join(dir, name))].map(({ name }) => name).sort();
  assert.deepEqual(namesIn("checkpoint"), ["step-1", "step-2", "step-3", "step-4"]);
  await Deno.remove(join(dir, "model.onnx"));
  const again = await sweep({ ...given, checkpointEvery: 4 });
  assert.equal(again.cells[0].reused, false);
  assert.deepEqual(namesIn("checkpoint"), ["step-4"]);
  assert.equal(namesIn("tensorboard").length, 1);
});
