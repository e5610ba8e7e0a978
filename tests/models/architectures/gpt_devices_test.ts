import assert from "node:assert/strict";
import { gpt } from "../../../models/architectures/gpt.ts";
import type { DeviceKind } from "../../../runtime/devices/device.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import { BATCH, LENGTH, SMALL, stepGraph, train, type Trajectory } from "./_gpt_run.ts";
import { relativeError } from "../_evaluate.ts";
import { placeOnWebGpu } from "../../_helpers/placement.ts";
import { hasWebGpu, webGpuNote } from "../../_helpers/web_gpu.ts";

for (const positions of ["learned", "rotary"] as const) {
  Deno.test(`a GPT with ${positions} positions trains alike on every device${webGpuNote}`, async () => {
    const run = async (kind: DeviceKind): Promise<Trajectory> => {
      await using device = await openDevice(kind);
      return await train(device, gpt({ ...SMALL, positions }), 5);
    };
    const cpu = await run("cpu");
    for (const kind of hasWebGpu ? ["wasm", "webgpu"] as const : ["wasm"] as const) {
      const other = await run(kind);
      for (const what of ["losses", "norms"] as const) {
        const error = relativeError(other[what], cpu[what]);
        assert(error < 1e-4, `${kind}: ${what} ${other[what]}\n${cpu[what]}`);
      }
      for (const what of ["gradients", "weights"] as const) {
        for (const [name, value] of cpu[what]) {
          const error = relativeError(other[what].get(name)!, value);
          assert(error < 1e-3, `${kind}: ${what} ${name} ${error}`);
        }
      }
    }
  });
}

Deno.test({
  name: `no node of a GPT's step, evaluation, prediction or decoding leaves the GPU${webGpuNote}`,
  ignore: !hasWebGpu,
  async fn() {
    for (const positions of ["learned", "rotary"] as const) {
      const model = gpt({ ...SMALL, positions });
      await placeOnWebGpu(stepGraph(model).graph);
      await placeOnWebGpu(model.build({ batchSize: BATCH, length: LENGTH, mode: "eval" }).graph);
      await placeOnWebGpu(model.predict({ batchSize: 2 }).graph);
      await placeOnWebGpu(model.decoder().graph);
    }
  },
});
