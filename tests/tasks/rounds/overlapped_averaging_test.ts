/** Overlapped averaging on real ranks against the algorithm taken serially, by hand. */

import assert from "node:assert/strict";
import {
  celgc,
  diloco,
  episode,
  fedProx,
  naiveParallel,
  overlapped,
  single,
} from "../../../optimizers/mod.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import { init } from "../../../runtime/bootstrap/init.ts";
import { WeightAveraging } from "../../../tasks/rounds/averaging.ts";
import { OptionError } from "../../../tasks/options/kinds.ts";
import { resolveOptions } from "../../../tasks/options/resolve.ts";
import { type StepResult, TrainStep } from "../../../tasks/steps/train_step.ts";
import { run } from "../../_helpers/train_in_process.ts";
import { mlp, mlpTask } from "../_mlp.ts";
import { trainMlp } from "../_train_mlp.ts";

const RANKS = 3, BATCH = 4, STEPS = 13, INTERVAL = 3, SEED = 5, LR = 0.8, CLIP = 0.3;

/** The mean of some weights, each element summed in the order of the ranks and rounded twice. */
function meanOf(all: readonly Float32Array[]): Float32Array {
  return all[0].map((_, i) =>
    Math.fround(all.reduce((sum, weights) => sum + weights[i], 0)) / all.length
  );
}

/** N networks in one process, stepped in turn; averages are applied a round late. */
async function bySerialSteps() {
  const comm = await init();
  await using stack = new AsyncDisposableStack();
  const device = stack.use(await openDevice("cpu"));
  const trainSteps = await Promise.all(Array.from({ length: RANKS }, async (_, rank) => {
    const algorithm = celgc({ interval: INTERVAL });
    const common = { device, model: mlp, batchSize: BATCH, algorithm, seed: SEED, rank };
    const gradients = new Set(["none"] as const);
    return stack.use(
      await TrainStep.open({ ...common, gradients, averaging: new WeightAveraging(comm) }),
    );
  }));
  const results: StepResult[][] = trainSteps.map(() => []);
  const drifts: number[] = [];
  let starts: Float32Array[] | null = null;
  for (let t = 1; t <= STEPS; t++) {
    for (const [rank, trainStep] of trainSteps.entries()) {
      const batch = mlpTask(rank, RANKS, BATCH).batch(t);
      const size = { learningRate: LR, clipThreshold: CLIP };
      results[rank].push(await (await trainStep.submit(t, batch, size, "none")).result());
    }
    if (t % INTERVAL !== 0) continue;
    if (starts) {
      const average = meanOf(starts), before = starts;
      const distances = before.map((start) =>
        Math.sqrt(start.reduce((sum, x, i) => sum + (x - average[i]) ** 2, 0))
      );
      drifts.push(Math.max(...distances));
      for (const [rank, trainStep] of trainSteps.entries()) {
        await trainStep.weights.edit((flat) => {
          flat.forEach((x, i) => flat[i] = x + Math.fround(average[i] - before[rank][i]));
        });
      }
    }
    starts = await Promise.all(trainSteps.map((trainStep) => trainStep.weights.read()));
  }
  const last = await Promise.all(trainSteps.map((trainStep) => trainStep.weights.read()));
  const mean = meanOf(last);
  const distances = (from: readonly Float32Array[], to: Float32Array) =>
    Math.max(
      ...from.map((weights) => Math.sqrt(weights.reduce((sum, x, i) => sum + (x - to[i]) ** 2, 0))),
    );
  // The average that is on its way when the steps end, and the one that the run comes to.
  drifts.push(distances(starts!, meanOf(starts!)), distances(last, mean));
  return { results, drifts, weights: [...mean] };
}

