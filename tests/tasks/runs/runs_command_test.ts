import assert from "node:assert/strict";
import { listRuns } from "../../../tasks/runs/list.ts";
import { formatRuns } from "../../../tasks/runs/table.ts";
import { denoCommand, endedAs } from "../../_helpers/deno.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { knownLines, position, writeRun } from "../run_folder.ts";

const KNOWN = { interval: 2, scale: 10, stepMs: 50, syncMs: 10, drift: 0.1, driftBound: 4 };
const OPTIONS = { task: "cifar10", model: "resnet20", algorithm: "celgc", interval: 4, ranks: 8 };

/** Two runs and a sweep of one cell. */
async function someRuns(parent: string) {
  const summary = {
    type: "summary",
    ...position(16, 2),
    steps: 16,
    epochs: 8,
    testAccuracy: 0.912,
    testLoss: 0.5,
    totalBytesSent: 2_000_000,
    seconds: 125.4,
    best: { step: 12, epoch: 6, validationLoss: 0.4, testLoss: 0.45, testAccuracy: 0.934 },
  };
  const lines = knownLines(KNOWN).slice(0, -1);
  const finished = await writeRun(parent, "finished", OPTIONS, [...lines, summary]);
  await writeRun(parent, "sweep/cell", { ...OPTIONS, interval: "qsr:base=4,alpha=0.1" }, lines);
  const text = { ...position(3, 2), seconds: 7.25 };
  await writeRun(parent, "text", { ...OPTIONS, task: "ptb", model: "awd-lstm" }, [
    { type: "eval", ...text, split: "valid", loss: 5, perplexity: 148.413, count: 1 },
    { type: "step", ...text, loss: 4 },
  ]);
  const set = (run: string, started: string, options: object) =>
    Deno.writeTextFile(`${run}/config.json`, JSON.stringify({ started, options }));
  await set(finished, "2026-02-01T10:00:00.000Z", OPTIONS);
  await Deno.utime(`${parent}/text/metrics.jsonl`, 1000, 1000);
}

Deno.test("every run below the folder is listed, the latest last, with its result", async () => {
  await using folder = await temporaryFolder();
  await someRuns(folder.path);
  const runs = await listRuns([folder.path]);
  assert.deepEqual(
    runs.map(({ state, accuracy, perplexity, steps, seconds, bytesSent }) => ({
      state,
      score: accuracy ?? perplexity,
      steps,
      seconds,
      bytesSent,
    })),
    [
      { state: "going", score: 0.8, steps: 16, seconds: 0.8, bytesSent: null },
      { state: "ended early", score: 148.413, steps: 3, seconds: 7.25, bytesSent: null },
      { state: "finished", score: 0.912, steps: 16, seconds: 125.4, bytesSent: 2_000_000 },
    ],
  );
  const [head, cell, text, finished] = (await formatRuns(runs, folder.path)).split("\n");
  assert.match(
    head,
    /^folder +started +task +model +algorithm +I +N +epochs +result +best +sent +time$/,
  );
  assert.match(cell, /^sweep\/cell +– +cifar10 +resnet20 +celgc +qsr\S+ +8 .* 80\.0 % .* going$/);
  assert.match(text, /^text +– +ptb +awd-lstm .* perplexity 148\.41 +– +– +7\.3 s +ended early$/);
  assert.match(
    finished,
    /^finished +2026-02-01 \d\d:00 .* 91\.2 % +93\.4 % at step 12 +2 MB +2 min 5 s$/,
  );
});

Deno.test("an interval by which no rounds go is none, and a narrow terminal gets what fits", async () => {
  await using folder = await temporaryFolder();
  const lines = knownLines(KNOWN).slice(0, -1);
  await writeRun(folder.path, "naive", { ...OPTIONS, algorithm: "naive-parallel" }, lines);
  await writeRun(folder.path, "clock", { ...OPTIONS, syncEvery: 3 }, lines);
  await writeRun(folder.path, "celgc", OPTIONS, lines);
  const runs = await listRuns([folder.path]);
  const intervals = runs.map(({ directory, interval }) => [directory.split("/").at(-1), interval]);
  assert.deepEqual(Object.fromEntries(intervals), { naive: null, clock: null, celgc: 4 });
  const narrow = (await formatRuns(runs, folder.path, 44)).split("\n");
  assert.match(narrow[0], /^folder +algorithm +I +N +result$/);
  assert.equal(narrow.at(-1), "not shown, but in --json: model, epochs, time, task");
  assert.ok(narrow.slice(0, -1).every((line) => line.length <= 44), narrow.join("\n"));
});

Deno.test("the command prints the table or JSON, and says where no run is", async () => {
  await using folder = await temporaryFolder();
  await someRuns(folder.path);
  const main = import.meta.resolve("../../../tasks/cli/main.ts");
  const command = async (...args: string[]) =>
    endedAs(
      await denoCommand(["run", "--no-check", "--allow-read", "--allow-env", main, "runs", ...args])
        .output(),
    );
  const [table, json, none] = await Promise.all([
    command(folder.path),
    command(folder.path, "--json"),
    command(`${folder.path}/nowhere`),
  ]);
  assert.equal(table.code, 0, table.stderr);
  assert.equal(table.stdout, await formatRuns(await listRuns([folder.path]), folder.path) + "\n");
  assert.deepEqual(JSON.parse(json.stdout), await listRuns([folder.path]));
  assert.deepEqual(none, {
    code: 1,
    stdout: "",
    stderr: `celgc: cannot find runs in ${folder.path}/nowhere: there is no such folder\n`,
  });
});
