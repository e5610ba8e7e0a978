import assert from "node:assert/strict";
import { type Carried, share } from "../../../../tasks/training/membership/carried.ts";
import { MetricGather } from "../../../../tasks/training/records/metric_gather.ts";
import { RunningTotals } from "../../../../tasks/training/totals.ts";
import { WaitingLog } from "../../../../tasks/training/waiting/waiting_log.ts";
import { onAll, world } from "../../../_helpers/world.ts";

Deno.test("one that comes goes on with the run's clock, and counts no step of another", async () => {
  const totals = new RunningTotals(false, 100, true);
  const counted = { loss: 1, clipped: 0, stepMs: 5, syncSeconds: 0 };
  for (let t = 1; t <= 40; t++) totals.step(t, counted);
  const { tensors, numbers } = await totals.save(), milliseconds = 12_345;
  const start = performance.now() - milliseconds;
  const carried: Carried = {
    ...{ step: 40, taken: null, open: [], metrics: [], waits: null, writes: true, isFresh: false },
    ...{ watch: { evaluations: 0, last: null, noted: true }, start, lastSave: start },
    state: { tensors, numbers: { ...numbers, "loop.milliseconds": milliseconds } },
  };
  const worlds = [{ step: 0, ranks: 1 }, { step: 40, ranks: 2 }];
  await using mesh = await world(2);
  const [, came] = await onAll(mesh, async (comm, rank) => {
    const own = await share(comm, worlds, rank === 0 ? carried : null);
    const totals = new RunningTotals(false, 100, true);
    await totals.restore(own.state);
    const ago = performance.now() - own.start;
    totals.step(41, { ...counted, loss: 3 });
    totals.stop(41);
    const summary = { samples: 0, bytesSent: 0, ending: null, compressed: null };
    return { ago, ...await totals.total(comm, summary) };
  });
  assert.ok(came.status === "fulfilled", JSON.stringify(came));
  assert.ok(came.value.ago >= milliseconds, `the run began ${came.value.ago} ms ago`);
  // In the last tenth of a run that stops early: 1 in four steps and 3 in one of the first, 3 of the other.
  assert.equal(came.value.trainLoss, 10 / 6);
});

Deno.test("the rank that writes takes with it what was waited for, and tells it to all at the end", async () => {
  const waits = new WaitingLog([0, 1, 2], () => {}), spent = { total: 200, sync: 150 };
  waits.note([[150, 150, 0]], [spent, spent, { ...spent, sync: 0 }], []);
  await using mesh = await world(2);
  const summaries = await onAll(mesh, async (comm, rank) => {
    const metrics = new MetricGather(comm, null, [0, 2], true);
    metrics.resume([], rank === 0, rank === 0 ? waits : null);
    assert.equal(metrics.waits === null, rank > 0);
    const own = { stepMs: 100, syncMs: rank === 0 ? 60 : 10 };
    const counts = { step: 1, epoch: 1, iteration: 1, round: 1, seconds: 1, samples: 1 };
    const numbers = { loss: 1, gradNorm: 1, clipped: false, lr: 1, clip: 1 };
    metrics.step({ ...counts, ...numbers, ...own, bytesSent: 0, bytesReceived: 0 });
    await metrics.deliver();
    return await metrics.waiting();
  });
  const expected = { share: 350 / 800, stragglers: [{ rank: 2, share: 1 }] };
  for (const summary of summaries) {
    assert.ok(summary.status === "fulfilled", JSON.stringify(summary));
    assert.deepEqual(summary.value, expected);
  }
});
