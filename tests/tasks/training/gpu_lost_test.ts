import assert from "node:assert/strict";
import { DeviceError } from "../../../runtime/devices/faults/device_error.ts";
import type { Callback } from "../../../tasks/training/callbacks/callback.ts";
import { clusterModel, clusters } from "../../_helpers/clusters.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { trainInProcess } from "../../_helpers/train_in_process.ts";
import { hasWebGpu, webGpuNote } from "../../_helpers/web_gpu.ts";

Deno.test({
  name: `a run whose GPU is lost goes on from its checkpoint, on the CPU too${webGpuNote}`,
  ignore: !hasWebGpu,
  async fn() {
    await using folder = await temporaryFolder();
    const directory = folder.path;
    const { prototype } = GPUAdapter, { requestDevice } = prototype;
    let gpu!: GPUDevice;
    prototype.requestDevice = async function (...args) {
      return gpu = await requestDevice.apply(this, args);
    };
    const train = (device: "cpu" | "webgpu", from: number | null, callbacks: Callback[]) =>
      trainInProcess(
        { device, ranks: 1, batchSize: 4, interval: 2, maxSteps: 6, checkpointEvery: 2 },
        (comm, options) => ({
          model: clusterModel(4),
          task: clusters(options, comm.rank),
          checkpoints: { directory, from },
          callbacks,
        }),
      );
    try {
      const loses = {
        name: "loses",
        beforeStep: ({ step }: { step: number }) => void (step === 5 && gpu.destroy()),
      };
      await assert.rejects(train("webgpu", null, [loses]), (error) => {
        assert.ok(error instanceof DeviceError, String(error));
        assert.equal(error.fault, "lost");
        return true;
      });
    } finally {
      prototype.requestDevice = requestDevice;
    }
    const seen: number[] = [];
    const sees = { name: "sees", afterStep: ({ step }: { step: number }) => void seen.push(step) };
    await train("cpu", 4, [sees]);
    assert.deepEqual(seen, [5, 6]);
  },
});
