/** Rounds of weights that stay on a GPU, a software one too, beside those of weights in this process's memory. */

import assert from "node:assert/strict";
import { codecOf } from "../../../../runtime/compression/registry.ts";
import { openDevice } from "../../../../runtime/devices/open.ts";
import type { Options } from "../../../../tasks/options/table.ts";
import type { StateDict } from "../../../../tasks/run/checkpoint.ts";
import type { Checkpoints } from "../../../../tasks/training/loop_parts.ts";
import { perceptron } from "../../../_helpers/perceptron.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";
import { trainInProcess } from "../../../_helpers/train_in_process.ts";
import { hasWebGpu, webGpuNote } from "../../../_helpers/web_gpu.ts";
import { movingRounds, type Place, type Size, STEPS } from "./_moving_rounds.ts";
import { CLASSES, FEATURES, mlpTask } from "../../_mlp.ts";

const CODECS = ["int8", "int4", "mxint8", "mxint4", "bf16", "fp16"];
const SEED = 5;

/** Bytes that are read back from GPUs: buffers are mapped for nothing else. */
const readBack = { bytes: 0 };
if (hasWebGpu) {
  const { mapAsync } = GPUBuffer.prototype;
  GPUBuffer.prototype.mapAsync = function (
    this: GPUBuffer,
    mode,
    offset = 0,
    size = this.size - offset,
  ) {
    if (mode === GPUMapMode.READ) readBack.bytes += size;
    return mapAsync.call(this, mode, offset, size);
  };
}

function onGpu(name: string, fn: () => Promise<void>): void {
  const options = { ignore: !hasWebGpu, sanitizeOps: false, sanitizeResources: false };
  Deno.test({ name: `webgpu: ${name}${webGpuNote}`, ...options, fn });
}

const CASES: (Partial<Options> & Size)[] = [
  ...CODECS.map((compress) => ({ compress })),
  { compress: "int8", fragments: 2 },
  { compress: "int4", participants: 1 },
  { compress: "int4", participants: 2, ranks: 3 },
  // Summed by the processor, without rounding: the CPU's bits with any number of ranks.
  { compress: "mxint8", participants: 3, ranks: 4, fragments: 2 },
  { compress: "int8", statistics: 30 },
  { compress: "int8", statistics: 30, fragments: 2 },
  { compress: "int4", statistics: 30, participants: 2, ranks: 3 },
  { compress: "int8", statistics: 30, algorithm: "slowmo" },
  { compress: "fp16", algorithm: "diloco", fragments: 2 },
  { compress: "int4", statistics: 30, overlap: true },
  { compress: "bf16", overlap: true, delay: 1, interval: 2 },
  { compress: "int8", overlap: true, fragments: 2, delay: 1, interval: 2, algorithm: "diloco" },
];

/** A checkpoint's drift is the device's own arithmetic, as a round's. */
function withoutDrift<T extends { readonly saved: StateDict }>({ saved, ...rest }: T) {
  const numbers = Object.entries(saved.numbers).filter(([name]) => !name.includes("drift"));
  return {
    ...rest,
    saved: { tensors: byName(saved.tensors), numbers: Object.fromEntries(numbers) },
  };
}

const byName = (tensors: StateDict["tensors"]) =>
  tensors.toSorted((a, b) => a.name < b.name ? -1 : 1);

for (const given of CASES) {
  onGpu(`two ranks have the CPU's bits: ${JSON.stringify(given)}`, async () => {
    await using gpu = await openDevice("webgpu");
    await using cpu = await openDevice("cpu");
    const onGpu = { device: gpu, stays: true }, onCpu = { device: cpu, stays: false };
    const { statistics, ...options } = given;
    const count = given.ranks ?? 2, here = new Array(count).fill(onCpu);
    const expected = await movingRounds(here, options, { statistics });
    const fetched = { device: gpu, stays: false };
    for (
      const places of [new Array(count).fill(onGpu), [onGpu, ...here.slice(1)], [
        fetched,
        ...here.slice(1),
      ]]
    ) {
      const found = await movingRounds(places, options, { statistics });
      for (const [rank, { weights, rounds, ...each }] of found.entries()) {
        const { weights: others, rounds: theirs, ...rest } = expected[rank];
        assert.deepEqual(weights, others);
        assert.deepEqual(withoutDrift(each), withoutDrift(rest));
        assert.equal(rounds.length, theirs.length);
        for (const [i, { drift, residualNorm, ...round }] of rounds.entries()) {
          const { drift: other, residualNorm: lost, ...same } = theirs[i];
          assert.deepEqual(round, same);
          assert.ok(Math.abs(drift - other) <= 1e-6 * other, `${drift} ${other}`);
          if (!round.takesPart) continue;
          assert.ok(Math.abs(residualNorm! - lost!) <= 1e-6 * lost!, `${residualNorm} ${lost}`);
        }
      }
    }
  });
}

