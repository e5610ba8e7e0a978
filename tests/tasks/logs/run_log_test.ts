import assert from "node:assert/strict";
import { findRuns } from "../../../tasks/logs/find_runs.ts";
import { LogError } from "../../../tasks/logs/log_error.ts";
import { readMetrics } from "../../../tasks/logs/log_tail.ts";
import { LOCK_FILE } from "../../../tasks/logs/config.ts";
import { RunLog } from "../../../tasks/logs/run_log.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { listRuns } from "../../../tasks/runs/list.ts";
import { position, writeRun } from "../run_folder.ts";

const step = (iteration: number, more = {}) => ({
  type: "step",
  ...position(iteration, 10),
  loss: 1 / iteration,
  gradNorm: 2,
  clipped: iteration % 2 === 1,
  lr: 0.1,
  clip: 1,
  stepMs: 5,
  ...more,
});

Deno.test("a line that the run is still writing is left for later", async () => {
  await using folder = await temporaryFolder();
  const whole = JSON.stringify(step(3)) + "\n";
  const half = whole.slice(0, 40);
  const run = await writeRun(folder.path, "run", {}, [step(1), step(2), half]);
  const log = await RunLog.open(run);
  assert.equal(log.steps.length, 2);
  assert.equal(log.torn, true);
  assert.equal(log.damagedCount, 0);

  await Deno.writeTextFile(log.file, whole.slice(40), { append: true });
  assert.equal(await log.refresh(), true);
  assert.deepEqual(log.steps.column("iteration"), [1, 2, 3]);
  assert.equal(log.torn, false);
  assert.equal(await log.refresh(), false, "nothing was appended since");
});

Deno.test("damaged lines are named, counted and left out; later lines keep their numbers", async () => {
  await using folder = await temporaryFolder();
  const run = await writeRun(folder.path, "run", {}, [
    step(1),
    "\0\0\0\0{{{\n",
    "\n",
    '{"type":"step","rank":0}\n',
    "[1,2]\n",
    '{"rank":0}\n',
    '{"type":"of a later version"}\n',
    step(2),
  ]);
  const log = await RunLog.open(run);
  assert.deepEqual(log.steps.column("iteration"), [1, 2]);
  assert.deepEqual(log.damaged.map(({ line }) => line), [2, 4, 5, 6]);
  assert.match(log.damaged[0].reason, /not JSON/);
  assert.match(log.damaged[1].reason, /a step needs the number "iteration"/);
  assert.equal(log.damagedCount, 4);
});

Deno.test("a wrong file cannot fill the report with damaged lines", async () => {
  await using folder = await temporaryFolder();
  const run = await writeRun(folder.path, "run", {}, [step(1), "x\n".repeat(5000), step(2)]);
  const log = await RunLog.open(run);
  assert.equal(log.damagedCount, 5000);
  assert.equal(log.damaged.length, 20);
  assert.equal(log.steps.length, 2);
});

Deno.test("a last line without a line feed counts, once", async () => {
  await using folder = await temporaryFolder();
  const run = await writeRun(folder.path, "run", {}, [step(1), JSON.stringify(step(2))]);
  const log = await RunLog.open(run);
  assert.equal(log.steps.length, 2);
  await Deno.writeTextFile(log.file, "\n" + JSON.stringify(step(3)) + "\nbad\n", { append: true });
  await log.refresh();
  assert.deepEqual(log.steps.column("iteration"), [1, 2, 3]);
  assert.deepEqual(log.damaged.map(({ line }) => line), [4]);
});

Deno.test("lines longer than a read and characters of several bytes survive", async () => {
  await using folder = await temporaryFolder();
  const run = await writeRun(folder.path, "run", {}, [
    step(1),
    step(2, { note: "‖x̄ − xᵢ‖ ".repeat(200_000) }),
    step(3),
  ]);
  const log = await RunLog.open(run);
  assert.deepEqual(log.steps.column("iteration"), [1, 2, 3]);
  assert.equal(log.damagedCount, 0);
});

Deno.test("a loss that was not finite is NaN, not damage", async () => {
  await using folder = await temporaryFolder();
  const run = await writeRun(folder.path, "run", {}, [step(1), step(2, { loss: NaN })]);
  const log = await RunLog.open(run);
  assert.deepEqual(log.steps.column("loss"), [1, NaN]);
  assert.equal(log.damagedCount, 0);
});

Deno.test("of iterations that a restarted job logged twice, the last pass counts", async () => {
  await using folder = await temporaryFolder();
  const both = (iteration: number, loss: number) => [
    step(iteration, { loss }),
    step(iteration, { loss, rank: 1 }),
  ];
  const run = await writeRun(folder.path, "run", {}, [
    ...both(1, 1),
    ...both(2, 2),
    step(3, { loss: 3 }),
    ...both(2, 20),
    ...both(3, 30),
  ]);
  const log = await RunLog.open(run);
  const losses = log.steps.rows().map((row) => log.steps.column("loss")[row]);
  assert.deepEqual(losses, [1, 1, 20, 20, 30, 30]);
});

