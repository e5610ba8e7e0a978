import assert from "node:assert/strict";
import { differentiate } from "../../../models/autodiff.ts";
import { encodeModel } from "../../../models/encode.ts";
import { Graph, type Value } from "../../../models/graph.ts";
import { lower } from "../../../models/lowering/mod.ts";
import { parametersOf } from "../../../models/model.ts";
import { resnet } from "../../../models/architectures/resnet.ts";
import { appendClippedStep, PLAIN_STEP } from "../../../optimizers/clipped_step.ts";
import type { UpdateRule } from "../../../optimizers/update_rule.ts";
import { adamW } from "../../../optimizers/update_rules/adam.ts";
import { sgd } from "../../../optimizers/update_rules/sgd.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import { Random } from "../../../runtime/base/random.ts";
import { type Feeds, load, relativeError } from "../_evaluate.ts";
import { hasWebGpu, webGpuNote } from "../../_helpers/web_gpu.ts";

/** Vectors of several lengths that are updated alike, a matrix, and some that are treated otherwise. */
function updates(): Graph {
  const g = new Graph();
  const rate = g.input("rate", "float32", []);
  for (let i = 0; i < 17; i++) {
    const x = g.input(`x${i}`, "float32", [2 + i % 3]), y = g.input(`y${i}`, "float32", x.dims);
    // The constants differ, as momenta of statistics may.
    g.output(`x${i}.next`, g.sub(x, g.mul(g.add(g.mul(x, i < 9 ? 0.5 : 0.25), y), rate)));
  }
  const matrix = g.input("matrix", "float32", [2, 3]);
  g.output("matrix.next", g.sub(matrix, g.mul(matrix, rate)));
  g.output("negative", g.neg(g.inputs.get("x0")!));
  g.output("sum", g.sum(g.inputs.get("x1")!));
  return g;
}

function randomFeeds(graph: Graph): Feeds {
  const random = new Random(3, "feeds");
  return Object.fromEntries(
    [...graph.inputs].map(([name, { dims }]) => [
      name,
      Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random.normal()),
    ]),
  );
}

Deno.test("what is treated alike is joined for WebGPU, and nothing changes", async () => {
  const graph = updates(), feeds = randomFeeds(graph);
  await using plain = await load(graph, { target: "portable" });
  await using joined = await load(graph, { target: "webgpu" });
  assert.deepEqual(await joined.run(feeds), await plain.run(feeds));
  const count = (target: "portable" | "webgpu", op: string) =>
    lower(graph, target).nodes.filter((node) => node.op === op).length;
  assert.equal(count("portable", "Sub"), 18);
  assert.equal(count("webgpu", "Sub"), 2);
  // No shader takes more tensors than any device allows.
  for (const { op, outputs } of lower(graph, "webgpu").nodes) {
    assert.ok(op !== "Split" || outputs <= 7);
  }
});

/** A ResNet's step. */
function step(options = PLAIN_STEP) {
  const { graph, loss, variables } = resnet(8).build({ batchSize: 2, mode: "train" });
  const parameters = parametersOf({ variables });
  const gradients = differentiate(graph, loss, parameters.map(({ value }) => value));
  appendClippedStep(graph, parameters, gradients, options);
  return { graph, variables };
}

async function agree(rule: UpdateRule) {
  const { graph, variables } = step({ ...PLAIN_STEP, rule }), random = randomFeeds(graph);
  // Means of squares are none below 0.
  const squares = Object.fromEntries(
    Object.entries(random).filter(([name]) => name.endsWith(".exp_avg_sq"))
      .map(([name, values]) => [name, Float32Array.from(values as Float32Array, (x) => x * x)]),
  );
  const feeds: Feeds = {
    ...random,
    ...Object.fromEntries(variables.map(({ name, initial }) => [name, initial(1)])),
    target: [3, 7],
    learning_rate: [0.1],
    clip_threshold: [0.5],
    ...squares,
    ...Object.fromEntries(Object.entries(rule.feeds(3)).map(([name, value]) => [name, [value]])),
  };
  await using plain = await load(graph, { target: "portable" });
  await using joined = await load(graph, { target: "webgpu" });
  const expected = await plain.run(feeds), actual = await joined.run(feeds);
  assert.deepEqual(Object.keys(actual).sort(), Object.keys(expected).sort());
  for (const [name, { dims, data }] of Object.entries(expected)) {
    assert.deepEqual(actual[name].dims, dims, name);
    assert.ok(relativeError(actual[name].data, data) < 1e-4, name);
  }
}

Deno.test("a step joined for WebGPU is the step, of SGD and of AdamW", async () => {
  await agree(sgd({ momentum: 0.9, nesterov: true, weightDecay: 1e-3 }));
  await agree(adamW());
});

Deno.test({
  name: "a ResNet-8's step is about 330 dispatches" +
    webGpuNote,
  ignore: !hasWebGpu,
  // The engine keeps wasm memory for the life of the process.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const { graph, variables } = step();
    await using device = await openDevice("webgpu");
    const bytes = encodeModel(graph, { target: "webgpu" });
    const specs = variables.map(({ name, dims }) => ({ name, dims }));
    await using state = await device.allocate(specs);
    const updates = Object.fromEntries(specs.map(({ name }) => [`${name}.next`, name]));
    await using session = await device.compile(bytes, { state: [state], updates, profile: true });
    const scalar = (x: number) =>
      ({ type: "float32", dims: [], data: Float32Array.of(x) }) as const;
    await session.run({
      input: { type: "float32", dims: [2, 3, 32, 32], data: new Float32Array(2 * 3 * 32 * 32) },
      target: { type: "int32", dims: [2], data: Int32Array.of(3, 7) },
      learning_rate: scalar(0.1),
      clip_threshold: scalar(1),
    });
    const kernels = await session.endProfile();
    for (const { node, provider } of kernels) {
      assert.equal(provider, "WebGpuExecutionProvider", node);
    }
    // 328 where a shader may have 32 tensors; joining takes a few more where it may have 8.
    assert.ok(kernels.length > 200 && kernels.length <= 345, `${kernels.length} dispatches`);
  },
});

Deno.test("what is alike only so deep is joined no deeper", async () => {
  const g = new Graph(), feeds: Feeds = {};
  for (let i = 0; i < 8; i++) {
    // Vectors alike for eight operators, below which half of them come from a matrix of one row.
    const even = i % 2 === 0, row = g.input(`x${i}`, "float32", even ? [16] : [1, 16]);
    feeds[`x${i}`] = Array.from({ length: 16 }, (_, k) => i + k / 16);
    let value: Value = even ? g.add(row, row) : g.reshape(row, [16]);
    for (let depth = 0; depth < 12; depth++) value = g.add(g.mul(value, 0.5), 1);
    g.output(`y${i}`, value);
  }
  await using plain = await load(g, { target: "portable" });
  await using joined = await load(g, { target: "webgpu" });
  const expected = await plain.run(feeds), actual = await joined.run(feeds);
  for (const [name, { data }] of Object.entries(expected)) {
    assert.deepEqual(actual[name].data, data, name);
  }
});