onGpu("a round reads back the bytes that travel, not the weights", async () => {
  const length = 20_000, ranks = 2, weightBytes = 4 * length;
  /** Bytes a round and rank, without what this test itself reads. */
  const counted = async (place: Place, given: Partial<Options>, statistics: number) => {
    const before = readBack.bytes;
    await movingRounds(new Array(ranks).fill(place), given, { length, statistics });
    // At first, before each step, at the end; with what a checkpoint has.
    const own = (1 + STEPS + 1) * 4 * (length + statistics) + (place.stays ? 3 : 0) * weightBytes;
    return ((readBack.bytes - before) / ranks - own) / STEPS;
  };
  await using device = await openDevice("webgpu");
  const cases: (Partial<Options> & Size)[] = [
    ...CODECS.map((compress) => ({ compress })),
    { compress: "int8", statistics: 500 },
    { compress: "int8", algorithm: "slowmo" },
    { compress: "int4", overlap: true },
  ];
  for (const { statistics = 0, ...given } of cases) {
    const everything = 4 * (length + statistics), what = JSON.stringify(given);
    assert.equal(await counted({ device, stays: false }, given, statistics), everything, what);
    const bytes = await counted({ device, stays: true }, given, statistics);
    // Running statistics, and the norms of what was moved and lost, in parts.
    const codec = codecOf(given.compress!)!;
    // Of its own share a rank has the sum, or its numbers where the processor adds without rounding.
    const sent = codec.bytes(length), own = codec.integerBits ? weightBytes / ranks : sent / ranks;
    const expected = sent * (ranks - 1) / ranks + own + 4 * statistics + 2048;
    assert.ok(bytes >= expected && bytes <= expected + 72, `${what}: ${bytes}, ${expected}`);
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

for (
  const given of [{}, { overlap: true }, { algorithm: "slowmo" }] satisfies Partial<Options>[]
) {
  const name = `a run comes to the CPU's weights, nearly, and goes on bit for bit: ${
    JSON.stringify(given)
  }`;
  onGpu(name, async () => {
    const { weights, summary } = await trained({ device: "webgpu", ...given });
    const other = await trained({ device: "cpu", ...given });
    assert.equal(summary.identicalWeights, true);
    assert.equal(summary.totalBytesSent, other.summary.totalBytesSent);
    assert.ok(summary.compression!.residualNorm > 0);
    const drift = summary.maxDrift!;
    assert.ok(drift > 0 && Math.abs(drift - other.summary.maxDrift!) <= 1e-3 * drift, `${drift}`);
    // A last bit of a step may move a number by one step of the codec.
    weights.forEach((x, i) => assert.ok(Math.abs(x - other.weights[i]) < 2e-3, `${i}: ${x}`));

    await using folder = await temporaryFolder();
    const directory = folder.path, options = { device: "webgpu", ...given } as const;
    const first = { ...options, checkpointEvery: 5, maxSteps: 5 };
    await trained(first, { directory, from: null });
    const resumed = await trained({ ...options }, { directory, from: 5 });
    assert.equal(resumed.summary.weightsHash, summary.weightsHash);
    assert.deepEqual(resumed.summary.compression, summary.compression);
    // A checkpoint of a GPU's is one of the CPU's.
    const elsewhere = await trained({ ...given, device: "cpu" }, { directory, from: 5 });
    assert.equal(elsewhere.summary.identicalWeights, true);
    elsewhere.weights.forEach((x, i) => assert.ok(Math.abs(x - weights[i]) < 2e-3, `${i}: ${x}`));
  });
}
