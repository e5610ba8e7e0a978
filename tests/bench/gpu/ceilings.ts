/**
 * What the card gives at most: bytes copied from memory to memory on it, and the engine's product of two
 * matrices of 32-bit floats; without the wait at the end, which in Deno is longer than many copies.
 *
 *     deno run -A tests/bench/gpu/ceilings.ts BYTES EDGE SECONDS
 *
 * @module
 */

import { encodeModel } from "../../../models/encode.ts";
import { Graph } from "../../../models/graph.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import { isSoftware } from "../../../runtime/devices/webgpu.ts";
import { AHEAD, doing, nvidia, say, timedWithoutWait } from "./measure.ts";

const [bytes, edge, seconds] = Deno.args.map(Number);

doing("the adapter");
const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
if (adapter === null) throw new Error("WebGPU finds no adapter");
const limits: Record<string, number> = {};
for (const name in adapter.limits) {
  limits[name] = adapter.limits[name as keyof GPUSupportedLimits] as number;
}
const { vendor, architecture, device: model, description } = adapter.info;
say({
  what: "card",
  vendor,
  architecture,
  device: model,
  description,
  features: [...adapter.features].toSorted(),
  limits,
  driver: await nvidia("name,driver_version,memory.total"),
  deno: Deno.version.deno,
  isSoftware: isSoftware(adapter),
});
doing("the copy");

{
  const { maxBufferSize } = adapter.limits, size = Math.min(bytes, maxBufferSize);
  const gpu = await adapter.requestDevice({ requiredLimits: { maxBufferSize } });
  const buffers = [0, 1].map(() =>
    gpu.createBuffer({ size, usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST })
  );
  const ms = await timedWithoutWait(
    async (count) => {
      const encoder = gpu.createCommandEncoder();
      for (let i = 0; i < count; i++) {
        encoder.copyBufferToBuffer(buffers[0], 0, buffers[1], 0, size);
      }
      gpu.queue.submit([encoder.finish()]);
      await gpu.queue.onSubmittedWorkDone();
    },
    seconds,
    64 * AHEAD,
  );
  // Each byte is read and written.
  say({
    what: "copy",
    engine: "celgc",
    variant: "webgpu",
    gbPerSecond: 2 * size / ms / 1e6,
    bytes: size,
  });
  gpu.destroy();
}

doing("the product");
const graph = new Graph();
const [a, b] = ["a", "b"].map((name) => graph.input(name, "float32", [edge, edge]));
const product = graph.matmul(a, b);
graph.output("c", product);
// A number that comes back, so that there is something to wait for.
graph.output("corner", graph.slice(product, [0, 1], [0, 0], [1, 1]));
await using device = await openDevice("webgpu");
const specs = ["a", "b", "product"].map((name) => ({ name, dims: [edge, edge] }));
await using state = await device.allocate(specs);
await state.edit((flat) => void flat.forEach((_, i) => flat[i] = i % 7 / 7));
await using session = await device.compile(encodeModel(graph, { target: "webgpu" }), {
  state: [state],
  updates: { c: "product" },
});
const ms = await timedWithoutWait(
  async (count) => {
    let last;
    for (let i = 0; i < count; i++) last = await session.submit({});
    await last!.outputs();
  },
  seconds,
  8 * AHEAD,
);
say({
  what: "matmul",
  engine: "celgc",
  variant: "float32",
  edge,
  tflops: 2 * edge ** 3 / ms / 1e9,
});
