import assert from "node:assert/strict";
import { LogError } from "../../../tasks/logs/log_error.ts";
import { LogTail, readMetrics } from "../../../tasks/logs/log_tail.ts";
import type { EvalRecord } from "../../../tasks/logs/records.ts";
import { MetricsLog, pieceAfter, settleHeld } from "../../../tasks/run/metrics.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

const record = (step: number): EvalRecord => ({
  type: "eval",
  rank: 0,
  step,
  epoch: step / 10,
  iteration: step,
  round: 0,
  seconds: step,
  samples: step,
  bytesSent: 0,
  bytesReceived: 0,
  loss: 1 / 3,
  accuracy: 0.5,
  count: 10,
  batchNorm: "average",
});

Deno.test("records come back as they were written, from a log that is still open", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/metrics.jsonl`;
  using log = new MetricsLog(path);
  const tail = new LogTail(path);
  assert.deepEqual(tail.records(), []);
  log.write(record(1), record(2));
  assert.deepEqual(tail.records(), [record(1), record(2)]);
  assert.deepEqual(tail.records(), []);
  log.write(record(3));
  assert.deepEqual(tail.records(), [record(3)]);
  assert.deepEqual(readMetrics(path), [record(1), record(2), record(3)]);
});

Deno.test("a line that is half written is read when it is whole", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/metrics.jsonl`;
  const tail = new LogTail(path);
  assert.deepEqual(tail.records(), [], "no file yet");
  const bytes = new TextEncoder().encode(
    JSON.stringify({ ...record(1), batchNorm: "gemäß" }) + "\n",
  );
  const half = bytes.indexOf(0xc3) + 1; // inside a character
  await Deno.writeFile(path, bytes.subarray(0, half));
  assert.deepEqual(tail.records(), []);
  await Deno.writeFile(path, bytes.subarray(half), { append: true });
  const [read] = tail.records() as EvalRecord[];
  assert.equal(read.batchNorm, "gemäß");
});

Deno.test("a damaged line in the middle of a log is named by its number", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/metrics.jsonl`;
  const lines = (middle: string) =>
    [JSON.stringify(record(1)), middle, JSON.stringify(record(3))].join("\n") + "\n";
  for (const middle of ['{"type":"eval","rank":', "null", "[1]", '"eval"']) {
    await Deno.writeTextFile(path, lines(middle));
    assert.throws(() => readMetrics(path), (error) => {
      assert.ok(error instanceof LogError);
      assert.ok(error.message.startsWith(`cannot read ${path}, line 2: `), error.message);
      return true;
    });
  }
});

const stepsIn = (path: string) => readMetrics(path).map(({ step }) => step);

Deno.test("what is kept back is written if it stands, and dropped if not", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/metrics.jsonl`;
  using log = new MetricsLog(path);
  log.write(record(1));
  log.hold(pieceAfter(2, false));
  log.write(record(2));
  assert.deepEqual(stepsIn(path), [1]);
  log.release(true);
  log.hold(pieceAfter(3, false));
  log.write(record(3));
  log.keep();
  log.release(false);
  log.write(record(4));
  assert.deepEqual(stepsIn(path), [1, 2, 4]);
  assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["metrics.jsonl"]);
});

Deno.test("the next writer takes in what the last had kept back of a piece that stands, once", async () => {
  // How much of it the last writer had written already, in lines and bytes.
  for (const [written, torn] of [[0, 0], [1, 0], [1, 5], [2, 0], [3, 0]]) {
    for (const stands of [true, false]) {
      await using folder = await temporaryFolder();
      const path = `${folder.path}/metrics.jsonl`, held = [record(2), record(3), record(3)];
      {
        using log = new MetricsLog(path);
        log.write(record(1));
        log.hold(pieceAfter(3, false));
        log.write(...held);
        log.keep();
      }
      const lines = held.slice(0, written + 1).map((each) => JSON.stringify(each) + "\n");
      const next = lines.splice(written).join("").slice(0, torn);
      if (stands) await Deno.writeTextFile(path, lines.join("") + next, { append: true });
      const redone = pieceAfter(3, stands); // after step 3 comes the end
      using log = new MetricsLog(path, { append: true, redone });
      log.write(record(4));
      assert.deepEqual(stepsIn(path), stands ? [1, 2, 3, 3, 4] : [1, 4], `${written}, ${torn}`);
      assert.equal([...Deno.readDirSync(folder.path)].length, 1);
    }
  }
});

Deno.test("a log that is synced while it keeps something back has it on the disk; one that begins anew drops it", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/metrics.jsonl`;
  {
    using log = new MetricsLog(path);
    log.hold(pieceAfter(2, false));
    log.write(record(2));
    await log.sync();
  }
  assert.equal([...Deno.readDirSync(folder.path)].length, 2);
  settleHeld(path, (piece) => piece <= pieceAfter(2, false));
  assert.deepEqual(stepsIn(path), [2]);
  {
    using log = new MetricsLog(path, { append: true });
    log.hold(pieceAfter(4, false));
    log.write(record(4));
    log.keep();
  }
  using _ = new MetricsLog(path);
  assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["metrics.jsonl"]);
  assert.deepEqual(stepsIn(path), []);
});
