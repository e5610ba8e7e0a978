/** Rounds of weights that stay on a GPU, a software one too, beside those of weights in this process's memory. */

import assert from "node:assert/strict";
import { codecOf } from "../../../../runtime/compression/registry.ts";
import { openDevice } from "../../../../runtime/devices/open.ts";
import type { Options } from "../../../../tasks/options/table.ts";
import type { Checkpoints } from "../../../../tasks/training/loop_parts.ts";
import { perceptron } from "../../../_helpers/perceptron.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";
import { trainInProcess } from "../../../_helpers/train_in_process.ts";
import { hasWebGpu, webGpuNote } from "../../../_helpers/web_gpu.ts";
import { movingRounds, type Place, STEPS } from "./_moving_rounds.ts";
import { CLASSES, FEATURES, mlpTask } from "../../_mlp.ts";

const CODECS = ["int8", "int4", "bf16", "fp16"];
const SEED = 5;

/** Bytes that are read back from GPUs: buffers for it are mapped for nothing else. */
const readBack = { bytes: 0 };
if (hasWebGpu) {
  const { mapAsync } = GPUBuffer.prototype;
  GPUBuffer.prototype.mapAsync = function (mode, ...range) {
    if (mode === GPUMapMode.READ) readBack.bytes += this.size;
    return mapAsync.call(this, mode, ...range);
  };
}

function onGpu(name: string, fn: () => Promise<void>): void {
  const options = { ignore: !hasWebGpu, sanitizeOps: false, sanitizeResources: false };
  Deno.test({ name: `webgpu: ${name}${webGpuNote}`, ...options, fn });
}

const CASES: Partial<Options>[] = [
  ...CODECS.map((compress) => ({ compress })),
  { compress: "int8", fragments: 2 },
  { compress: "int4", participants: 1 },
  { compress: "int4", participants: 2, ranks: 3 },
];

for (const given of CASES) {
  onGpu(`two ranks have the CPU's bits: ${JSON.stringify(given)}`, async () => {
    await using gpu = await openDevice("webgpu");
    await using cpu = await openDevice("cpu");
    const onGpu = { device: gpu, stays: true }, onCpu = { device: cpu, stays: false };
    const count = given.ranks ?? 2, here = new Array(count).fill(onCpu);
    const expected = await movingRounds(here, given);
    const fetched = { device: gpu, stays: false };
    for (
      const places of [new Array(count).fill(onGpu), [onGpu, ...here.slice(1)], [
        fetched,
        ...here.slice(1),
      ]]
    ) {
      const found = await movingRounds(places, given);
      for (const [rank, { weights, rounds, ...each }] of found.entries()) {
        const { weights: others, rounds: theirs, ...rest } = expected[rank];
        assert.deepEqual(weights, others);
        assert.deepEqual(each, rest);
        assert.equal(rounds.length, theirs.length);
        for (const [i, { drift, ...round }] of rounds.entries()) {
          const { drift: other, ...same } = theirs[i];
          assert.deepEqual(round, same);
          assert.ok(Math.abs(drift - other) <= 1e-6 * other, `${drift} ${other}`);
        }
      }
    }
  });
}

onGpu("a round reads back the bytes that travel, not the weights", async () => {
  const length = 100_000, ranks = 2, weightBytes = 4 * length;
  /** Bytes a round and rank, without what this test itself reads. */
  const counted = async (place: Place, compress: string) => {
    const before = readBack.bytes;
    await movingRounds(new Array(ranks).fill(place), { compress }, { length });
    // At first, before each step, at the end; with what a checkpoint has.
    const reads = 1 + STEPS + 1 + (place.stays ? 2 : 0);
    return ((readBack.bytes - before) / ranks - reads * weightBytes) / STEPS;
  };
  await using device = await openDevice("webgpu");
  for (const compress of CODECS) {
    assert.equal(await counted({ device, stays: false }, compress), weightBytes);
    const bytes = await counted({ device, stays: true }, compress);
    // And the drift, in parts.
    const expected = codecOf(compress)!.bytes(length) + 1024;
    assert.ok(bytes >= expected && bytes <= expected + 8, `${compress}: ${bytes}, ${expected}`);
  }
});

/** Large enough that both ranks own blocks of it. */
const model = perceptron({ features: FEATURES, hidden: 60, classes: CLASSES, bound: 1 });

function trained(given: Partial<Options>, checkpoints?: Checkpoints) {
  const common = { ranks: 2, batchSize: 4, maxSteps: 9, interval: 3, seed: SEED, lr: 0.2, clip: 1 };
  const options = { ...common, epochs: 1000, evalEvery: 1000, compress: "int8", ...given };
  return trainInProcess(options, ({ rank, size }) => ({
    model,
    task: mlpTask(rank, size, 4),
    ...checkpoints ? { checkpoints } : {},
  }));
}

onGpu("a run comes to the CPU's weights, nearly, and goes on bit for bit", async () => {
  const { weights, summary } = await trained({ device: "webgpu" });
  const other = await trained({ device: "cpu" });
  assert.equal(summary.identicalWeights, true);
  assert.equal(summary.totalBytesSent, other.summary.totalBytesSent);
  assert.ok(summary.compression!.residualNorm > 0);
  const drift = summary.maxDrift!;
  assert.ok(drift > 0 && Math.abs(drift - other.summary.maxDrift!) <= 1e-3 * drift, `${drift}`);
  // A last bit of a step may move a number by one step of the codec.
  weights.forEach((x, i) => assert.ok(Math.abs(x - other.weights[i]) < 2e-3, `${i}: ${x}`));

  await using folder = await temporaryFolder();
  const directory = folder.path, options = { device: "webgpu", checkpointEvery: 5 } as const;
  await trained({ ...options, maxSteps: 5 }, { directory, from: null });
  const resumed = await trained({ ...options }, { directory, from: 5 });
  assert.equal(resumed.summary.weightsHash, summary.weightsHash);
  assert.deepEqual(resumed.summary.compression, summary.compression);
  // A checkpoint of a GPU's is one of the CPU's.
  const elsewhere = await trained({ device: "cpu" }, { directory, from: 5 });
  assert.equal(elsewhere.summary.identicalWeights, true);
  elsewhere.weights.forEach((x, i) => assert.ok(Math.abs(x - weights[i]) < 2e-3, `${i}: ${x}`));
});
