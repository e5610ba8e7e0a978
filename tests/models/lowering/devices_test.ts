import assert from "node:assert/strict";
import { differentiate } from "../../../models/autodiff.ts";
import { encodeModel } from "../../../models/encode.ts";
import { Graph } from "../../../models/graph.ts";
import { parametersOf } from "../../../models/model.ts";
import { resnet } from "../../../models/architectures/resnet.ts";
import { appendClippedStep, PLAIN_STEP } from "../../../optimizers/clipped_step.ts";
import { Random } from "../../../runtime/base/random.ts";
import type { DeviceKind, HostTensor } from "../../../runtime/devices/device.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import { hasWebGpu, webGpuNote } from "../../_helpers/web_gpu.ts";

const BATCH = 2, STEPS = 3;

function feedsOf(step: number): Record<string, HostTensor> {
  const random = new Random(6, "batch", step);
  const input = Float32Array.from({ length: BATCH * 3072 }, () => random.normal());
  const target = Int32Array.from({ length: BATCH }, () => random.integer(10));
  const scalar = (value: number): HostTensor => ({
    type: "float32",
    dims: [],
    data: Float32Array.of(value),
  });
  return {
    input: { type: "float32", dims: [BATCH, 3, 32, 32], data: input },
    target: { type: "int32", dims: [BATCH], data: target },
    learning_rate: scalar(0.1),
    clip_threshold: scalar(1),
  };
}

/** Trains ResNet-20 for a few steps; returns the losses and the weights after them. */
async function train(kind: DeviceKind): Promise<{ losses: number[]; weights: Float32Array }> {
  const { graph, loss, variables, ...model } = resnet(20).build({
    batchSize: BATCH,
    mode: "train",
  });
  const parameters = parametersOf({ variables, ...model });
  const gradients = differentiate(graph, loss, parameters.map(({ value }) => value));
  appendClippedStep(graph, parameters, gradients, PLAIN_STEP);
  await using device = await openDevice(kind);
  await using state = await device.allocate(variables);
  await state.write(Float32Array.from(variables.flatMap(({ initial }) => [...initial(9)])));
  const { channelBlock } = device;
  await using session = await device.compile(encodeModel(graph, { target: kind, channelBlock }), {
    state: [state],
    updates: Object.fromEntries(variables.map(({ name }) => [`${name}.next`, name])),
  });
  // A GPU records only what runs on it altogether.
  assert.equal(session.captured, kind === "webgpu");
  const losses: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    losses.push(Number((await session.run(feedsOf(step))).loss.data[0]));
  }
  return { losses, weights: await state.read() };
}

let reference: ReturnType<typeof train> | undefined;

for (const kind of ["wasm", "webgpu"] as const) {
  const missing = kind === "webgpu" && !hasWebGpu;
  Deno.test({
    name: `ResNet-20 trains on ${kind} as on cpu${missing ? webGpuNote : ""}`,
    ignore: missing,
    async fn() {
      const { losses, weights } = await (reference ??= train("cpu"));
      assert(losses[0] !== losses[1] && losses.every(Number.isFinite), `${losses}`);
      const other = await train(kind);
      losses.forEach((loss, i) => {
        assert(Math.abs(other.losses[i] - loss) < 1e-3 * loss, `${other.losses}\n${losses}`);
      });
      const off = weights.reduce((most, w, i) => Math.max(most, Math.abs(w - other.weights[i])), 0);
      assert(off < 1e-2, `a weight is off by ${off}`);
    },
  });
}

for (const kind of ["cpu", "wasm", "webgpu"] as const) {
  const missing = kind === "webgpu" && !hasWebGpu;
  Deno.test({
    name: `what is not a number passes through Relu on ${kind}${missing ? webGpuNote : ""}`,
    ignore: missing,
    async fn() {
      const g = new Graph(), x = g.input("x", "float32", [7]);
      g.output("y", g.op("Relu", [g.mul(x, 2)]));
      await using device = await openDevice(kind);
      await using session = await device.compile(encodeModel(g, { target: kind }));
      const data = Float32Array.of(NaN, Infinity, -Infinity, 0, 1e-30, -3, 4);
      const { y } = await session.run({ x: { type: "float32", dims: [7], data } });
      const expected = Float32Array.of(NaN, Infinity, 0, 0, 2e-30, 0, 8);
      assert.deepEqual(y.data, expected);
    },
  });
}

Deno.test({
  name: `a network whose numbers have run over loses its loss on webgpu as on cpu${webGpuNote}`,
  ignore: !hasWebGpu,
  async fn() {
    for (const kind of ["cpu", "webgpu"] as const) {
      const { graph, variables } = resnet(8).build({ batchSize: BATCH, mode: "train" });
      await using device = await openDevice(kind);
      await using state = await device.allocate(variables);
      await state.write(Float32Array.from(variables.flatMap(({ initial }) => [...initial(9)])));
      const { offset } = state.range("conv1.weight");
      await state.edit((flat) => void (flat[offset] = 3e38));
      const { channelBlock } = device;
      const model = encodeModel(graph, { target: kind, channelBlock });
      await using session = await device.compile(model, { state: [state] });
      const { input, target } = feedsOf(0);
      const outputs = await session.run({ input, target });
      assert.ok(Number.isNaN(Number(outputs.loss.data[0])), kind);
    }
  },
});
