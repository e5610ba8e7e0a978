import assert from "node:assert/strict";
import { RunLog } from "../../../tasks/logs/run_log.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { position, writeRun } from "../run_folder.ts";
import { type Coordinates, findBaseline } from "../../../tasks/logs/baseline.ts";
import {
  type Pace,
  paceOf,
  secondsToLoss,
  speedup,
  speedupToLoss,
} from "../../../tasks/logs/pace.ts";

/** A run of `steps` steps, ten an epoch, whose loss is 1/t. */
const pace = (steps: number, secondsPerStep: number, loss = (t: number) => 1 / t): Pace => {
  const t = Array.from({ length: steps }, (_, i) => i + 1);
  return {
    epoch: t.map((i) => i / 10),
    loss: t.map(loss),
    seconds: t.map((i) => i * secondsPerStep),
  };
};

Deno.test("speedup is the ratio of the time for the same passes over the data", () => {
  assert.equal(speedup(pace(100, 2), pace(50, 0.5)), 4);
  assert.equal(speedup(pace(100, 2), { epoch: [], loss: [], seconds: [] }), null);
});

Deno.test("speedup to the same loss counts the seconds until the baseline's final loss", () => {
  const baseline = pace(100, 2);
  assert.equal(speedupToLoss(baseline, baseline), 1);
  assert.equal(speedupToLoss(baseline, pace(100, 1)), 2);
  // Twice as fast a step, but twice as many of them to the same loss: 2/t is 1/100 at t = 200.
  const slower = speedupToLoss(baseline, pace(400, 1, (t) => 2 / t))!;
  assert.ok(Math.abs(slower - 1) < 0.03, `${slower}`);
});

Deno.test("a run that never comes to the baseline's loss has no such speedup", () => {
  assert.equal(speedupToLoss(pace(100, 2), pace(100, 0.1, () => 0.5)), null);
});

Deno.test("one lucky batch does not count as reaching a loss: means over a window do", () => {
  const lucky = pace(40, 1, (t) => t === 5 ? 0 : t <= 20 ? 1 : 0.1);
  // Ten steps are an epoch: the mean over the ten up to step 29 is the first with one 1 in it.
  assert.equal(secondsToLoss(lucky, 0.2, 1), 29);
  assert.equal(secondsToLoss(lucky, 0, 1), null);
});

Deno.test("where the averaged weights were measured, theirs is the loss that must be reached", () => {
  const averaged = (seconds: number[], loss: number[]) => ({
    epoch: loss.map((_, i) => i + 1),
    loss,
    seconds,
  });
  const baseline = { ...pace(100, 2), averaged: averaged([100, 200], [1, 0.5]) };
  // Its mini-batches on drifting ranks never come to the baseline's loss; the average does, in time.
  const drifting = pace(100, 1, () => 0.9);
  assert.equal(speedupToLoss(baseline, drifting), null);
  const run = { ...drifting, averaged: averaged([25, 50, 75], [0.8, 0.5, 0.4]) };
  assert.equal(speedupToLoss(baseline, run), 4);
  assert.equal(speedupToLoss(baseline, { ...run, averaged: averaged([25], [0.8]) }), null);
});

Deno.test("the pace of a log has the evaluations on training data behind the first step", async () => {
  await using folder = await temporaryFolder();
  const at = (t: number) => ({ ...position(t, 10), loss: 3 - t });
  const step = (t: number) => ({
    type: "step",
    ...at(t),
    gradNorm: 1,
    clipped: false,
    stepMs: 500,
  });
  const run = await writeRun(folder.path, "run", {}, [
    { type: "eval", ...at(0), split: "train", count: 5 },
    step(1),
    { type: "eval", ...at(1), split: "test", accuracy: 1, count: 5 },
    step(2),
    { type: "eval", ...at(2), split: "train", count: 5 },
  ]);
  const { averaged, seconds } = paceOf(await RunLog.open(run));
  assert.deepEqual(seconds, [0.5, 1]);
  assert.deepEqual(averaged, { epoch: [0.2], loss: [1], seconds: [1] });
});

Deno.test("steps that were skipped, on one rank or on all, are left out of a pace's means", async () => {
  await using folder = await temporaryFolder();
  const step = (t: number, rank: number, loss: number | null) => (
    { type: "step", ...position(t, 10), rank, loss, gradNorm: 1, clipped: false, stepMs: 500 }
  );
  const log = await RunLog.open(
    await writeRun(folder.path, "run", {}, [
      ...[step(1, 0, 3), step(1, 1, 1), step(2, 0, null), step(2, 1, 1)],
      ...[step(3, 0, null), step(3, 1, null), step(4, 0, 0.5), step(4, 1, 0.5)],
    ]),
  );
  const run = paceOf(log);
  assert.deepEqual(run.loss, [2, 1, NaN, 0.5]);
  assert.equal(secondsToLoss(run, 0.75, 0.2), 2);
  assert.equal(speedupToLoss(run, run), 1);
});

Deno.test("a cell is compared with the baseline, else with I = 1, else with a single rank", () => {
  const candidates = (...list: Coordinates[]) => new Map(list.map((at, i) => [i, at]));
  const celgc = (interval: number, lr = 0.1) => ({ algorithm: "celgc", interval, lr });
  const naive = { algorithm: "naive-parallel", interval: null, lr: 0.1 };
  const single = { algorithm: "single", interval: null, ranks: null, lr: 0.1 };
  assert.equal(findBaseline(celgc(4), candidates(celgc(1), celgc(4), naive)), 2);
  assert.equal(findBaseline(celgc(4), candidates(single, celgc(1, 0.2), celgc(1), celgc(4))), 2);
  assert.equal(findBaseline({ ...celgc(4), ranks: 8 }, candidates(single)), 0);
  assert.equal(findBaseline(celgc(4, 0.2), candidates(naive, celgc(1))), null);
  assert.equal(findBaseline({ interval: 4 }, candidates({ interval: 2 }, { interval: 1 })), 1);
});
