import assert from "node:assert/strict";
import { differentiate } from "../../../models/autodiff.ts";
import { encodeModel } from "../../../models/encode.ts";
import { Graph, type Node, type Value } from "../../../models/graph.ts";
import { lower } from "../../../models/lowering/mod.ts";
import { executionOrder } from "../../../models/lowering/order.ts";
import { parametersOf } from "../../../models/model.ts";
import { resnet } from "../../../models/architectures/resnet.ts";
import { appendClippedStep, PLAIN_STEP } from "../../../optimizers/clipped_step.ts";
import { openDevice } from "../../../runtime/devices/open.ts";

const LAYERS = 5, DIMS = [2, 16, 8, 8];

/** Layers of convolution and Relu, and the step of their weights. */
function chain(): Graph {
  const g = new Graph();
  let x: Value = g.input("x", "float32", DIMS);
  const parameters = Array.from({ length: LAYERS }, (_, i) => ({
    name: `w${i}`,
    value: g.input(`w${i}`, "float32", [16, 16, 3, 3]),
  }));
  for (const { value } of parameters) x = g.relu(g.conv(x, value, { pads: 1 }));
  const loss = g.output("loss", g.sum(g.mul(x, x)));
  const gradients = differentiate(g, loss, parameters.map(({ value }) => value));
  gradients.forEach((gradient, i) => g.output(`w${i}.grad`, gradient));
  appendClippedStep(g, parameters, gradients, PLAIN_STEP);
  return g;
}

Deno.test("a file lists each node once, and none before its inputs", () => {
  const { graph, loss, variables } = resnet(8).build({ batchSize: 2, mode: "train" });
  const parameters = parametersOf({ variables });
  const gradients = differentiate(graph, loss, parameters.map(({ value }) => value));
  appendClippedStep(graph, parameters, gradients, PLAIN_STEP);
  for (const target of ["portable", "cpu", "webgpu"] as const) {
    const { nodes } = lower(graph, target), seen = new Set<Node>();
    for (const node of executionOrder(nodes)) {
      assert(!seen.has(node));
      for (const input of node.inputs) assert(!input?.producer || seen.has(input.producer));
      seen.add(node);
    }
    assert.equal(seen.size, nodes.length);
  }
});

Deno.test("onnxruntime is done with a layer of the backward pass before it comes to the next", async () => {
  const graph = chain();
  await using device = await openDevice("cpu");
  const { channelBlock } = device, options = { target: "cpu", channelBlock } as const;
  const shapes = Array.from(
    { length: LAYERS },
    (_, i) => ({ name: `w${i}`, dims: [16, 16, 3, 3] }),
  );
  await using state = await device.allocate(shapes);
  await using session = await device.compile(encodeModel(graph, options), {
    state: [state],
    updates: Object.fromEntries(shapes.map(({ name }) => [`${name}.next`, name])),
    profile: true,
  });
  const size = DIMS.reduce((a, b) => a * b), scalar = Float32Array.of(1);
  await session.run({
    x: { type: "float32", dims: DIMS, data: new Float32Array(size).fill(1) },
    learning_rate: { type: "float32", dims: [], data: scalar },
    clip_threshold: { type: "float32", dims: [], data: scalar },
  });
  const times = await session.endProfile();
  const { outputs } = lower(graph, options.target, channelBlock);
  const gradientAt = Array.from({ length: LAYERS }, (_, i) => {
    const name = outputs.get(`w${i}.grad`)!.producer!.results[0].name;
    return times.findIndex(({ node }) => node === name);
  });
  const masks = times.flatMap(({ operator }, at) => operator === "HardSigmoid" ? [at] : []);
  assert(!gradientAt.includes(-1), `${gradientAt}`);
  assert.equal(masks.length, LAYERS);
  // Mask of the last layer, gradient of its weight, mask of the layer before it, …
  const backward = masks.flatMap((mask, i) => [mask, gradientAt[LAYERS - 1 - i]]);
  assert.deepEqual(backward, backward.toSorted((a, b) => a - b));
});
