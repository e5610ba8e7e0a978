/** Compressed rounds on real ranks against a serial program, bit for bit; what is kept, and what is said. */

import assert from "node:assert/strict";
import { drawParticipants } from "../../../../optimizers/mod.ts";
import { type AlgorithmName, createAlgorithm } from "../../../../optimizers/registry.ts";
import type { Communicator } from "../../../../runtime/communicator.ts";
import { openDevice } from "../../../../runtime/devices/open.ts";
import { resolveOptions } from "../../../../tasks/options/resolve.ts";
import { notesOn } from "../../../../tasks/options/rules.ts";
import type { RoundRecord } from "../../../../tasks/logs/records.ts";
import type { Options } from "../../../../tasks/options/table.ts";
import { WeightAveraging } from "../../../../tasks/rounds/averaging.ts";
import { TrainStep } from "../../../../tasks/steps/train_step.ts";
import type { Checkpoints } from "../../../../tasks/training/loop_parts.ts";
import { allreduce } from "../../../_helpers/compressed_sum.ts";
import { perceptron } from "../../../_helpers/perceptron.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";
import { run, trainInProcess } from "../../../_helpers/train_in_process.ts";
import { world } from "../../../_helpers/world.ts";
import { movingRounds } from "./_moving_rounds.ts";
import { CLASSES, FEATURES, mlpTask } from "../../_mlp.ts";

const f = Math.fround;
const RANKS = 4, BATCH = 4, STEPS = 8, SEED = 5, LR = 0.8, CLIP = 0.3;
/** Number of the first mini-batch that is drawn aside. */
const ASIDE = 2 ** 24;

/** Large enough that every rank owns blocks of it. */
const model = perceptron({ features: FEATURES, hidden: 250, classes: CLASSES, bound: 1 });

const COMMON = {
  ...{ ranks: RANKS, batchSize: BATCH, maxSteps: STEPS, interval: 3, seed: SEED, lr: LR },
  ...{ clip: CLIP, epochs: 1000, evalEvery: 1000 },
};

function trained(given: Partial<Options>, checkpoints?: Checkpoints) {
  const options = { ...COMMON, ...given };
  return trainInProcess(options, ({ rank, size }) => ({
    model,
    task: mlpTask(rank, size, BATCH),
    ...checkpoints ? { checkpoints } : {},
  }));
}

/** The gradients of all ranks, which wait for each other here. */
class SerialGradients extends WeightAveraging {
  static waiting: { values: Float32Array; done: () => void }[] = [];
  static residuals: Float32Array[] = [];
  readonly #rank: number;
  readonly #compress: string;

  constructor(comm: Communicator, rank: number, compress: string) {
    super(comm);
    this.#rank = rank;
    this.#compress = compress;
  }

