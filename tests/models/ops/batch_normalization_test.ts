import assert from "node:assert/strict";
import { differentiate } from "../../../models/autodiff.ts";
import { Graph } from "../../../models/graph.ts";
import { Random } from "../../../runtime/base/random.ts";
import { load, relativeError } from "../_evaluate.ts";

Deno.test("a batch's statistics keep float32's precision over many elements", async () => {
  const dims = [64, 4, 32, 32], [batch, channels] = dims, size = 1024;
  const random = new Random(1, "images");
  const x = Float32Array.from({ length: batch * channels * size }, () => random.normal() + 3);
  const channel = (i: number) => Math.floor(i / size) % channels;
  const mean = new Float64Array(channels), variance = new Float64Array(channels);
  x.forEach((value, i) => mean[channel(i)] += value / (batch * size));
  x.forEach((value, i) => variance[channel(i)] += (value - mean[channel(i)]) ** 2 / (batch * size));
  const g = new Graph();
  const inputs = [g.input("x", "float32", dims)];
  for (const name of ["scale", "bias"]) inputs.push(g.input(name, "float32", [channels]));
  const [, ownMean, ownVariance] = g.opMany("celgc.BatchNormalization", inputs, {}, 3);
  g.output("mean", ownMean);
  g.output("variance", ownVariance);
  for (const target of ["portable", "cpu", "webgpu"] as const) {
    await using runner = await load(g, { target });
    const found = await runner.run({ x, scale: [1, 1, 1, 1], bias: [0, 0, 0, 0] });
    assert(relativeError(found.mean.data, mean) < 1e-6, target);
    assert(relativeError(found.variance.data, variance) < 1e-6, target);
  }
});

Deno.test("BatchNormalization in training mode has the gradient of the batch's own statistics", async () => {
  const gradients = async (training: boolean) => {
    const g = new Graph(), x = g.input("x", "float32", [2, 2, 3]);
    const [scale, bias] = ["scale", "bias"].map((name) => g.input(name, "float32", [2]));
    const running = [g.constant("float32", [2], [5, 6]), g.constant("float32", [2], [7, 8])];
    const outputs = training
      ? g.opMany("BatchNormalization", [x, scale, bias, ...running], { training_mode: 1 }, 3)
      : g.opMany("celgc.BatchNormalization", [x, scale, bias], {}, 3);
    const weights = g.constant("float32", [2, 2, 3], Array.from({ length: 12 }, (_, i) => i % 5));
    const loss = g.sum(g.mul(outputs[0], weights));
    differentiate(g, loss, [x, scale, bias]).forEach((each, i) => g.output(`${i}`, each));
    await using runner = await load(g, { target: "cpu" });
    const feeds = {
      x: Array.from({ length: 12 }, (_, i) => i * i % 7),
      scale: [1, 2],
      bias: [0, 1],
    };
    return await runner.run(feeds);
  };
  const [training, own] = [await gradients(true), await gradients(false)];
  for (const key of ["0", "1", "2"]) {
    assert(relativeError(training[key].data, own[key].data) < 1e-6);
  }

  const g = new Graph(), x = g.input("x", "float32", [2, 2, 3]);
  const vectors = Array.from({ length: 4 }, (_, i) => g.input(`v${i}`, "float32", [2]));
  const [, next] = g.opMany("BatchNormalization", [x, ...vectors], { training_mode: 1 }, 3);
  assert.throws(() => differentiate(g, g.sum(next), [x]), /no gradient .* running statistics/);
});
