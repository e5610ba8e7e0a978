/** Runs that follow each other: on a GPU several are under way, and each gives what it gives alone. */

import assert from "node:assert/strict";
import { Graph } from "../../../models/graph.ts";
import type { DeviceKind } from "../../../runtime/devices/device.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import { Sessions } from "../../../tasks/steps/sessions.ts";
import { hasWebGpu, webGpuNote } from "../../_helpers/web_gpu.ts";

/** A running sum of what is fed, which stays on the device. */
function build() {
  const graph = new Graph(), x = graph.input("x", "float32", [2]);
  const total = graph.add(graph.input("total", "float32", [2]), x);
  graph.output("total.next", total);
  graph.output("y", graph.mul(total, 2));
  return {
    graph,
    updates: { "total.next": "total" },
    weights: [],
    carries: [],
    slots: [],
    averages: [],
  };
}

/** Calls of the method while the work is done. */
async function callsOf(prototype: object, method: string, work: () => Promise<void>) {
  const original = Reflect.get(prototype, method) as (...args: unknown[]) => unknown;
  let calls = 0;
  Reflect.set(prototype, method, function (this: unknown, ...args: unknown[]) {
    calls++;
    return original.apply(this, args);
  });
  try {
    await work();
  } finally {
    Reflect.set(prototype, method, original);
  }
  return calls;
}

for (const kind of ["cpu", "webgpu"] as DeviceKind[]) {
  const absent = kind === "webgpu" && !hasWebGpu;
  Deno.test({
    name: `${kind}: runs of a series are those that are waited for one by one` +
      (absent ? webGpuNote : ""),
    ignore: absent,
    // The engines keep threads, timers and wasm memory for the life of the process.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      await using device = await openDevice(kind);
      await using state = await device.allocate([{ name: "total", dims: [2] }]);
      await using sessions = new Sessions({ device, build });
      await sessions.bind([state]);
      const data = new Float32Array(2);
      const runs = function* (count: number) {
        for (let i = 1; i <= count; i++) {
          data.fill(i); // one array for all
          yield { feeds: { x: { type: "float32" as const, dims: [2], data } } };
        }
      };
      for (const count of [0, 1, 8, 20]) {
        await state.edit((flat) => void flat.fill(0));
        const seen: number[] = [];
        const series = async () => {
          for await (const { y } of sessions.runEach(runs(count))) seen.push(Number(y.data[1]));
        };
        const waits = kind === "webgpu"
          ? await callsOf(GPUBuffer.prototype, "mapAsync", series)
          : (await series(), 0);
        assert.deepEqual(seen, Array.from({ length: count }, (_, i) => (i + 1) * (i + 2)));
        if (kind === "webgpu") assert.equal(waits, Math.ceil(count / 8));
      }
    },
  });
}
