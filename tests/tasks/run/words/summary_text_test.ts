import assert from "node:assert/strict";
import { type BoundOptions, summaryRows } from "../../../../tasks/run/words/summary_text.ts";
import type { Summary } from "../../../../tasks/run/metrics.ts";

const SUMMARY = {
  ...{ ranks: 2, steps: 8, epochs: 1, rounds: 2, trainSeconds: 1, stepsPerSecond: 8 },
  ...{ samplesPerSecond: 64, communicationShare: 0.1, totalBytesSent: 100, trainLoss: null },
  ...{ clipRate: null, maxDrift: 0.1234, driftBound: 2.4, identicalWeights: true },
  ...{ weightsHash: "0".repeat(64), device: "none", testLoss: 1 },
} as unknown as Summary;

Deno.test("a summary names the bound of the drift as what it is", () => {
  const drift = (options: BoundOptions, more: Partial<Summary> = {}) =>
    summaryRows({ ...SUMMARY, ...more }, options).find(([name]) => name === "drift")![1];
  assert.equal(drift({}), "0.123 at most; never above 2γI = 2.4");
  assert.equal(drift({ mix: null, clipBy: "max" }), "0.123 at most; never above 2γI = 2.4");
  assert.match(drift({ mix: 0.5 }), /; never above the bound of averages that are mixed, 2.4$/);
  assert.match(drift({ clipBy: "layer" }), /; never above the bound of --clip-by layer, 2.4$/);
  const clock = { stepsByRank: [3, 5] };
  assert.match(drift({}, clock), /; never above 2γ max n = 2.4$/);
  assert.match(drift({ weigh: "samples" }, clock), /; never above γ\(Σ p n \+ max n\) = 2.4$/);
  assert.equal(drift({ mix: 0.5 }, { driftBound: null }), "0.123 at most");
});

Deno.test("a summary has the scores of both sets, and the untrained weights' beside those of the same set", () => {
  const scores = (more: Partial<Summary>) =>
    summaryRows({ ...SUMMARY, ...more }).filter(([name]) => /^(test|valid) /.test(name));
  const test = { testAccuracy: 0.9, testLoss: 0.3, untrainedAccuracy: 0.1, untrainedLoss: 2.3 };
  assert.deepEqual(scores(test), [
    ["test accuracy", "90.0 %  (untrained 10.0 %)"],
    ["test loss", "0.3000  (untrained 2.3000)"],
  ]);
  assert.deepEqual(scores({ ...test, validationAccuracy: 0.95, validationLoss: 0.2 }), [
    ["test accuracy", "90.0 %"],
    ["valid accuracy", "95.0 %  (untrained 10.0 %)"],
    ["test loss", "0.3000"],
    ["valid loss", "0.2000  (untrained 2.3000)"],
  ]);
  const amounts = { testRmse: 3, testR2: 0.5, untrainedRmse: 9, untrainedR2: -1, testLoss: 9 };
  assert.deepEqual(scores({ ...amounts, validationRmse: 2, validationR2: 0.75 }), [
    ["test RMSE", "3"],
    ["valid RMSE", "2  (untrained 9)"],
    ["test R²", "0.5000"],
    ["valid R²", "0.7500  (untrained -1.0000)"],
    ["test loss", "9.0000"],
  ]);
});

Deno.test("a summary says who was waited for, if anybody stands out", () => {
  const row = (waiting: Summary["waiting"]) =>
    summaryRows({ ...SUMMARY, waiting } as Summary).find(([name]) => name === "waiting")?.[1];
  assert.equal(row(undefined), undefined);
  assert.equal(row({ share: 0.1 }), undefined);
  assert.equal(
    row({ share: 0.4, stragglers: [{ rank: 5, share: 0.38 }] }),
    "40.0 % of the time; 38.0 % of it for rank 5",
  );
  assert.equal(
    row({ share: 0.4, links: [{ ranks: [1, 2], seconds: 2, share: 0.5 }] }),
    "40.0 % of the time; 50.0 % of it for the link between ranks 1 and 2, over which nothing came " +
      "for 2.0 s",
  );
});

Deno.test("a summary says which ranks were left out or came, and when", () => {
  const row = (membership: Summary["membership"], row = "left out") =>
    summaryRows({ ...SUMMARY, membership } as Summary).find(([name]) => name === row)?.[1];
  assert.equal(row(undefined), undefined);
  const begun = { step: 0, ranks: 3 };
  assert.equal(row([begun, { step: 4, ranks: 3, members: [0, 2, 1] }]), undefined);
  const lost = [{ rank: 0, since: 6 }, { rank: 1, since: 6 }];
  assert.equal(
    row([begun, { step: 8, ranks: 1, members: [2], lost }]),
    "rank 0 after step 8, rank 1 after step 8",
  );
  // One of them was lost when all had done what followed the step.
  const gone = { step: 4, ranks: 2, members: [0, 2] };
  assert.equal(row([begun, gone]), "rank 1 after step 4");
  const back = { step: 10, ranks: 2, members: [2, 0] };
  const worlds = [begun, { step: 8, ranks: 1, members: [2], lost }, back];
  assert.equal(row(worlds, "came"), "rank 0 after step 10");
  assert.equal(row([begun], "came"), undefined);
});

Deno.test("what happened once is said so", () => {
  const saidOf = (restarts: number) =>
    summaryRows({ ...SUMMARY, restarts }).find(([name]) => name === "restarted")?.[1];
  assert.equal(saidOf(1), "once, from a checkpoint or the beginning");
  assert.equal(saidOf(2), "2 times, from a checkpoint or the beginning");
});
