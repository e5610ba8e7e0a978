/**
 * A network and data of one's own, trained by CELGC: on which of three intertwined arms is a point?
 * `deno task launch --ranks 4 --allow ffi tests/examples/own_model.ts`
 */

import { classifierOutputs, init, LayerBuilder, Random, trainOptions } from "../../mod.ts";
import { type Task, train, type TrainableModel, uniform } from "../../mod.ts";

const network: TrainableModel = {
  name: "arms",
  build({ batchSize: n, mode }) {
    const layers = new LayerBuilder(mode), g = layers.graph;
    const hidden = layers.linear("fc1", g.input("input", "float32", [n, 2]), 32, uniform(1));
    const logits = layers.linear("fc2", g.tanh(hidden), 3, uniform(0.3));
    const outputs = classifierOutputs(g, logits, g.input("target", "int32", [n]), mode);
    return { graph: g, loss: outputs.loss, outputs, variables: layers.variables };
  },
};
/** Points drawn by random numbers of their own: no batch is seen twice. */
function points(n: number, ...stream: (string | number)[]) {
  const random = new Random(1, ...stream), xy = new Float32Array(2 * n);
  const arms = Int32Array.from({ length: n }, (_, i) => {
    const arm = random.integer(3), r = random.uniform(), angle = 4 * r + arm * 2 * Math.PI / 3;
    xy.set([r * Math.cos(angle), r * Math.sin(angle)], 2 * i);
    return arm;
  });
  const input = { type: "float32", dims: [n, 2], data: xy } as const;
  return { input, target: { type: "int32", dims: [n], data: arms } as const };
}
await using comm = await init();
const { rank, size: ranks } = comm, test = { name: null, samples: 200 * ranks, batchSize: 200 };
const options = trainOptions({ ranks, device: "cpu", lr: 1, clip: 0.5, maxSteps: 600 });
const stepsPerEpoch = 400 / ranks; // the points never end: this says how often to evaluate
const task: Task = {
  trainSamples: options.batchSize * 400,
  stepsPerEpoch,
  epoch: (steps) => steps / stepsPerEpoch,
  batch: (t) => ({ feeds: points(options.batchSize, "training", rank, t) }),
  splits: [{ ...test, batches: () => [points(200, "test", rank)] }],
};
const { summary } = await train(comm, options, { model: network, task });
if (rank === 0) console.log(`accuracy ${summary.testAccuracy}, ${summary.rounds} rounds`);
