import assert from "node:assert/strict";
import { encodeModel, type Target } from "../../models/mod.ts";
import { Graph } from "../../models/graph.ts";
import { differentiate } from "../../models/autodiff.ts";
import type { Options } from "../../tasks/options/table.ts";
import { defaultOptions } from "../../tasks/options/table.ts";
import {
  evalGraph,
  findModel,
  forwardGraph,
  gradientsGraph,
  stepGraph,
  type TrainingGraph,
} from "../../tasks/networks/graphs.ts";
import { awdLstmOf } from "../../tasks/networks/awd_lstm.ts";
import { algorithmOf } from "../../tasks/options/resolve.ts";
import type { TrainableModel } from "../../tasks/task.ts";
import { cases } from "./_gradient_cases.ts";
import { checkOnnx, hasOnnx, onnxNote } from "../_helpers/peers/onnx_checker.ts";

const TARGETS: readonly Target[] = ["portable", "cpu", "wasm", "webgpu"];

/** The four graphs of a network, with everything that an optimizer can add to a step. */
function graphsOf(network: TrainableModel): Record<string, TrainingGraph> {
  const options: Options = { ...defaultOptions(), momentum: 0.9, nesterov: true, clipBy: "max" };
  const { update } = algorithmOf({ ...options, weightDecay: 1e-4 });
  const shape = { batchSize: 2, length: 5 };
  return {
    forward: forwardGraph(network, shape),
    gradients: gradientsGraph(network, shape),
    step: stepGraph(network, shape, update, { average: true }),
    eval: evalGraph(network, shape),
  };
}

Deno.test({
  name: `ONNX's checker finds nothing wrong with any graph for any engine${onnxNote}`,
  ignore: !hasOnnx,
  async fn() {
    const sizes = { embedding: 6, hidden: 8, layers: 2 };
    const language = awdLstmOf({ ...defaultOptions(), ...sizes }, 20);
    const files: Record<string, Uint8Array> = {};
    for (const network of [findModel("resnet8"), language]) {
      for (const [kind, { graph, weights }] of Object.entries(graphsOf(network))) {
        const data = Object.fromEntries(weights.map(({ name, initial }) => [name, initial(1)]));
        for (const target of TARGETS) {
          const name = `${network.name}-${kind}-${target}`;
          const inside = kind === "forward" ? { initializers: data } : { defaults: data };
          files[name] = encodeModel(graph, { target });
          if (target === "portable") files[`${name}-weights`] = encodeModel(graph, inside);
        }
      }
    }
    assert.deepEqual(await checkOnnx(files), []);
  },
});

Deno.test({
  name: `ONNX's checker knows every operator that a gradient is made of${onnxNote}`,
  ignore: !hasOnnx,
  async fn() {
    const files: Record<string, Uint8Array> = {};
    for (const [at, { inputs, build }] of cases.entries()) {
      const g = new Graph(), keys = Object.keys(inputs);
      const values = keys.map((key) =>
        g.input(key, inputs[key].type ?? "float32", inputs[key].dims)
      );
      const loss = g.output("loss", g.sum(build(g, ...values)));
      const wrt = values.filter((_, i) => inputs[keys[i]].gradient !== false);
      differentiate(g, loss, wrt).forEach((gradient, i) => g.output(`${i}.grad`, gradient));
      files[`${at}`] = encodeModel(g);
    }
    const refused = (await checkOnnx(files))
      .map((line) => `${cases[parseInt(line)].name}: ${line}`);
    assert.deepEqual(refused, []);
  },
});

Deno.test({
  name: `ONNX's checker refuses what is wrong${onnxNote}`,
  ignore: !hasOnnx,
  async fn() {
    const g = new Graph();
    g.output("y", g.exp(g.input("x", "float32", [2])));
    const good = encodeModel(g), text = new TextDecoder("latin1").decode(good);
    const bad = Uint8Array.from(text.replaceAll("Exp", "Exq"), (letter) => letter.charCodeAt(0));
    const refused = await checkOnnx({ good, bad });
    assert.equal(refused.length, 1);
    assert.match(refused[0], /^bad.onnx .*Exq/);
  },
});