  override async average(values: Float32Array | null): Promise<void> {
    await new Promise<void>((done) => {
      const all = SerialGradients.waiting;
      all[this.#rank] = { values: values!, done };
      if (all.filter(Boolean).length < RANKS) return;
      SerialGradients.waiting = [];
      meanOf(this.#compress, all.map(({ values }) => values), SerialGradients.residuals);
      for (const each of all) each.done();
    });
  }
}

/** Each array becomes the mean of those that count. */
function meanOf(
  compress: string,
  arrays: readonly Float32Array[],
  residuals: Float32Array[],
  counts?: readonly boolean[],
): void {
  while (residuals.length < arrays.length) residuals.push(new Float32Array(arrays[0].length));
  allreduce(compress, arrays, residuals, counts);
  const count = counts?.filter(Boolean).length ?? arrays.length;
  for (const array of arrays) array.forEach((sum, i) => array[i] = sum / count);
}

/** The plain mean: summed in the order of ranks, rounded twice. */
const plainMean = (all: readonly Float32Array[]) =>
  all[0].map((_, i) => f(all.reduce((sum, weights) => sum + weights[i], 0)) / all.length);

/** All ranks in one process, stepped in turn. @returns the weights that the run comes to */
async function serially(given: Partial<Options>): Promise<Float32Array> {
  const options = resolveOptions({ device: "cpu", ...COMMON, ...given }), { compress } = options;
  await using alone = await world(1);
  await using stack = new AsyncDisposableStack();
  const device = stack.use(await openDevice("cpu"));
  const algorithm = createAlgorithm(options.algorithm, options);
  const gradients = new Set(
    Array.from({ length: STEPS }, (_, i) => algorithm.exchange(i + 1).gradients),
  );
  SerialGradients.residuals = [];
  const steps: TrainStep[] = [];
  for (let rank = 0; rank < RANKS; rank++) {
    const averaging = new SerialGradients(alone.ranks[0], rank, compress);
    const common = { device, model, batchSize: BATCH, algorithm, seed: SEED, rank };
    steps.push(stack.use(await TrainStep.open({ ...common, gradients, averaging })));
  }
  const tasks = steps.map((_, rank) => mlpTask(rank, RANKS, BATCH));
  const weightsOf = () => Promise.all(steps.map(({ weights }) => weights.read()));
  let reference: Float32Array = (await weightsOf())[0].slice(), start = reference.slice();
  const residuals: Float32Array[] = [], buffer = new Float32Array(reference.length);
  /** Rank by rank: where it stood when the average on its way began; that average. */
  let late: { own: Float32Array[]; mean: Float32Array } | null = null;
  let rounds = 0, apart = false;
  const { controls } = algorithm, waits = algorithm.undrawn === "waits";
  /** What control variates are, rank by rank, and in the mean; what has been lost of their changes. */
  const own = steps.map(() => new Float32Array(reference.length)), common = own[0].slice();
  const owed: Float32Array[] = [], contributors = new Set<number>();
  const correctAll = () => {
    const norm = Math.sqrt(common.reduce((sum, x) => sum + x * x, 0));
    return Promise.all(
      steps.map((step, rank) => step.setCorrection(common.map((c, i) => c - own[rank][i]), norm)),
    );
  };
  if (controls && controls.start > 0) {
    for (const [rank, step] of steps.entries()) {
      for (let k = 0; k < controls.start; k++) {
        const gradient = await step.gradientAside(ASIDE + k, tasks[rank].batch(ASIDE + k));
        gradient.forEach((g, i) => own[rank][i] += g);
      }
      own[rank].forEach((c, i) => own[rank][i] = c / controls.start);
    }
    common.set(plainMean(own));
    await correctAll();
  }
  /** c_i ← the mean of the gradients of those that took part; c follows by what travels. */
  const renew = async () => {
    const changes = own.map((c) => new Float32Array(c.length));
    for (const rank of contributors) {
      const mean = (await steps[rank].takeMeanGradient())!;
      mean.forEach((g, i) => changes[rank][i] = g - own[rank][i]);
      own[rank].set(mean);
    }
    meanOf(compress, changes, owed, steps.map((_, rank) => contributors.has(rank)));
    const share = contributors.size / RANKS;
    common.forEach((c, i) => common[i] = c + share * changes[0][i]);
    contributors.clear();
    await correctAll();
  };

  /** x ← r + mean of what has been moved, everywhere. */
  const compressedMean = (all: readonly Float32Array[], counts?: readonly boolean[]) => {
    const moved = all.map((x) => x.map((value, i) => f(value - reference[i])));
    meanOf(compress, moved, residuals, counts);
    return reference.map((value, i) => f(value + moved[0][i]));
  };
  const setAll = async (of: (rank: number) => Float32Array | null) => {
    for (const [rank, { weights }] of steps.entries()) {
      const next = of(rank);
      if (next) await weights.edit((flat) => flat.set(next));
    }
  };

  for (let t = 1; t <= STEPS; t++) {
    const exchange = algorithm.exchange(t), size = { learningRate: LR, clipThreshold: CLIP };
    if (exchange.gradients === "correct") {
      const aside = ASIDE + rounds;
      await Promise.all(steps.map((step, rank) => step.correct(aside, tasks[rank].batch(aside))));
    }
    const drawn = drawParticipants(SEED, rounds + 1, RANKS, options.participants ?? RANKS);
    await Promise.all(steps.map(async (step, rank) => {
      if (waits && !drawn.includes(rank)) return;
      const submitted = await step.submit(t, tasks[rank].batch(t), size, exchange.gradients);
      await submitted.result();
    }));
    apart = true;
    if (exchange.weights === "none") continue;
    if (algorithm.overlap) {
      if (late) {
        const { own, mean } = late, all = await weightsOf();
        await setAll((rank) => all[rank].map((x, i) => f(x + f(mean[i] - own[rank][i]))));
        reference = mean;
      }
      const own = (await weightsOf()).map((x) => x.slice());
      late = { own, mean: compressedMean(own) };
      continue;
    }
    rounds++;
    if (algorithm.alike) { // all have taken the same step: no weights are sent
      apart = false;
      continue;
    }
    const counts = steps.map((_, rank) => drawn.includes(rank));
    const mean = compressedMean(await weightsOf(), counts);
    if (algorithm.outer && rounds % (algorithm.outer.every ?? 1) === 0) {
      algorithm.outer.move(mean, start, buffer, size);
      start = mean.slice();
    }
    reference = mean;
    await setAll((rank) => waits || counts[rank] ? mean : null);
    apart = drawn.length < RANKS && !waits;
    for (const rank of drawn) contributors.add(rank);
    if (controls && rounds % controls.every === 0) await renew();
  }
  const last = await weightsOf();
  return apart ? plainMean(last) : last[0].slice();
}

const ALGORITHMS: AlgorithmName[] = ["naive-parallel", "local-sgd", "slowmo", "diloco", "episode"];
ALGORITHMS.push(
  "minibatch-clip",
  "fedprox",
  "scaffold",
  "scaffold-clip",
  "episode++",
  "amplified-scaffold",
);

const CASES: Partial<Options>[] = [
  ...["bf16", "fp16", "int8", "int4", "topk:0.1", "topk:0.1:int8"].map((compress) => ({
    compress,
  })),
  { compress: "int4", participants: 2 },
  { compress: "int4", overlap: true },
  ...ALGORITHMS.map((algorithm) => ({ compress: "int4", algorithm })),
  { compress: "int8", algorithm: "scaffold-clip", participants: 2 },
  { compress: "int4", algorithm: "episode++", participants: 3 },
  { compress: "bf16", algorithm: "amplified-scaffold", participants: 3, period: 2, interval: 2 },
];

for (const given of CASES) {
  Deno.test({
    name: `compressed rounds are their serial program, bit for bit: ${JSON.stringify(given)}`,
    // The engine keeps threads for the life of the process.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const expected = await serially(given);
      const { weights, summary } = await trained(given);
      assert.deepEqual(weights, expected);
      assert.equal(summary.identicalWeights, true);
      assert.equal(summary.compression!.codec, given.compress);
      assert.ok(summary.compression!.residualNorm > 0);
      assert.equal(summary.driftBound, null);
      const plain = await trained({ ...given, compress: "none" });
      assert.equal(plain.summary.compression, undefined);
      assert.notEqual(plain.summary.weightsHash, summary.weightsHash);
    },
  });
}

const WAYS: Partial<Options>[] = [
  { compress: "int4" },
  { compress: "topk:0.05:int8", participants: 2 },
  { compress: "int8", overlap: true },
  { compress: "int4", algorithm: "slowmo" },
  { compress: "bf16", algorithm: "naive-parallel" },
  { compress: "int4", algorithm: "episode" },
  { compress: "int8", algorithm: "minibatch-clip" },
  { compress: "int4", algorithm: "scaffold-clip", participants: 2 },
  { compress: "int8", algorithm: "episode++" },
  { compress: "bf16", algorithm: "amplified-scaffold" },
];

for (const given of WAYS) {
  Deno.test({
    name: `a compressed run that goes on is one that was never disturbed: ${JSON.stringify(given)}`,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      await using folder = await temporaryFolder();
      const whole = await trained({ ...given, maxSteps: 11 });
      const options = { ...given, checkpointEvery: 5 }, directory = folder.path;
      await trained({ ...options, maxSteps: 5 }, { directory, from: null });
      const { summary } = await trained({ ...options, maxSteps: 11 }, { directory, from: 5 });
      assert.equal(summary.weightsHash, whole.summary.weightsHash);
      assert.equal(summary.totalBytesSent, whole.summary.totalBytesSent);
      assert.deepEqual(summary.compression, whole.summary.compression);
      assert.equal(summary.identicalWeights, true);
    },
  });
}

