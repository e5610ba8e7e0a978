import assert from "node:assert/strict";
import { differentiate } from "../../../models/autodiff.ts";
import { Graph } from "../../../models/graph.ts";
import { operatorCoverage } from "../../../models/ops/mod.ts";
import { parametersOf } from "../../../models/model.ts";
import { resnet } from "../../../models/architectures/resnet.ts";
import { appendClippedStep, PLAIN_STEP } from "../../../optimizers/clipped_step.ts";
import { adamW } from "../../../optimizers/update_rules/adam.ts";
import { sgd } from "../../../optimizers/update_rules/sgd.ts";
import type { GradientCase } from "../_gradient_case.ts";
import { cases } from "../_gradient_cases.ts";
import { hasWebGpu, webGpuNote as note } from "../../_helpers/web_gpu.ts";
import { placeOnWebGpu } from "../../_helpers/placement.ts";

/** What WebGPU itself cannot hold: doubles, and arithmetic on int64. */
const IMPOSSIBLE = new Set([
  "Cast to float64 and back",
  "MaxPool of a large kernel",
  "RotaryEmbedding of a part, by positions",
  "OneHot",
  "softmax cross entropy of sequences, int64",
]);

/** Appends cases and their gradients to one graph. */
function graphOf(some: readonly GradientCase[]): Graph {
  const g = new Graph();
  for (const [at, { inputs, build }] of some.entries()) {
    const keys = Object.keys(inputs);
    const values = keys.map((key) =>
      g.input(`${at}/${key}`, inputs[key].type ?? "float32", inputs[key].dims)
    );
    const loss = g.output(`${at}/loss`, g.sum(build(g, ...values)));
    const wrt = values.filter((_, i) => inputs[keys[i]].gradient !== false);
    differentiate(g, loss, wrt).forEach((gradient, i) => g.output(`${at}/${i}.grad`, gradient));
  }
  return g;
}

Deno.test({
  name: `no operator's gradient leaves the GPU${note}`,
  ignore: !hasWebGpu,
  async fn() {
    const possible = cases.filter(({ name }) => !IMPOSSIBLE.has(name));
    try {
      await placeOnWebGpu(graphOf(possible));
    } catch {
      for (const each of possible) {
        await assert.doesNotReject(placeOnWebGpu(graphOf([each])), each.name);
      }
    }
    const impossible = cases.filter(({ name }) => IMPOSSIBLE.has(name));
    assert.equal(impossible.length, IMPOSSIBLE.size, "a case that WebGPU cannot hold is gone");
    for (const each of impossible) {
      await assert.rejects(placeOnWebGpu(graphOf([each])), each.name);
    }
  },
});

Deno.test({
  name: `what has no gradient is on the GPU too, but for what the coverage table says${note}`,
  ignore: !hasWebGpu,
  async fn() {
    const logic = ["And", "Or", "Xor"];
    const table = operatorCoverage().filter(({ op, gradient }) => !gradient && op !== "Scan");
    const rounding = ["Floor", "Ceil", "Round", "Sign", "ArgMax", "ArgMin"];
    const ops = [...table, ...rounding.map((op) => ({ op, webgpu: true }))];
    for (const { op, webgpu } of ops) {
      const type = [...logic, "Not"].includes(op) ? "bool" : "float32";
      const count = ["Not", "IsNaN", ...rounding].includes(op) ? 1 : 2;
      const g = new Graph();
      const inputs = Array.from({ length: count }, (_, i) => g.input(`${i}`, type, [4, 4]));
      g.output("y", g.op(op, inputs, op === "Mod" ? { fmod: 1 } : {}));
      if (webgpu) await assert.doesNotReject(placeOnWebGpu(g), op);
      else await assert.rejects(placeOnWebGpu(g), op);
    }
  },
});

Deno.test({
  name: `no node of a ResNet's step or evaluation leaves the GPU${note}`,
  ignore: !hasWebGpu,
  async fn() {
    const model = resnet(20).build({ batchSize: 2, mode: "train" });
    const parameters = parametersOf(model), values = parameters.map(({ value }) => value);
    const gradients = differentiate(model.graph, model.loss, values);
    const options = {
      ...PLAIN_STEP,
      rule: sgd({ momentum: 0.9, nesterov: true, weightDecay: 1e-4 }),
    };
    appendClippedStep(model.graph, parameters, gradients, options);
    await placeOnWebGpu(model.graph);
    const other = resnet(8).build({ batchSize: 2, mode: "train" }), others = parametersOf(other);
    const theirs = differentiate(other.graph, other.loss, others.map(({ value }) => value));
    appendClippedStep(other.graph, others, theirs, { ...PLAIN_STEP, rule: adamW() });
    await placeOnWebGpu(other.graph);
    await placeOnWebGpu(resnet(20).build({ batchSize: 2, mode: "eval" }).graph);
  },
});
