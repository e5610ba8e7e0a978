import assert from "node:assert/strict";
import { type BoundOptions, summaryRows } from "../../../tasks/launch/summary_text.ts";
import type { Summary } from "../../../tasks/run/metrics.ts";

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