for (
  const given of [{}, { participants: 1 }, { participants: 2, ranks: 3 }, { fragments: 2 }, {
    algorithm: "slowmo",
  }] satisfies Partial<Options>[]
) {
  Deno.test({
    name: `running statistics travel with compressed weights as they are: ${JSON.stringify(given)}`,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      await using device = await openDevice("cpu");
      const length = 2007, statistics = 33, size = { length, statistics };
      const places = new Array(given.ranks ?? 2).fill({ device, stays: false });
      const plain = await movingRounds(places, { ...given, compress: "none" }, size);
      const [alone] = await movingRounds(places, given, { length });
      const found = await movingRounds(places, given, size);
      for (const [rank, { weights, calls, bytesSent }] of found.entries()) {
        assert.deepEqual(weights.subarray(length), plain[rank].weights.subarray(length));
        assert.equal(calls, alone.calls);
        if (rank === 0) assert.ok(bytesSent > alone.bytesSent);
      }
    },
  });
}

Deno.test({
  name: "each round says how much is lost and not yet made up for, the last what the summary says",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const given = { ranks: 3, interval: 3, maxSteps: 9 };
    const { summary, records } = await run({ ...given, compress: "int4" }, 300);
    const rounds = records.filter(({ type }) => type === "round") as RoundRecord[];
    assert.deepEqual(rounds.map(({ step }) => step), [3, 6, 9]);
    assert.ok(rounds.every(({ residualNorm }) => residualNorm! > 0));
    const last = rounds.at(-1)!.residualNorm!, expected = summary.compression!.residualNorm;
    assert.ok(Math.abs(last - expected) <= 1e-12 * expected, `${last} ${expected}`);
    const plain = await run(given);
    for (const record of plain.records) assert.ok(!("residualNorm" in record));
  },
});

Deno.test({
  name: "the summary says how many bytes were saved, and they were sent",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const plain = await trained({ maxSteps: 9 });
    for (const [compress, most] of [["bf16", 0.51], ["int8", 0.27], ["int4", 0.15]] as const) {
      const { summary } = await trained({ compress, maxSteps: 9 });
      assert.ok(summary.compression!.ratio <= most, `${compress}: ${summary.compression!.ratio}`);
      assert.ok(summary.totalBytesSent <= most * plain.summary.totalBytesSent);
    }
  },
});

Deno.test("what cannot be compressed is refused, what need not be is noted", () => {
  assert.throws(
    () => resolveOptions({ compress: "int3" }),
    /^OptionError: --compress: compression must be none, bf16, .*, found "int3"$/,
  );
  assert.equal(resolveOptions({ compress: "topk:.010" }).compress, "topk:0.01");
  const single = resolveOptions({ compress: "int8", algorithm: "single" });
  assert.match(notesOn(single, { compress: "int8" }).join(), /--compress int8 has no effect with/);
});
