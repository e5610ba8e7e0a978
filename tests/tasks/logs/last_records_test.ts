import assert from "node:assert/strict";
import { lastRecords } from "../../../tasks/logs/last_records.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { knownLines, position, writeRun } from "../run_folder.ts";

const KNOWN = { interval: 2, scale: 10, stepMs: 50, syncMs: 10, drift: 0.1, driftBound: 4 };

const step = (t: number, loss: string) => ({
  type: "step",
  ...position(t, 4),
  loss,
});

Deno.test("of a finished run the summary is read, of another its last step and evaluation", async () => {
  await using folder = await temporaryFolder();
  const lines = knownLines(KNOWN);
  const finished = await lastRecords(await writeRun(folder.path, "a", {}, lines));
  assert.equal(finished.summary?.step, 16);
  const cut = await lastRecords(await writeRun(folder.path, "b", {}, lines.slice(0, -1)));
  assert.equal(cut.summary, null);
  assert.deepEqual([cut.step?.step, cut.evaluation?.accuracy], [16, 0.8]);
});

Deno.test("a run that went on behind its summary is not finished", async () => {
  await using folder = await temporaryFolder();
  const lines = [...knownLines(KNOWN), step(17, "1")];
  const { summary, step: last } = await lastRecords(await writeRun(folder.path, "a", {}, lines));
  assert.deepEqual([summary, last?.step], [null, 17]);
});

Deno.test("lines that are longer than what is read at once, torn and damaged ones", async () => {
  await using folder = await temporaryFolder();
  for (const length of [1, 65_000, 65_535, 65_536, 65_537, 200_000]) {
    const lines = [
      { type: "eval", ...position(4, 4), loss: 7, count: 1, note: "é".repeat(length) },
      { type: "eval", ...position(8, 4), split: "train", loss: 3, count: 1 },
      step(9, "x".repeat(length)),
      "not JSON\n",
      '{"type":"summ',
    ];
    const read = await lastRecords(await writeRun(folder.path, `run-${length}`, {}, lines));
    assert.deepEqual([read.summary, read.step?.step, read.evaluation?.loss], [null, 9, 7]);
    assert.equal(String(read.step?.loss).length, length);
  }
});

Deno.test("an empty log has no records", async () => {
  await using folder = await temporaryFolder();
  const read = await lastRecords(await writeRun(folder.path, "a", {}, []));
  assert.deepEqual([read.summary, read.step, read.evaluation], [null, null, null]);
});
