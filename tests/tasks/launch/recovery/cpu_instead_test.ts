import assert from "node:assert/strict";
import { launch, RunFailedError } from "../../../../tasks/launch/launch.ts";
import { beginsOnCpu } from "../../../../tasks/launch/recovery/cpu_instead.ts";
import { readMetrics } from "../../../../tasks/logs/log_tail.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";

Deno.test("a run leaves the GPU that it took by itself, before its first step alone", () => {
  const start = { asked: "auto", taken: "webgpu", code: 69, from: 0 } as const;
  const at = (step: number | null) =>
    ({ step }) as NonNullable<Parameters<typeof beginsOnCpu>[0]["failure"]>;
  assert.equal(beginsOnCpu({ ...start, failure: at(null) }), true);
  assert.equal(beginsOnCpu({ ...start, failure: at(1) }), true);
  assert.equal(beginsOnCpu({ ...start, failure: at(2) }), false);
  assert.equal(beginsOnCpu({ ...start, from: 10, failure: at(11) }), true);
  assert.equal(beginsOnCpu({ ...start, asked: "webgpu" }), false);
  assert.equal(beginsOnCpu({ ...start, taken: "cpu" }), false);
  assert.equal(beginsOnCpu({ ...start, code: 1 }), false);
});

const TINY = {
  ranks: 2,
  model: "resnet8",
  maxSteps: 2,
  trainSize: 64,
  testSize: 10,
  trainEval: 0,
  batchSize: 2,
  // Where the ranks look for drivers, there are none.
  env: { VK_DRIVER_FILES: "/dev/null/folder", DENO_WEBGPU_BACKEND: "vulkan" },
} as const;

/** Lets the launcher see a card that its ranks do not. */
async function withCard<T>(work: () => Promise<T>): Promise<T> {
  const { prototype } = GPU, { requestAdapter } = prototype;
  const card = { info: { description: "a card", isFallbackAdapter: false } };
  prototype.requestAdapter = () => Promise.resolve(card as unknown as GPUAdapter);
  try {
    return await work();
  } finally {
    prototype.requestAdapter = requestAdapter;
  }
}

Deno.test("--device auto: where the ranks cannot use the GPU the run begins on the CPU, and says so", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/run`;
  const run = await withCard(() => launch({ ...TINY, device: "auto", out }));
  assert.equal(run.config.options.device, "cpu");
  assert.match(run.config.plan!.device, /^cpu:/);
  const steps = readMetrics(`${out}/metrics.jsonl`).filter(({ type }) => type === "step");
  assert.deepEqual(steps.map(({ step }) => step).toSorted(), [1, 1, 2, 2]);
});

Deno.test("--device webgpu stays with it, and the error has the way out", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/run`;
  const failed = withCard(() => launch({ ...TINY, device: "webgpu", out }));
  await assert.rejects(failed, (error) => {
    assert.ok(error instanceof RunFailedError);
    assert.equal(error.code, 1);
    assert.match(error.message, /WebGPU found no adapter: it needs a GPU with .*--device cpu/);
    return true;
  });
});
