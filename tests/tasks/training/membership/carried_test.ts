import assert from "node:assert/strict";
import { type Carried, share } from "../../../../tasks/training/membership/carried.ts";
import { RunningTotals } from "../../../../tasks/training/totals.ts";
import { onAll, world } from "../../../_helpers/world.ts";

Deno.test("one that comes goes on with the run's clock, and counts no step of another", async () => {
  const totals = new RunningTotals(false, 100, true);
  const counted = { loss: 1, clipped: 0, stepMs: 5, syncSeconds: 0 };
  for (let t = 1; t <= 40; t++) totals.step(t, counted);
  const { tensors, numbers } = await totals.save(), milliseconds = 12_345;
  const start = performance.now() - milliseconds;
  const carried: Carried = {
    ...{ step: 40, taken: null, open: [], metrics: [], writes: true, isFresh: false },
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
