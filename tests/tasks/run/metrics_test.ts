import assert from "node:assert/strict";
import { LogError } from "../../../tasks/logs/log_error.ts";
import { LogTail, readMetrics } from "../../../tasks/logs/log_tail.ts";
import type { EvalRecord } from "../../../tasks/logs/records.ts";
import { MetricsLog } from "../../../tasks/run/metrics.ts";
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
