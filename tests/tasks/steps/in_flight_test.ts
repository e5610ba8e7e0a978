/** Steps that are submitted ahead of their numbers are the steps that are taken one by one. */

import assert from "node:assert/strict";
import { celgc, sgd } from "../../../optimizers/mod.ts";
import type { DeviceKind } from "../../../runtime/devices/device.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import { init } from "../../../runtime/bootstrap/init.ts";
import { WeightAveraging } from "../../../tasks/rounds/averaging.ts";
import type { MetricRecord } from "../../../tasks/run/metrics.ts";
import { type StepResult, type SubmittedStep, TrainStep } from "../../../tasks/steps/train_step.ts";
import { hasWebGpu, webGpuNote } from "../../_helpers/web_gpu.ts";
import { mlp, mlpTask } from "../_mlp.ts";
import { trainMlp } from "../_train_mlp.ts";

const SIZE = { learningRate: 0.8, clipThreshold: 0.3 }, BATCH = 4;

/** A job of one. */
const comm = await init();

for (const kind of ["cpu", "wasm", "webgpu"] as DeviceKind[]) {
  const absent = kind === "webgpu" && !hasWebGpu;
  Deno.test({
    name: `${kind}: steps submitted ahead are those taken one by one, bit for bit` +
      (absent ? webGpuNote : ""),
    ignore: absent,
    // The engines keep threads, timers and wasm memory for the life of the process.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      await using device = await openDevice(kind);
      const open = () =>
        TrainStep.open({
          device,
          model: mlp,
          batchSize: BATCH,
          algorithm: celgc({ interval: 4, step: { rule: sgd({ momentum: 0.7 }) } }),
          gradients: new Set(["none"] as const),
          averaging: new WeightAveraging(comm),
          seed: 5,
          rank: 0,
        });
      await using ahead = await open();
      await using waiting = await open();
      const task = mlpTask(0, 1, BATCH);
      const steps: SubmittedStep[] = [];
      const results: StepResult[] = [];
      for (let t = 1; t <= 20; t++) {
        const batch = task.batch(t);
        steps.push(await ahead.submit(t, batch, SIZE, "none"));
        // They have been taken.
        batch.feeds.input.data.fill(NaN as never);
        results.push(await (await waiting.submit(t, task.batch(t), SIZE, "none")).result());
      }
      assert.equal(steps.every(({ ready }) => ready), kind !== "webgpu");
      assert.deepEqual(await Promise.all(steps.map((step) => step.result())), results);
      assert.deepEqual(await ahead.weights.read(), await waiting.weights.read());
      assert.ok(results[19].loss < results[0].loss, "something is learnt");
    },
  });
}

/** What a record says apart from times and the last bits of its numbers. */
function gist(record: MetricRecord) {
  const { type, rank, step, epoch, round, samples, bytesSent, bytesReceived } = record;
  return { type, rank, step, epoch, round, samples, bytesSent, bytesReceived };
}

const name = `a GPU's records are the CPU's${webGpuNote}`;
Deno.test({ name, ignore: !hasWebGpu }, async () => {
  const options = { ranks: 2, interval: 5, maxSteps: 13, batchSize: BATCH, evalEvery: 0.07 };
  const rest = { lr: 0.8, clip: 0.3, seed: 5 };
  const gpu = await trainMlp({ ...options, ...rest, device: "webgpu" });
  const cpu = await trainMlp({ ...options, ...rest, device: "cpu" });
  assert.deepEqual(gpu.records.map(gist), cpu.records.map(gist));
  const evaluated = gpu.records.filter(({ type }) => type === "eval");
  assert.deepEqual(evaluated.map(({ step }) => step), [0, 9, 13]);
  const last = [0, 0], total = [0, 0];
  gpu.records.forEach((record, i) => {
    if (record.type !== "step") return;
    const other = cpu.records[i];
    assert.ok(other.type === "step");
    assert.ok(Math.abs(record.loss - other.loss) < 1e-5);
    assert.ok(Math.abs(record.gradNorm - other.gradNorm) < 1e-5);
    const { rank, seconds, stepMs } = record;
    assert.ok(stepMs > 0 && seconds >= last[rank], "the clock goes forward");
    last[rank] = seconds;
    total[rank] += stepMs / 1000;
  });
  // The steps' times add up to the time of training, and no moment is counted twice.
  const { trainSeconds } = gpu.summary;
  assert.ok(Math.abs((total[0] + total[1]) / 2 - trainSeconds) < 1e-6 * trainSeconds);
  for (const rank of [0, 1]) assert.ok(total[rank] <= last[rank]);
  gpu.weights.forEach((weight, i) => assert.ok(Math.abs(weight - cpu.weights[i]) < 1e-5));
});
