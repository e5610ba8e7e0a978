import assert from "node:assert/strict";
import { RunLog } from "../../../tasks/logs/run_log.ts";
import { totalsOf } from "../../../tasks/logs/totals.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { position, writeRun } from "../run_folder.ts";

const step = (iteration: number, more: object = {}) => ({
  type: "step",
  ...position(iteration, 10),
  loss: 1 / iteration,
  gradNorm: 2,
  clipped: false,
  lr: 0.1,
  clip: 1,
  stepMs: 100,
  syncMs: 40,
  ...more,
});

const round = (iteration: number) => ({
  type: "round",
  ...position(iteration, 10),
  syncMs: 10,
  drift: 0,
  driftBound: null,
  participants: [0],
});

async function totals(lines: object[]) {
  await using folder = await temporaryFolder();
  return totalsOf(await RunLog.open(await writeRun(folder.path, "run", {}, lines)));
}

Deno.test("time spent exchanging is that of gradients and weights, as the steps have it", async () => {
  const { trainSeconds, syncSeconds } = await totals([step(1), round(1), step(2), round(2)]);
  assert.equal(trainSeconds, 0.2);
  assert.equal(syncSeconds, 0.08);
});

Deno.test("a log whose steps do not say how long they exchanged is summed over its rounds", async () => {
  const old = { syncMs: undefined };
  const { syncSeconds } = await totals([step(1, old), round(1), step(2, old), round(2)]);
  assert.equal(syncSeconds, 0.02);
});

Deno.test("ranks that take unequal numbers of steps count by their own sums", async () => {
  // Rank 0 takes four steps of 100 ms while rank 1 takes two of 200 ms.
  const lines = [1, 2, 3, 4].map((t) => step(t, { bytesSent: 10 * t }));
  const slow = [1, 2].map((t) => step(t, { rank: 1, stepMs: 200, syncMs: 50, bytesSent: 5 * t }));
  const { trainSeconds, syncSeconds, steps, bytesSent, trainLoss } = await totals([
    ...lines,
    ...slow,
  ]);
  assert.ok(Math.abs(trainSeconds - 0.4) < 1e-12);
  assert.ok(Math.abs(syncSeconds - (4 * 0.04 + 2 * 0.05) / 2) < 1e-12);
  assert.equal(steps, 3);
  assert.deepEqual([...bytesSent], [[0, 40], [1, 10]]);
  assert.equal(trainLoss, (1 / 4 + 1 / 2) / 2, "each rank's last step");
});

Deno.test("a finished run's epochs are the mean that its summary tells, not the fastest rank's", async () => {
  const steps = [step(1, { epoch: 4 }), step(2, { epoch: 4.1 }), step(1, { rank: 1, epoch: 3.9 })];
  assert.equal((await totals(steps)).epochs, 4.1, "so far");
  const summary = { ...step(2), type: "summary", epochs: 4 };
  assert.equal((await totals([...steps, summary])).epochs, 4);
});

Deno.test("steps that were skipped have no loss, and are left out of the mean", async () => {
  const skipped = step(2, { rank: 1, loss: null, skipped: true });
  const lines = [step(1), step(1, { rank: 1 }), step(2), skipped];
  assert.equal((await totals(lines)).trainLoss, 1 / 2);
});

Deno.test("what was sent at the end is the sending of who has written the summary", async () => {
  const steps = [step(1, { bytesSent: 10 }), step(1, { rank: 1, bytesSent: 10 })];
  const summary = { ...step(2, { rank: 1, bytesSent: 50 }), type: "summary" };
  assert.deepEqual([...(await totals([...steps, summary])).bytesSent], [[0, 10], [1, 50]]);
});

Deno.test("what has not begun comes to nothing, and says so", async () => {
  const { steps, trainSeconds, trainLoss, clipRate } = await totals([]);
  assert.deepEqual([steps, trainSeconds], [0, 0]);
  assert.ok(Number.isNaN(trainLoss) && Number.isNaN(clipRate));
});
