/** What a GPU keeps of runs that nobody has asked for their results. */

import assert from "node:assert/strict";
import type { HostTensor, Submission } from "../../../runtime/devices/device.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import { hasWebGpu, webGpuNote } from "../../_helpers/web_gpu.ts";
import { model } from "./_tiny_models.ts";

for (const [what, length] of [["small", 3], ["large", 20_000]] as const) {
  Deno.test({
    name:
      `${what} results that nobody asks for take no more of a GPU's memory with every run, and ` +
      `can be asked for all the same${webGpuNote}`,
    ignore: !hasWebGpu,
    async fn() {
      await using gpu = await openDevice("webgpu");
      await using session = await gpu.compile(
        model([["x", "float32", [length]]], [["y", "float32", [length]]], [["Neg", ["x"], ["y"]]]),
      );
      const x = (value: number): HostTensor => {
        return { type: "float32", dims: [length], data: new Float32Array(length).fill(value) };
      };
      const { createBuffer } = GPUDevice.prototype;
      let pages = 0;
      GPUDevice.prototype.createBuffer = function (descriptor) {
        if (descriptor.usage & GPUBufferUsage.MAP_READ) pages++;
        return createBuffer.call(this, descriptor);
      };
      const submissions: Submission[] = [];
      try {
        for (let run = 0; run < 16 * 20; run++) {
          submissions.push(await session.submit({ x: x(run) }));
        }
      } finally {
        Object.assign(GPUDevice.prototype, { createBuffer });
      }
      assert.ok(pages > 1 && pages <= 17, `${pages} buffers`);
      for (const [run, submission] of submissions.entries()) {
        assert.equal((await submission.outputs()).y.data.at(-1), -run);
      }
    },
  });
}
