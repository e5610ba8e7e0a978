/** What a session in parts owns, and gives back. */

import assert from "node:assert/strict";
import { encodeModel } from "../../../../models/encode.ts";
import { Graph } from "../../../../models/graph.ts";
import type { HostTensor } from "../../../../runtime/devices/device.ts";
import { openDevice } from "../../../../runtime/devices/open.ts";
import {
  decodeSegmented,
  encodeSegmented,
} from "../../../../runtime/devices/segments/segmented_model.ts";
import { hasWebGpu, webGpuNote } from "../../../_helpers/web_gpu.ts";

/** Counts the buffers that are made, but for those of the engine, and given back. */
function countBuffers() {
  const { createBuffer } = GPUDevice.prototype, alive = new Set<GPUBuffer>();
  const { destroy } = GPUBuffer.prototype;
  GPUDevice.prototype.createBuffer = function (...args) {
    const buffer = createBuffer.apply(this, args);
    if (!/onnxruntime|\.wasm/.test(new Error().stack!)) alive.add(buffer);
    return buffer;
  };
  GPUBuffer.prototype.destroy = function () {
    alive.delete(this);
    return destroy.apply(this);
  };
  return {
    alive,
    [Symbol.dispose]() {
      Object.assign(GPUDevice.prototype, { createBuffer });
      Object.assign(GPUBuffer.prototype, { destroy });
    },
  };
}

/** A recurrence between two graphs. */
function recurrence(): Graph {
  const g = new Graph(), x = g.input("x", "float32", [3, 2, 8]);
  const weight = g.mul(g.input("weight", "float32", [6, 2]), 1);
  const state = g.mul(g.input("state", "float32", [2, 2]), 1);
  const index = (name: string, length: number) => g.input(name, "int32", [length]);
  const scale = g.mul(g.input("scale", "float32", [6]), 1);
  const inputs = [g.mul(x, 2), weight, state, state, index("rows", 6), index("positions", 8)];
  g.output("y", g.mul(g.opMany("celgc.LSTM", [...inputs, scale], {}, 3)[0], 2));
  return g;
}

Deno.test({
  name: `a session in parts gives back what it has, also if its last part is refused${webGpuNote}`,
  ignore: !hasWebGpu,
  async fn() {
    await using gpu = await openDevice("webgpu");
    const model = encodeModel(recurrence(), { target: "webgpu", kernels: gpu.kernels });
    using count = countBuffers();
    const session = await gpu.compile(model);
    // What passes, the index that a kernel reads, its parameters, what is fed to graphs and what comes back.
    assert.ok(count.alive.size > 6, String(count.alive.size));
    await session[Symbol.asyncDispose]();
    assert.equal(count.alive.size, 0);

    const { passed, parts } = decodeSegmented(model), last = parts.at(-1)!;
    assert.ok("graph" in last);
    const damaged = { ...last, graph: last.graph.slice(0, 40) };
    const refused = encodeSegmented({ passed, parts: [...parts.slice(0, -1), damaged] });
    await assert.rejects(gpu.compile(refused), /cannot compile the model for webgpu/);
    assert.equal(count.alive.size, 0);
  },
});

const floats = (...dims: number[]): HostTensor => {
  const data = new Float32Array(dims.reduce((a, b) => a * b)).fill(0.5);
  return { type: "float32", dims, data };
};
const places = (length: number): HostTensor => {
  return { type: "int32", dims: [length], data: Int32Array.from({ length }, (_, i) => i % 6) };
};
const feeds = {
  x: floats(3, 2, 8),
  weight: floats(6, 2),
  state: floats(2, 2),
  scale: floats(6),
  rows: places(6),
  positions: places(8),
};

