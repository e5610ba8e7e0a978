import assert from "node:assert/strict";
import { smoothedCrossEntropy } from "../../../models/architectures/layers.ts";
import { awdLstm } from "../../../models/architectures/awd_lstm.ts";
import { gpt } from "../../../models/architectures/gpt.ts";
import { differentiate } from "../../../models/autodiff.ts";
import { lossNamed } from "../../../models/architectures/losses.ts";
import { Graph } from "../../../models/graph.ts";
import type { Mode, ModelGraph } from "../../../models/model.ts";
import { sizeOf } from "../../../models/tensor.ts";
import { Random } from "../../../runtime/base/random.ts";
import { hasTorch, PYTHON, torchNote } from "../../_helpers/peers/python.ts";
import { type Feeds, load } from "../_evaluate.ts";

Deno.test({
  name: `smoothed labels and their gradient are PyTorch's${torchNote}`,
  ignore: !hasTorch,
  async fn() {
    const logits = Array.from({ length: 20 }, (_, i) => Math.fround(3 * Math.sin(i * 1.7)));
    const target = [3, 0, 4, 1];
    const g = new Graph(), z = g.input("z", "float32", [4, 5]);
    const losses = smoothedCrossEntropy(g, z, g.input("target", "int32", [4]), 0.2);
    const loss = g.output("loss", g.mean(losses));
    g.output("gradient", differentiate(g, loss, [z])[0]);
    await using session = await load(g, { target: "portable" });
    const { loss: found, gradient } = await session.run({ z: logits, target });
    const program = `
import json, torch
z = torch.tensor(${JSON.stringify(logits)}).reshape(4, 5).requires_grad_()
loss = torch.nn.functional.cross_entropy(z, torch.tensor([3, 0, 4, 1]), label_smoothing=0.2)
loss.backward()
print(json.dumps([loss.item(), z.grad.flatten().tolist()]))`;
    const { success, stdout } = await new Deno.Command(PYTHON, { args: ["-c", program] }).output();
    assert.ok(success);
    const [expected, slopes] = JSON.parse(new TextDecoder().decode(stdout));
    assert.ok(Math.abs(Number(found.data[0]) - expected) < 1e-6);
    slopes.forEach((slope: number, i: number) =>
      assert.ok(Math.abs(Number(gradient.data[i]) - slope) < 1e-6)
    );
  },
});

const ROWS = 6, CLASSES = 11, SMOOTHING = 0.3;
const target = Array.from({ length: ROWS }, (_, i) => 4 * i % CLASSES);

/** Networks whose labels are smoothed, without dropout and regularisation, on windows `[2, 3]` or `[3, 2]`. */
const none = { word: 0, input: 0, hidden: 0, output: 0, weight: 0 };
const NETWORKS: Record<string, (smoothing: number, mode: Mode) => ModelGraph> = {
  gpt: (labelSmoothing, mode) =>
    gpt({ vocabulary: CLASSES, layers: 1, heads: 1, width: 4, context: 3, labelSmoothing })
      .build({ batchSize: 2, length: 3, mode }),
  "awd-lstm": (labelSmoothing, mode) =>
    awdLstm({
      vocabulary: CLASSES,
      embedding: 4,
      hidden: 5,
      layers: 2,
      dropout: none,
      activation: 0,
      temporal: 0,
      labelSmoothing,
    }).build({ batchSize: 2, length: 3, mode }),
  "a network from a file": (labelSmoothing, mode) => {
    const g = new Graph(), prediction = g.input("input", "float32", [2, 3, CLASSES]);
    const outputs = lossNamed("cross-entropy", { labelSmoothing })(g, prediction, mode);
    return { graph: g, loss: outputs.loss, outputs, variables: [] };
  },
};

/** Runs a network's graph on tokens (or scores) and targets; a batch's weights sum to 1 where there are any. */
async function outputsOf({ graph, variables }: ModelGraph) {
  const given: Record<string, (size: number) => ArrayLike<number>> = {
    target: () => target,
    weight: (size) => new Array(size).fill(1 / size),
    pair_weight: (size) => new Array(size).fill(1 / size),
    restart: () => [1],
    last: () => [2],
  };
  const feeds: Feeds = {};
  for (const [name, { type, dims }] of graph.inputs) {
    const variable = variables.find((each) => each.name === name), size = sizeOf(dims);
    const random = new Random(2, name);
    feeds[name] = variable
      ? variable.initial(5).map((x) => 3 * x + 0.1 * random.normal())
      : given[name]?.(size) ??
        Array.from({ length: size }, () =>
          type === "int32" ? random.integer(CLASSES) : random.normal());
  }
  await using session = await load(graph, { target: "portable" });
  return await session.run(feeds);
}

for (const [name, build] of Object.entries(NETWORKS)) {
  Deno.test({
    name: `smoothed labels of ${name} are PyTorch's, in training alone${torchNote}`,
    ignore: !hasTorch,
    async fn() {
      const [trained, plain] = [SMOOTHING, 0].map((smoothing) => build(smoothing, "train"));
      const evaluated = await outputsOf(build(SMOOTHING, "eval"));
      const logits = [...evaluated.logits.data];
      const program = `
import json, torch
z, t = torch.tensor(${JSON.stringify(logits)}).reshape(-1, ${CLASSES}), torch.tensor(${
        JSON.stringify(target)
      })
each = torch.nn.functional.cross_entropy
print(json.dumps([each(z, t, label_smoothing=${SMOOTHING}).item(), each(z, t).item()]))`;
      const { success, stdout } = await new Deno.Command(PYTHON, { args: ["-c", program] })
        .output();
      assert.ok(success);
      const [smoothed, exact] = JSON.parse(new TextDecoder().decode(stdout));
      const close = (found: { data: ArrayLike<number> }, expected: number) =>
        assert.ok(Math.abs(found.data[0] - expected) < 2e-6, `${found.data[0]}, not ${expected}`);
      close((await outputsOf(trained)).loss, smoothed);
      close((await outputsOf(plain)).loss, exact);
      close(evaluated.loss, exact);
      assert.ok(Math.abs(smoothed - exact) > 1e-3);
    },
  });
}

Deno.test("labels are smoothed for a cross entropy alone, by a share below 1", () => {
  assert.throws(() => lossNamed("mse", { labelSmoothing: 0.1 }), /not for the loss mse/);
  assert.throws(() => lossNamed("cross-entropy", { labelSmoothing: 1 }), /from 0 up to 1, not 1/);
  const sizes = { vocabulary: 5, layers: 1, heads: 1, width: 2, context: 2 };
  assert.throws(() => gpt({ ...sizes, labelSmoothing: -0.1 }), /from 0 up to 1, not -0.1/);
});
