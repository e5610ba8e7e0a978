/**
 * What changes a run's rounds, together. Each has a test of its own against a serial program; here they meet, and
 * are held to what cannot be so by accident: a codec that loses nothing learns what no codec does, all ranks
 * end with the same bits, a run that goes on is one that was never disturbed, and rounds, bytes and peaks are
 * those that a plan calculates.
 */

import assert from "node:assert/strict";
import { algorithmOf, resolveOptions } from "../../../tasks/options/resolve.ts";
import type { Options } from "../../../tasks/options/table.ts";
import { stepSizeAt } from "../../../tasks/options/stepping/step_size.ts";
import type { Measured } from "../../../tasks/plan/measured.ts";
import { predict } from "../../../tasks/plan/predict.ts";
import { codecOf } from "../../../runtime/compression/registry.ts";
import type { Checkpoints } from "../../../tasks/training/loop_parts.ts";
import { perceptron } from "../../_helpers/perceptron.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { trainInProcess } from "../../_helpers/train_in_process.ts";
import { CLASSES, FEATURES, mlpTask } from "../_mlp.ts";

const RANKS = 3, BATCH = 4, STEPS = 9, HALF = 5, HIDDEN = 1200;

const model = perceptron({ features: FEATURES, hidden: HIDDEN, classes: CLASSES, bound: 1 });

/** The parameters one after the other: two matrices, each with its bias. */
const SIZES = [FEATURES * HIDDEN, HIDDEN, HIDDEN * CLASSES, CLASSES];
const PARAMETERS = SIZES.reduce((sum, size) => sum + size, 0);
/** The parts are cut where the largest is smallest: behind the first matrix, or behind each. */
const PARTS: Record<number, number[]> = { 2: [SIZES[0], PARAMETERS - SIZES[0]], 4: SIZES };

const NO_TIME = { mean: 0, slowest: 0 };
const MEASURED: Measured = {
  device: "none",
  ranks: RANKS,
  run: { steps: STEPS, epochs: 1 },
  parameters: PARAMETERS,
  shared: PARAMETERS,
  parts: Object.fromEntries(
    Object.entries(PARTS).map((
      [count, sizes],
    ) => [count, sizes.map((trained) => ({ trained, statistics: 0 }))]),
  ),
  step: { none: NO_TIME, replace: NO_TIME, collect: NO_TIME, norm: NO_TIME, correct: NO_TIME },
  round: NO_TIME,
  network: null,
  allreduce: [{ floats: PARAMETERS, seconds: 0 }],
};

const COMMON: Partial<Options> = {
  ...{ ranks: RANKS, batchSize: BATCH, maxSteps: STEPS, interval: 4, seed: 5, lr: 0.8, clip: 0.3 },
  ...{ epochs: 1000, evalEvery: 1000, link: "0us" },
};

function trained(given: Partial<Options>, checkpoints?: Checkpoints) {
  return trainInProcess({ ...COMMON, ...given }, ({ rank, size }) => ({
    model,
    task: mlpTask(rank, size, BATCH),
    ...checkpoints ? { checkpoints } : {},
  }));
}

function planned(given: Partial<Options>) {
  const options = resolveOptions({ ...COMMON, ...given });
  const { compress, participants, maxSteps } = options, steps = maxSteps!;
  const learningRate = (t: number) =>
    stepSizeAt(options, { done: t - 1, steps, epoch: 0 }).learningRate;
  const algorithm = algorithmOf(options, { learningRate });
  return predict(MEASURED, algorithm, steps, {
    participants: participants ?? RANKS,
    codec: codecOf(compress),
  });
}

const STREAMS = { overlap: true, fragments: 2, delay: 1 };

/** Everything but the compression. */
const COMBINATIONS: Partial<Options>[] = [
  { fragments: 2 },
  { fragments: 4, accumulate: 2 },
  { fragments: 2, participants: 2 },
  { fragments: 2, overlap: true },
  { fragments: 4, algorithm: "slowmo" },
  { interval: "1..3:1,4", fragments: 2 },
  { interval: "1..2:1,3", participants: 2, accumulate: 2 },
  { interval: "qsr:base=2,alpha=1.6", algorithm: "local-sgd", overlap: true },
  { interval: "1..3:1,4", algorithm: "episode" },
  { overlap: true, delay: 2 },
  { overlap: true, delay: 3, interval: "1..3:1,4" },
  { overlap: true, delay: 3, mix: 0.5, algorithm: "slowmo" },
  { ...STREAMS, algorithm: "local-sgd" },
  { ...STREAMS, mix: 0.5, algorithm: "diloco" },
  { ...STREAMS, mix: 0.25, accumulate: 2, interval: "1..2:1,3" },
  { algorithm: "fedprox", participants: 2, interval: "1..3:1,2" },
  { algorithm: "scaffold-clip", participants: 2 },
  { algorithm: "minibatch-clip", participants: 2 },
  { algorithm: "naive-parallel", participants: 2, accumulate: 2 },
];

const unsanitized = { sanitizeOps: false, sanitizeResources: false }; // the engine keeps its threads

