import assert from "node:assert/strict";
import { encodeModel } from "../../../models/encode.ts";
import { Graph } from "../../../models/graph.ts";
import type { DeviceKind } from "../../../runtime/devices/device.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import { hasWebGpu, webGpuNote } from "../../_helpers/web_gpu.ts";

/** Outputs that are copies of something: reshaped, handed out twice, an input, added into. */
function copies(): Graph {
  const g = new Graph();
  const x = g.input("x", "float32", [2, 3]), rows = g.input("rows", "int32", [2]);
  const y = g.neg(x);
  g.output("reshaped", g.reshape(y, [6]));
  g.output("scalar", g.reshape(g.sum(x, [0, 1], true), []));
  g.output("computed", y);
  g.output("twice", y);
  g.output("thrice", y);
  g.output("input", x);
  g.output("input again", x);
  g.output("constant", g.constant("float32", [2], 3));
  g.output("constant again", g.constant("float32", [2], 3));
  g.output("gathered", g.op("celgc.GatherGradient", [rows, x], { axis: 0, dims: [4, 3] }));
  const added = g.op("celgc.GatherGradient", [rows, y], { axis: 0, dims: [2, 3] });
  g.output("added", g.add(g.exp(x), added));
  return g;
}

Deno.test({
  name: "outputs that are copies follow their inputs from run to run" +
    webGpuNote,
  async fn() {
    const run = async (kind: DeviceKind) => {
      await using device = await openDevice(kind);
      await using session = await device.compile(encodeModel(copies(), { target: kind }));
      const all: Record<string, number[]>[] = [];
      for (const shift of [0, 10, -3]) {
        const data = Float32Array.from({ length: 6 }, (_, i) => (i + shift) / 4);
        const results = await session.run({
          x: { type: "float32", dims: [2, 3], data },
          rows: { type: "int32", dims: [2], data: Int32Array.of(1, shift ? 1 : 0) },
        });
        all.push(
          Object.fromEntries(
            Object.entries(results).map(([name, { data }]) => [
              name,
              Array.from(data as Float32Array, (value) => Number(value.toFixed(4))),
            ]),
          ),
        );
      }
      return all;
    };
    const cpu = await run("cpu");
    assert.deepEqual(cpu.map(({ scalar }) => scalar), [[3.75], [18.75], [-0.75]]);
    assert.deepEqual(cpu[1].twice, cpu[1].reshaped);
    if (hasWebGpu) assert.deepEqual(await run("webgpu"), cpu);
  },
});