Deno.test({
  name: `to submit a run waits for nothing on the GPU, recorded or not${webGpuNote}`,
  ignore: !hasWebGpu,
  async fn() {
    await using gpu = await openDevice("webgpu");
    const model = encodeModel(recurrence(), { target: "webgpu", kernels: gpu.kernels });
    const { mapAsync } = GPUBuffer.prototype, { onSubmittedWorkDone } = GPUQueue.prototype;
    for (const capture of [true, false]) {
      await using session = await gpu.compile(model, { capture });
      await session.run(feeds); // the engine's first run may be another
      let waits = 0;
      GPUBuffer.prototype.mapAsync = function (...args) {
        waits++;
        return mapAsync.apply(this, args);
      };
      GPUQueue.prototype.onSubmittedWorkDone = function () {
        waits++;
        return onSubmittedWorkDone.apply(this);
      };
      try {
        const submission = await session.submit(feeds);
        assert.equal(waits, 0, capture ? "recorded" : "not recorded");
        await submission.outputs();
        assert.equal(waits, 1);
      } finally {
        Object.assign(GPUBuffer.prototype, { mapAsync });
        Object.assign(GPUQueue.prototype, { onSubmittedWorkDone });
      }
    }
  },
});

Deno.test({
  name: `numbers may be asked for while a further run is being submitted${webGpuNote}`,
  ignore: !hasWebGpu,
  async fn() {
    await using gpu = await openDevice("webgpu");
    const model = encodeModel(recurrence(), { target: "webgpu", kernels: gpu.kernels });
    for (const capture of [true, false]) {
      await using session = await gpu.compile(model, { capture });
      const expected = await session.run(feeds);
      for (const turns of [1, 2, 5, 20, 80]) {
        // Both are to be in one page, of which the first must not keep the second.
        const first = await session.submit(feeds), second = session.submit(feeds);
        for (let i = 0; i < turns; i++) await Promise.resolve();
        assert.deepEqual(await first.outputs(), expected);
        assert.deepEqual(await (await second).outputs(), expected);
      }
    }
  },
});

Deno.test({
  name: `what kernels alone read may not be edited while they run${webGpuNote}`,
  ignore: !hasWebGpu,
  async fn() {
    await using gpu = await openDevice("webgpu");
    const g = new Graph(), x = g.mul(g.input("x", "float32", [3, 2, 8]), 1);
    const [weight, hidden, cell] = [[8, 2], [2, 2], [2, 2]]
      .map((dims, i) => g.input(["weight", "hidden", "cell"][i], "float32", dims));
    g.output("y", g.mul(g.opMany("celgc.LSTM", [x, weight, hidden, cell], {}, 3)[0], 2));
    await using state = await gpu.allocate([
      { name: "weight", dims: [8, 2] },
      ...["hidden", "cell"].map((name) => ({ name, dims: [2, 2] })),
    ]);
    const model = encodeModel(g, { target: "webgpu", kernels: gpu.kernels });
    await using session = await gpu.compile(model, { state: [state] });
    assert.deepEqual(session.inputs, ["x"]);
    const fed = { x: floats(3, 2, 8) };
    await session.run(fed);
    await state.edit(async () => {
      await assert.rejects(session.run(fed), /cannot run on a state that is being edited/);
    });
    await session.run(fed);
    await state[Symbol.asyncDispose]();
    await assert.rejects(session.run(fed), /cannot run on a state that was disposed of/);
  },
});

/** What does not measure time on the GPU has no times of kernels. */
const tellsTimes = (await navigator.gpu?.requestAdapter())?.features.has("timestamp-query");

Deno.test({
  name: `a profile has the kernels between graphs${tellsTimes ? "" : " (skipped: no times)"}`,
  ignore: !tellsTimes,
  async fn() {
    await using gpu = await openDevice("webgpu");
    const model = encodeModel(recurrence(), { target: "webgpu", kernels: gpu.kernels });
    await using session = await gpu.compile(model, { profile: true });
    for (let i = 0; i < 2; i++) await session.run(feeds);
    const times = await session.endProfile();
    assert.ok(times.some(({ operator }) => operator === "Mul"));
    const kernels = times.filter(({ provider }) => provider === "celgc");
    assert.deepEqual(kernels.map(({ node }) => node), ["celgc.LSTM 0", "celgc.LSTM 1"]);
    assert.ok(kernels.every(({ milliseconds }) => milliseconds > 0 && milliseconds < 60_000));
    assert.ok(kernels[1].start > kernels[0].milliseconds);
  },
});