Deno.test("a run begun anew in the same folder is read from its start", async () => {
  await using folder = await temporaryFolder();
  const run = await writeRun(folder.path, "run", {}, [step(1), step(2), step(3)]);
  const log = await RunLog.open(run);
  await Deno.writeTextFile(log.file, JSON.stringify(step(9)) + "\n");
  assert.equal(await log.refresh(), true);
  assert.deepEqual(log.steps.column("iteration"), [9]);
});

Deno.test("a folder without a log, a wrong path and a config that is no JSON are named", async () => {
  await using folder = await temporaryFolder();
  await Deno.mkdir(`${folder.path}/empty`);
  await assert.rejects(
    RunLog.open(`${folder.path}/empty`),
    (error) =>
      error instanceof LogError && error.message.includes(`${folder.path}/empty`) &&
      error.message.includes("metrics.jsonl"),
  );
  await assert.rejects(findRuns([`${folder.path}/nowhere`]), /nowhere: there is no such folder/);
  await assert.rejects(findRuns([`${folder.path}/empty`]), /there is no metrics\.jsonl in it/);
  const run = await writeRun(folder.path, "run", {}, [step(1)]);
  await assert.rejects(findRuns([`${run}/metrics.jsonl`]), /it is a file/);
  await assert.rejects(findRuns([]), /at least one folder/);
  await Deno.writeTextFile(`${run}/config.json`, "{");
  await assert.rejects(RunLog.open(run), /config\.json: it must hold one JSON object/);
});

Deno.test("a sweep's folder stands for the runs below it, in order of their numbers, each once", async () => {
  await using folder = await temporaryFolder();
  for (const name of ["sweep/cells/I=16", "sweep/cells/I=2", "sweep/cells/I=4"]) {
    await writeRun(folder.path, name, {}, [step(1)]);
  }
  await Deno.mkdir(`${folder.path}/sweep/cells/I=32`);
  const sweep = `${folder.path}/sweep`;
  const runs = await findRuns([`${sweep}/`, `${sweep}/cells/I=4`]);
  assert.deepEqual(runs, ["I=2", "I=4", "I=16"].map((name) => `${sweep}/cells/${name}`));
});

Deno.test("a run without an end goes on as long as its log grows, and a silent one is given time", async () => {
  await using folder = await temporaryFolder();
  const state = async (name: string, lines: object[], silentSeconds: number) => {
    const log = await RunLog.open(await writeRun(folder.path, name, {}, lines));
    return log.stateAt(new Date(log.modified!.getTime() + silentSeconds * 1000));
  };
  const quick = [step(1), step(2)];
  assert.equal(await state("a", quick, 60), "going");
  assert.equal(await state("b", quick, 200), "ended early");
  // It was silent for ten minutes before, as while it evaluated.
  assert.equal(await state("c", [step(1), step(2, { seconds: 600 })], 200), "going");
  assert.equal(await state("d", [step(1), step(2, { seconds: 600 })], 3600), "ended early");
  assert.equal(await state("e", [...quick, { type: "summary" }], 3600), "finished");
});

Deno.test("a run goes on while its folder is locked, and has ended early as soon as it is not", async () => {
  await using folder = await temporaryFolder();
  const run = await writeRun(folder.path, "run", {}, [step(1)]);
  const lock = `${run}/${LOCK_FILE}`;
  await Deno.writeTextFile(`${run}/config.json`, JSON.stringify({ lock: LOCK_FILE, options: {} }));
  await Deno.writeTextFile(lock, "");
  const log = await RunLog.open(run), now = new Date();
  const states = async () => {
    await log.refresh();
    return [log.stateAt(now), (await listRuns([run], now))[0].state];
  };
  assert.deepEqual(await states(), ["going", "going"]);
  await Deno.remove(lock);
  assert.deepEqual(await states(), ["ended early", "ended early"]);
  await Deno.writeTextFile(`${run}/metrics.jsonl`, `{"type":"summary","step":1}\n`, {
    append: true,
  });
  assert.deepEqual(await states(), ["finished", "finished"]);
});

Deno.test("a reader of records names the file and the line that it cannot read", async () => {
  await using folder = await temporaryFolder();
  const run = await writeRun(folder.path, "run", {}, [step(1), "{oops\n", step(2)]);
  assert.throws(
    () => readMetrics(`${run}/metrics.jsonl`),
    (error) =>
      error instanceof LogError && /run\/metrics\.jsonl, line 2: not JSON/.test(error.message),
  );
  assert.deepEqual(readMetrics(`${run}/nothing.jsonl`), []);
});