for (const given of COMBINATIONS) {
  Deno.test({
    ...unsanitized,
    name: `compression goes with ${JSON.stringify(given)}`,
    async fn() {
      const plain = await trained(given), whole = await trained({ ...given, compress: "topk:1" });
      const apart = Math.max(...plain.weights.map((x, i) => Math.abs(x - whole.weights[i])));
      assert.ok(apart < 2e-5, `a codec that loses nothing: ${apart} apart`);
      const coded = await trained({ ...given, compress: "int4" });
      const lost = Math.max(...plain.weights.map((x, i) => Math.abs(x - coded.weights[i])));
      assert.ok(lost > 1e-4, `a codec that loses something: ${lost} apart`);
      for (const [compress, { summary }] of [["none", plain], ["int4", coded]] as const) {
        assert.equal(summary.identicalWeights, true);
        const { totalBytesSent, rounds, peakBytesSent } = summary;
        const expected = planned({ ...given, compress });
        assert.equal(rounds, expected.rounds);
        // Of encoded slices, whose length differs by a block, it matters which ranks were not drawn.
        const within = compress !== "none" && given.participants ? 1e-3 : 1e-9;
        near(totalBytesSent, expected.bytesSent, within, `${compress}: bytes`);
        near(peakBytesSent!, expected.peakBytesSent, within, `${compress}: bytes of one step`);
      }

      await using folder = await temporaryFolder();
      const options = { ...given, compress: "int4", checkpointEvery: HALF };
      const directory = folder.path;
      await trained({ ...options, maxSteps: HALF }, { directory, from: null });
      const { summary } = await trained(options, { directory, from: HALF });
      assert.equal(summary.weightsHash, coded.summary.weightsHash);
      assert.equal(summary.totalBytesSent, coded.summary.totalBytesSent);
      assert.deepEqual(summary.compression, coded.summary.compression);
    },
  });
}

Deno.test({
  ...unsanitized,
  name: "a plan calculates what algorithms send beside weights, or instead of them",
  async fn() {
    const cases: Partial<Options>[] = [
      { algorithm: "sparseloco" },
      { algorithm: "sparseloco", compress: "topk:1" },
      { algorithm: "episode++", compress: "int8" },
      { algorithm: "scaffold", compress: "bf16" },
      { algorithm: "amplified-scaffold", compress: "int4" },
      { algorithm: "amplified-scaffold", participants: 1, sampling: "periodic:1,2", maxSteps: 12 },
    ];
    for (const given of cases) {
      const { summary } = await trained(given), expected = planned(given);
      const what = JSON.stringify(given);
      assert.equal(summary.rounds, expected.rounds, what);
      // What is gathered says how long it is, which is not calculated.
      const within = given.algorithm === "sparseloco" ? 0.03 : 1e-9;
      near(summary.totalBytesSent, expected.bytesSent, within, what);
      near(summary.peakBytesSent!, expected.peakBytesSent, within, what);
    }
  },
});

function near(actual: number, expected: number, within: number, what: string) {
  const apart = Math.abs(actual - expected);
  assert.ok(apart <= within * expected, `${what}: ${actual}, not ${expected}`);
}

for (const weigh of ["equal", "samples"] as const) {
  Deno.test({
    ...unsanitized,
    name: `compression goes with rounds by the clock, weighed: ${weigh}`,
    async fn() {
      const { interval: _, ...rest } = COMMON;
      const options = { ...rest, syncEvery: 0.01, weigh, compress: "int4", maxSteps: 400 };
      const { summary } = await trainInProcess(options, ({ rank, size }) => ({
        model,
        task: mlpTask(rank, size, BATCH),
      }));
      assert.equal(summary.identicalWeights, true);
      assert.ok(summary.rounds > 1 && summary.compression!.residualNorm > 0);
    },
  });
}

Deno.test("combinations that cannot be are refused in one line", () => {
  const overlap = true, fragments = 2;
  const cases: [Partial<Options>, RegExp][] = [
    [
      { fragments, algorithm: "naive-parallel" },
      /--fragments 2 has no effect with --algorithm naive/,
    ],
    [
      { fragments, algorithm: "minibatch-clip" },
      /--fragments 2 has no effect with --algorithm mini/,
    ],
    [{ fragments, algorithm: "fedprox" }, /--fragments does not go with --algorithm fedprox/],
    [{ fragments, algorithm: "sparseloco" }, /--fragments .* --algorithm sparseloco/],
    [{ fragments, syncEvery: 1 }, /--fragments 2 does not go with --sync-every/],
    [{ fragments, averageStates: true, momentum: 0.9 }, /--average-states does not go with --frag/],
    [{ fragments, average: "before" }, /cannot be averaged in parts/],
    [{ overlap, algorithm: "sparseloco" }, /sparseloco/],
    [{ overlap, participants: 2 }, /--overlap needs all 3 ranks in every round/],
    [{ overlap, syncEpochs: true }, /--sync-epochs does not go with --overlap/],
    [{ overlap, delay: 5 }, /--delay 5 is longer than --interval 4/],
    [{ delay: 2 }, /--delay 2 .* give --overlap as well/],
    [{ mix: 0.5 }, /--mix 0.5 .* give --overlap as well/],
    [{ weigh: "samples" }, /--weigh samples is for rounds by the clock/],
    [{ algorithm: "scaffold", interval: "1..3:1,4" }, /the interval of scaffold is one number/],
    [{ algorithm: "sparseloco", interval: "1..3:1,4" }, /the interval of sparseloco is one number/],
    [
      { algorithm: "scaffold-clip", accumulate: 2 },
      /--accumulate does not go with --algorithm scaf/,
    ],
    [{ algorithm: "slowmo", participants: 2 }, /--algorithm slowmo needs all 3 ranks/],
  ];
  for (const compress of ["none", "int8"]) {
    for (const [given, message] of cases) {
      const { interval, ...common } = COMMON;
      const options = { ...common, ...given.syncEvery ? {} : { interval }, ...given, compress };
      assert.throws(() => resolveOptions(options), (error: Error) => {
        assert.match(error.message, message, JSON.stringify(given));
        assert.doesNotMatch(error.message, /\n/);
        return true;
      });
    }
  }
});
