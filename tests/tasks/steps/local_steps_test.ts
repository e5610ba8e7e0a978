import assert from "node:assert/strict";
import type { DeviceKind } from "../../../runtime/devices/device.ts";
import { resolveOptions } from "../../../tasks/options/resolve.ts";
import type { Batch, Task } from "../../../tasks/task.ts";
import { clusterModel, clusters } from "../../_helpers/clusters.ts";
import { trainInProcess } from "../../_helpers/train_in_process.ts";
import { hasWebGpu, webGpuNote } from "../../_helpers/web_gpu.ts";

/** When batches are drawn and rounds begin, in a run of four steps with a round after every second. */
async function eventsOn(device: DeviceKind): Promise<string[]> {
  const events: string[] = [];
  const given = { device, ranks: 1, interval: 2, maxSteps: 4, batchSize: 8, trainEval: 0 };
  await trainInProcess(given, (comm, options) => {
    const task = clusters(options, comm.rank);
    const watched: Task = {
      ...task,
      batch(t) {
        events.push(`batch ${t}`);
        return task.batch(t);
      },
    };
    const beforeRound = ({ step }: { step: number }) => void events.push(`round ${step}`);
    return { model: clusterModel(4), task: watched, callbacks: [{ name: "events", beforeRound }] };
  });
  // The first batch is looked at before there are steps.
  return events.slice(events.lastIndexOf("batch 1"));
}

Deno.test({
  name: `a GPU's next batch is drawn while it works, before a round waits for it${webGpuNote}`,
  ignore: !hasWebGpu,
  async fn() {
    const events = await eventsOn("webgpu");
    assert.deepEqual(events, ["batch 1", "batch 2", "batch 3", "round 2", "batch 4", "round 4"]);
  },
});

Deno.test("on the CPU a batch is drawn when its step begins", async () => {
  const events = await eventsOn("cpu");
  assert.deepEqual(events, ["batch 1", "batch 2", "round 2", "batch 3", "batch 4", "round 4"]);
});

Deno.test({
  name: `a batch that is drawn ahead outlives what others draw into the task's arrays${webGpuNote}`,
  ignore: !hasWebGpu,
  async fn() {
    // On the CPU nothing is drawn ahead.
    const lossOn = async (device: DeviceKind) => {
      const given = { device, ranks: 1, interval: 2, maxSteps: 4, batchSize: 8 };
      const { summary } = await trainInProcess({ ...given, trainEval: 0 }, (comm, options) => {
        const task = clusters(options, comm.rank), kept: Batch[] = [];
        const watched: Task = {
          ...task,
          batch(t) {
            const { feeds } = task.batch(t), own = kept[t % 2] ??= { feeds };
            for (const name of Object.keys(feeds)) {
              (own.feeds[name].data as Float32Array).set(feeds[name].data as Float32Array);
            }
            return own;
          },
        };
        const beforeRound = () => [7, 8].forEach((t) => watched.batch(t));
        return { model: clusterModel(4), task: watched, callbacks: [{ name: "at", beforeRound }] };
      });
      return summary.testLoss;
    };
    const [expected, actual] = [await lossOn("cpu"), await lossOn("webgpu")];
    assert.ok(Math.abs(actual - expected) < 1e-5, `${actual}, ${expected}`);
  },
});

Deno.test("no epoch ends before the first step, also where weights are averaged before steps", async () => {
  const small = { task: "generated-text", trainSize: 900, testSize: 120, bptt: 6, batchSize: 2 };
  const network = { embedding: 6, hidden: 8, layers: 1, interval: 2, maxSteps: 3 };
  const given = { ...small, ...network, ranks: 1, average: "before", syncEpochs: true } as const;
  const { summary } = await trainInProcess(resolveOptions(given), () => ({}));
  assert.equal(summary.steps, 3);
});
