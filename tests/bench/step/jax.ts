/**
 * The same training step in jax-js, one thread, one at a time: see program.ts. Batch normalisation is
 * written out, for jax-js has none; so is the shortcut's stride, which its slices lack.
 *
 *     deno run -A tests/bench/step/jax.ts wasm|webgpu DEPTH BATCH
 *
 * Without arguments it only loads the package.
 *
 * @module
 */

import process from "node:process";
import { createInterface } from "node:readline";
import { loadJax } from "../../../deps.ts";
import { Random } from "../../../runtime/base/random.ts";

// The package takes as many threads as the machine has processors.
Object.defineProperty(navigator, "hardwareConcurrency", { value: 1 });
const { numpy: np, lax, nn, tree, jit, valueAndGrad, init, defaultDevice } = await loadJax();
if (Deno.args.length === 0) Deno.exit();

const [depth, batch] = Deno.args.slice(1).map(Number), kind = Deno.args[0] as "wasm" | "webgpu";
await init(kind);
defaultDevice(kind);

// Every call takes its arguments over; `.ref` keeps one for later.
type Tensor = ReturnType<typeof np.zeros>;
type Parameters = {
  kernels: Tensor[];
  scales: Tensor[];
  biases: Tensor[];
  weight: Tensor;
  bias: Tensor;
};

const random = new Random(1, "jax");
const normal = (dims: number[], deviation: number) => {
  const length = dims.reduce((a, b) => a * b);
  return np.array(Float32Array.from({ length }, () => deviation * random.normal())).reshape(dims);
};

const blocks = (depth - 2) / 6;
const stages = [0, 1, 2].flatMap((stage) =>
  Array.from({ length: blocks }, (_, i) => ({ filters: 16 << stage, halves: stage > 0 && i === 0 }))
);
const kernels: [filters: number, channels: number][] = [[16, 3]];
for (const { filters, halves } of stages) {
  kernels.push([filters, halves ? filters / 2 : filters], [filters, filters]);
}
let parameters: Parameters = {
  kernels: kernels.map(([filters, channels]) =>
    normal([filters, channels, 3, 3], Math.sqrt(2 / (channels * 9)))
  ),
  scales: kernels.map(([filters]) => np.ones([filters])),
  biases: kernels.map(([filters]) => np.zeros([filters])),
  weight: normal([64, 10], 0.1),
  bias: np.zeros([10]),
};

function batchNorm(x: Tensor, scale: Tensor, bias: Tensor): Tensor {
  const over = [0, 2, 3], keepdims = { keepdims: true };
  const centred = x.ref.sub(np.mean(x, over, keepdims));
  const variance = np.mean(np.square(centred.ref), over, keepdims);
  const slope = scale.reshape([1, -1, 1, 1]).mul(np.reciprocal(np.sqrt(variance.add(1e-5))));
  return centred.mul(slope).add(bias.reshape([1, -1, 1, 1]));
}

/** Mean cross entropy of images whose labels are one-hot rows. */
function lossOf(parameters: Parameters, images: Tensor, labels: Tensor): Tensor {
  let layer = 0;
  const convolve = (x: Tensor, stride: number) => {
    const kernel = parameters.kernels[layer];
    const y = lax.conv(x, kernel, [stride, stride], [[1, 1], [1, 1]]);
    const normalised = batchNorm(y, parameters.scales[layer], parameters.biases[layer]);
    layer++;
    return normalised;
  };
  let x = nn.relu(convolve(images, 1));
  for (const { halves } of stages) {
    const y = convolve(nn.relu(convolve(x.ref, halves ? 2 : 1)), 1);
    if (halves) {
      const [count, channels, height, width] = x.shape, more = channels / 2;
      const apart = x.reshape([count, channels, height / 2, 2, width / 2, 2]);
      const less = apart.slice([], [], [], 0, [], 0);
      x = np.pad(less, [[0, 0], [more, more], [0, 0], [0, 0]]);
    }
    x = nn.relu(y.add(x));
  }
  const logits = np.dot(np.mean(x, [2, 3]), parameters.weight).add(parameters.bias);
  return nn.logSoftmax(logits, -1).mul(labels).sum().mul(-1 / batch);
}

const trainingStep = jit((parameters: Parameters, images: Tensor, labels: Tensor) => {
  const [loss, gradients] = valueAndGrad(lossOf)(tree.ref(parameters), images, labels);
  const squares = tree.leaves(tree.ref(gradients)).map((each) => np.square(each as Tensor).sum());
  const norm = np.sqrt(squares.reduce((a, b) => a.add(b)));
  const scale = np.minimum(0.1, np.reciprocal(norm.ref.add(1e-10)));
  const next = tree.map(
    (x: Tensor, gradient: Tensor) => x.sub(gradient.mul(scale.ref)),
    parameters,
    gradients,
  );
  scale.dispose();
  return [loss, norm, next];
});

const images = normal([batch, 3, 32, 32], 1);
const hot = new Float32Array(batch * 10);
for (let i = 0; i < batch; i++) hot[i * 10 + random.integer(10)] = 1;
const labels = np.array(hot).reshape([batch, 10]);

async function step() {
  const start = performance.now(), cpu = process.cpuUsage();
  const results = trainingStep(parameters, images.ref, labels.ref);
  const [loss, norm, next] = results as [Tensor, Tensor, Parameters];
  parameters = next;
  await Promise.all([
    loss.data(),
    norm.data(),
    ...tree.leaves(next).map((each) => each.ref.data()),
  ]);
  const { user, system } = process.cpuUsage(cpu);
  return {
    milliseconds: performance.now() - start,
    cpuMilliseconds: (user + system) / 1000,
    megabytes: process.resourceUsage().maxRSS / 1024,
  };
}

await step();
console.log(JSON.stringify({ description: `jax-js 0.1.25, ${kind}, 1 thread` }));
for await (const _line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await step()));
}
Deno.exit(); // its worker would keep the process