Deno.test({
  name: "overlapped averaging is its serial counterpart, bit for bit on every rank",
  // The engine keeps threads for the life of the process.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(test) {
    const { results, drifts, weights } = await bySerialSteps();
    const options = { ranks: RANKS, batchSize: BATCH, maxSteps: STEPS, interval: INTERVAL };
    const rest = { seed: SEED, lr: LR, clip: CLIP, evalEvery: 0.02 };
    const run = await trainMlp({ ...options, ...rest, overlap: true });
    for (let rank = 0; rank < RANKS; rank++) {
      const own = run.records.flatMap((r) => r.type === "step" && r.rank === rank ? [r] : []);
      assert.deepEqual(own.map(({ loss }) => loss), results[rank].map(({ loss }) => loss));
      assert.deepEqual(own.map((r) => r.gradNorm), results[rank].map((r) => r.gradNorm));
    }
    assert.deepEqual(run.weights, weights);
    const rounds = run.records.flatMap((record) => record.type === "round" ? [record] : []);
    // The average of round 3 is there when the next is due, at step 6.
    const places = [[6, 1], [9, 2], [12, 3], [13, 4], [13, 5]];
    assert.deepEqual(rounds.map(({ step, round }) => [step, round]), places);
    assert.deepEqual(rounds.map(({ final }) => final === true), [false, false, false, true, true]);
    assert.deepEqual(rounds.map(({ drift }) => drift), drifts);
    // Between two rounds a rank may be twice as far away: nothing is proven of the mean at the end.
    assert.equal(rounds.pop()!.driftBound, null);
    for (const { drift, driftBound } of rounds) {
      assert.equal(driftBound, 2 * CLIP * INTERVAL);
      assert.ok(drift > 0 && drift <= driftBound!);
    }
    assert.equal(run.summary.identicalWeights, true);
    await test.step("and not the algorithm that waits", async () => {
      const waiting = await trainMlp({ ...options, ...rest });
      assert.notDeepEqual(waiting.weights, run.weights);
      assert.equal(waiting.summary.rounds, 5);
    });
  },
});

Deno.test("what cannot be overlapped is refused", () => {
  const common = { interval: 4 };
  for (const algorithm of [fedProx(common), episode(common), naiveParallel({}), single({})]) {
    assert.throws(() => overlapped(algorithm), RangeError);
  }
  for (const algorithm of [celgc(common), diloco(common)]) {
    assert.deepEqual(overlapped(algorithm).overlap, { delay: null, mix: null });
  }
  const averagesBefore = celgc({ ...common, average: "before" });
  for (
    const [algorithm, delay, mix] of [
      [celgc(common), 5, null],
      [celgc(common), 0, null],
      [celgc(common), null, 1],
      [celgc(common), null, -0.5],
      [averagesBefore, 2, null],
    ] as const
  ) {
    assert.throws(() => overlapped(algorithm, { delay, mix }), RangeError);
  }
  assert.ok(overlapped(averagesBefore).overlap);
  const cases: [Parameters<typeof resolveOptions>[0], RegExp][] = [
    ...["episode", "naive-parallel", "single"].map((algorithm) =>
      [{ algorithm }, new RegExp(`averages of ${algorithm} cannot be overlapped`)] as [
        { algorithm: string },
        RegExp,
      ]
    ),
    [{ participants: 2 }, /--overlap needs all 8 ranks in every round, not --participants 2/],
  ];
  for (const [given, message] of cases) {
    assert.throws(() => resolveOptions({ ...given, overlap: true }), (error) => {
      assert.ok(error instanceof OptionError);
      assert.match(error.message, message);
      return true;
    });
  }
  assert.equal(resolveOptions({ overlap: true, algorithm: "local-sgd" }).overlap, true);
});

Deno.test("what a round sends counts for the step after which it began, whenever its average arrives", async () => {
  const common = { ranks: 2, interval: 3, maxSteps: 5 };
  const [late, waited] = await Promise.all([run({ ...common, overlap: true }), run(common)]);
  assert.ok(waited.summary.peakBytesSent! > 0);
  assert.equal(late.summary.peakBytesSent, waited.summary.peakBytesSent);
});
