/**
 * What the paper claims of CELGC, held against this implementation on a small generated task. Seeds are
 * fixed, so everything but the clock is the same on each run; the bounds are wide all the same.
 *
 * Liu, Zhuang, Lei and Liao, A Communication-Efficient Distributed Gradient Clipping Algorithm for
 * Training Deep Neural Networks, NeurIPS 2022.
 */

import assert from "node:assert/strict";
import { carryingMs, parseLink } from "../../runtime/transport/access_link.ts";
import type { Options } from "../../tasks/options/table.ts";
import { type Ran, run } from "../_helpers/train_in_process.ts";

const COMMON = { ranks: 8, batchSize: 2, epochs: 3, lr: 0.5, clip: 0.5, seed: 3 };
const UNTRAINED = 2.3;

const runs = new Map<string, Promise<Ran>>();

/** A run of the common setting with these options; tests share it. */
function ran(options: Partial<Options>): Promise<Ran> {
  const key = JSON.stringify(options);
  if (!runs.has(key)) runs.set(key, run({ ...COMMON, ...options }));
  return runs.get(key)!;
}

const BASELINE = { algorithm: "naive-parallel" } as const;
const INTERVALS = [1, 2, 4, 8];

Deno.test("CELGC at I = 4 has the baseline's loss after each epoch, to a quarter", async () => {
  const [{ losses }, { losses: baseline }] = [await ran({ interval: 4 }), await ran(BASELINE)];
  assert.equal(losses.length, 4);
  assert.ok(baseline[3] < UNTRAINED / 2, `${baseline}`);
  for (const [epoch, loss] of losses.entries()) {
    assert.ok(
      loss < 1.25 * baseline[epoch],
      `epoch ${epoch}: ${loss}, baseline ${baseline[epoch]}`,
    );
  }
});

Deno.test("rounds and bytes are 1/I of those of I = 1, exactly; the baseline sends twice as much", async () => {
  const { summary: every } = await ran({ interval: 1 }),
    { summary: baseline } = await ran(BASELINE);
  assert.ok(every.totalBytesSent > 0);
  assert.equal(every.rounds, every.steps);
  for (const interval of INTERVALS) {
    const { summary: { rounds, totalBytesSent } } = await ran({ interval });
    assert.equal(rounds * interval, every.rounds);
    assert.equal(totalBytesSent * interval, every.totalBytesSent);
  }
  assert.equal(baseline.totalBytesSent, 2 * every.totalBytesSent);
});

Deno.test("eight ranks need less than a third of one rank's iterations to the same loss", async () => {
  const goal = 0.9, perRank = { evalEvery: 0.0625 };
  const iterations = async (options: Partial<Options>): Promise<number> => {
    const { records } = await ran(options);
    const reached = records.find((record) => record.type === "eval" && record.loss < goal);
    return reached?.step ?? Infinity;
  };
  // Steps between two evaluations: 40 on a single rank, 5 on each of eight.
  const one = await iterations({ ...perRank, algorithm: "single", ranks: 1, epochs: 1 });
  const eight = await iterations({ ...perRank, interval: 4, epochs: 1 });
  assert.ok(eight < Infinity && 3 * eight < one, `${eight} and ${one}`);
});

Deno.test("CELGC clips more often than the baseline, whose averaged gradients are shorter", async () => {
  const { summary: { clipRate: celgc } } = await ran({ interval: 4 });
  const { summary: { clipRate: baseline } } = await ran(BASELINE);
  assert.ok(celgc! > baseline! + 0.05, `${celgc} and ${baseline}`);
});

Deno.test("on a language as well, CELGC clips more often than the baseline, and learns as much", async () => {
  const text = {
    task: "generated-text",
    ranks: 4,
    seed: 3,
    trainSize: 12_000,
    testSize: 1000,
  } as const;
  const small = { embedding: 32, hidden: 48, layers: 1, bptt: 20, epochs: 2 };
  const { summary: celgc } = await run({ ...text, ...small, interval: 4 }, null);
  const { summary: baseline } = await run({ ...text, ...small, ...BASELINE }, null);
  assert.ok(celgc.clipRate! > baseline.clipRate! + 0.1, `${celgc.clipRate}, ${baseline.clipRate}`);
  // In nats a token; a network that has learnt nothing has 5.2.
  assert.ok(celgc.testLoss! < baseline.testLoss! + 0.3 && baseline.testLoss! < 3.3);
});

Deno.test("the drift grows with I and never exceeds 2γI (Lemma 1)", async () => {
  const drifts = [];
  for (const interval of INTERVALS) {
    const { records, summary } = await ran({ interval });
    const rounds = records.flatMap((record) => record.type === "round" ? record : []);
    assert.equal(rounds.length, summary.rounds);
    for (const { drift, driftBound } of rounds) {
      assert.equal(driftBound, 2 * COMMON.clip * interval);
      assert.ok(drift > 0 && drift <= driftBound!, `${drift} with I = ${interval}`);
    }
    drifts.push(summary.maxDrift!);
  }
  assert.deepEqual(drifts.toSorted((a, b) => a - b), drifts);
});

for (
  const [scenario, options] of [
    ["parts drawn from a Dirichlet distribution", { partition: "dirichlet:0.3" }],
    ["two kinds of label on each rank", { partition: "shards:2" }],
    ["6 of the 8 ranks in each round", { participants: 6 }],
  ] as const
) {
  Deno.test(`CELGC converges with ${scenario}`, async () => {
    const { losses, summary } = await ran({ interval: 4, ...options });
    assert.ok(losses[0] > UNTRAINED && summary.testLoss! < 0.9, `${losses}`);
    assert.ok(summary.testAccuracy! > 0.65, `${summary.testAccuracy}`);
    assert.ok(summary.identicalWeights);
  });
}

Deno.test("on a slow link a run takes as long as its bytes travel, which fall with the rounds", async () => {
  const link = "4mbit,5ms", steps = 12, bytes = new Map<number, number>();
  for (const interval of [1, 4, 12]) {
    const options = { ...COMMON, ranks: 2, link, interval, maxSteps: steps };
    const { rounds, trainSeconds, totalBytesSent } = (await run(options, 330)).summary;
    assert.equal(rounds, steps / interval);
    assert.ok(trainSeconds >= carryingMs(parseLink(link), totalBytesSent / 2) / 1000);
    bytes.set(interval, totalBytesSent);
  }
  // A few bytes of each run are those of its beginning and its end.
  const ratio = (interval: number) => bytes.get(1)! / bytes.get(interval)!;
  assert.ok(ratio(4) > 3.9 && ratio(12) > 11, `${[...bytes.values()]} bytes`);
});
