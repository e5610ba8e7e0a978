import assert from "node:assert/strict";
import { DeviceError } from "../../../../runtime/devices/faults/device_error.ts";
import { ScratchBuffers } from "../../../../runtime/devices/segments/scratch_buffers.ts";
import { hasWebGpu, webGpuNote } from "../../../_helpers/web_gpu.ts";

Deno.test({
  name:
    `scratch memory is shared by those that need as much, as long as one of them does${webGpuNote}`,
  ignore: !hasWebGpu,
  async fn() {
    const gpu = await (await navigator.gpu.requestAdapter())!.requestDevice();
    const buffers = new ScratchBuffers(gpu);
    const [a, b, c] = [64, 64, 128].map((bytes) => buffers.take(bytes));
    assert.equal(a, b);
    assert.notEqual(a, c);
    buffers.give(64);
    assert.equal(buffers.take(64), a);
    buffers.give(64);
    buffers.give(64);
    assert.notEqual(buffers.take(64), a);
    assert.equal(c.size, 128);
    const most = Math.min(gpu.limits.maxBufferSize, gpu.limits.maxStorageBufferBindingSize);
    assert.throws(() => buffers.take(most + 4), (error) => {
      assert.ok(error instanceof DeviceError && error.fault === "limit");
      assert.match(error.message, /^the GPU cannot keep \d+ MB for an update .* take --device cpu/);
      return true;
    });
    gpu.destroy();
  },
});
