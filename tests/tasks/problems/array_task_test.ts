import assert from "node:assert/strict";
import { Random } from "../../../runtime/base/random.ts";
import { openProblem } from "../../../tasks/problems/open_problem.ts";
import { resolveOptions } from "../../../tasks/options/resolve.ts";
import type { Options } from "../../../tasks/options/table.ts";
import { trainInProcess } from "../../_helpers/train_in_process.ts";
import { hasTorch, runPython, torchNote } from "../../_helpers/peers/python.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { encodeNpz, floats, wholes } from "../npy.ts";

const FEATURES = 3, WIDTH = 5, SAMPLES = 46;

/** Numbers, and what depends on them: amounts, or three classes. */
async function write(path: string, kind: "amounts" | "classes") {
  const random = new Random(7, "arrays of a test"), x: number[] = [], y: number[] = [];
  for (let i = 0; i < SAMPLES; i++) {
    const row = Array.from({ length: FEATURES }, () => random.normal());
    x.push(...row.map((value, feature) => 10 ** feature * (value + feature)));
    const score = row[0] + row[1] * row[2];
    y.push(kind === "amounts" ? score : score < -0.5 ? 0 : score > 0.5 ? 2 : 1);
  }
  const target = kind === "amounts" ? floats([SAMPLES], y) : wholes([SAMPLES], y);
  await Deno.writeFile(path, await encodeNpz({ x: floats([SAMPLES, FEATURES], x), y: target }));
}

const SMALL = { task: "arrays", width: WIDTH, layers: 1, batchSize: 4, seed: 3 } as const;

/** What a run was given, rank by rank and step by step. */
async function batchesOf(options: Options, rank: number, steps: number) {
  const { task, model } = await openProblem(options, rank, "cpu");
  const batches = Array.from({ length: steps }, (_, t) => {
    const { input, target } = task.batch(t + 1).feeds;
    return { input: Array.from(input.data, Number), target: Array.from(target.data, Number) };
  });
  const { variables } = model.build({ batchSize: 1, length: 1, mode: "train" });
  return {
    batches,
    weights: variables.map(({ name, initial }) => [name, [...initial(3)]] as const),
  };
}

const difference = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  assert.equal(a.length, b.length);
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i])));
};

for (const kind of ["amounts", "classes"] as const) {
  for (const optimizer of ["sgd", "adamw"] as const) {
    Deno.test({
      name: `20 steps of ${optimizer} on ${kind} are PyTorch's${torchNote}`,
      ignore: !hasTorch,
      async fn() {
        await using folder = await temporaryFolder();
        const data = `${folder.path}/a.npz`, steps = 20;
        await write(data, kind);
        const given = {
          ...SMALL,
          ...{ data, ranks: 1, optimizer, lr: 0.05, clip: 1e6, maxSteps: steps, epochs: 100 },
          algorithm: "single",
          ...{ evalEvery: 100, weightDecay: 0, layers: 2 },
        } as const;
        const { batches, weights } = await batchesOf(resolveOptions(given), 0, steps);
        const job = {
          widths: [FEATURES, WIDTH, WIDTH, kind === "amounts" ? 1 : 3],
          loss: kind === "amounts" ? "mse" : "cross-entropy",
          adamw: optimizer === "adamw",
          lr: given.lr,
          weights: Object.fromEntries(weights),
          batches,
        };
        const script = new URL("./_arrays_torch.py", import.meta.url);
        const output = await runPython(script, [new TextEncoder().encode(JSON.stringify(job))]);
        const peer = JSON.parse(new TextDecoder().decode(output));
        const ours = await trainInProcess(given, () => ({}));
        let at = 0;
        for (const { name, dims } of ours.specs) {
          const size = dims.reduce((product, length) => product * length, 1);
          const own = ours.weights.subarray(at, at += size);
          const error = difference(own, peer.weights[name]);
          assert(error < 1e-5, `${name} differs from PyTorch's by ${error}`);
          assert(difference(own, job.weights[name]) > 0.01, `${name} has not moved`);
        }
      },
    });
  }
}

/** Loss gradient of a perceptron with one hidden layer under the squared error, by hand. */
function gradientOf(
  w: number[],
  { input, target }: { input: number[]; target: number[] },
): number[] {
  const b1 = WIDTH * FEATURES, w2 = b1 + WIDTH, b2 = w2 + WIDTH, gradient = w.map(() => 0);
  target.forEach((wanted, n) => {
    const x = input.slice(n * FEATURES, (n + 1) * FEATURES);
    const h = Array.from(
      { length: WIDTH },
      (_, j) =>
        Math.max(0, x.reduce((sum, value, i) => sum + w[j * FEATURES + i] * value, w[b1 + j])),
    );
    const error = h.reduce((sum, value, j) => sum + w[w2 + j] * value, w[b2]) - wanted;
    const d = 2 * error / target.length;
    gradient[b2] += d;
    h.forEach((value, j) => {
      gradient[w2 + j] += d * value;
      if (value <= 0) return;
      gradient[b1 + j] += d * w[w2 + j];
      x.forEach((xi, i) => gradient[j * FEATURES + i] += d * w[w2 + j] * xi);
    });
  });
  return gradient;
}

Deno.test("CELGC on the arrays of two ranks is the serial Algorithm 1", async () => {
  await using folder = await temporaryFolder();
  const data = `${folder.path}/a.npz`, steps = 9, interval = 3, lr = 0.3, clip = 0.1;
  await write(data, "amounts");
  const given = {
    ...SMALL,
    data,
    ranks: 2,
    interval,
    lr,
    clip,
    maxSteps: steps,
    epochs: 100,
  } as const;
  const options = resolveOptions({ ...given, evalEvery: 100 });
  const ranks = await Promise.all([0, 1].map((rank) => batchesOf(options, rank, steps)));
  let copies = ranks.map(({ weights }) => weights.flatMap(([, values]) => values));
  const start = copies[0], clipped: boolean[] = [];
  for (let t = 0; t < steps; t++) {
    copies = copies.map((w, rank) => {
      const g = gradientOf(w, ranks[rank].batches[t]), length = Math.hypot(...g);
      clipped.push(clip / length < lr);
      return w.map((value, i) => value - Math.min(lr, clip / length) * g[i]);
    });
    if ((t + 1) % interval !== 0) continue;
    const mean = copies[0].map((value, i) => (value + copies[1][i]) / 2);
    copies = [mean, mean];
  }
  const { weights, summary } = await trainInProcess({ ...given, evalEvery: 100 }, () => ({}));
  assert(difference(weights, copies[0]) < 1e-5);
  assert(difference(weights, start) > 0.05);
  assert.equal(new Set(clipped).size, 2, "both kinds of step are covered");
  assert.equal(summary.identicalWeights, true);
});

Deno.test("RMSE and R² are those of the predictions, however many the last batch has", async () => {
  await using folder = await temporaryFolder();
  const data = `${folder.path}/a.npz`;
  await write(data, "amounts");
  for (const standardise of ["inputs", "all"] as const) {
    const given = {
      ...SMALL,
      data,
      ranks: 3,
      maxSteps: 4,
      standardise,
      testFraction: 0.3,
    } as const;
    const options = resolveOptions(given),
      { weights, summary } = await trainInProcess(given, () => ({}));
    const { task } = await openProblem({ ...options, ranks: 1 }, 0, "cpu");
    const split = task.splits[0],
      unit = task.unit!,
      predicted: number[] = [],
      wanted: number[] = [];
    const w = [...weights], b1 = WIDTH * FEATURES, w2 = b1 + WIDTH;
    for (const { input, target } of split.batches()) {
      Array.from(target.data, Number).forEach((value, n) => {
        if (value > 1e30) return;
        const x = Array.from(input.data, Number).slice(n * FEATURES, (n + 1) * FEATURES);
        const h = Array.from(
          { length: WIDTH },
          (_, j) =>
            Math.max(0, x.reduce((sum, xi, i) => sum + w[j * FEATURES + i] * xi, w[b1 + j])),
        );
        predicted.push(h.reduce((sum, hj, j) => sum + w[w2 + j] * hj, w[w2 + WIDTH]));
        wanted.push(value);
      });
    }
    assert.equal(wanted.length, Math.round(0.3 * SAMPLES));
    const squares = (values: number[], from: (i: number) => number) =>
      values.reduce((sum, value, i) => sum + (value - from(i)) ** 2, 0);
    const mean = wanted.reduce((sum, value) => sum + value, 0) / wanted.length;
    const residual = squares(predicted, (i) => wanted[i]), total = squares(wanted, () => mean);
    const rmse = Math.sqrt(residual / wanted.length) * unit;
    assert(Math.abs(summary.testRmse! - rmse) < 1e-5, `${summary.testRmse} ${rmse}`);
    assert(Math.abs(summary.testR2! - (1 - residual / total)) < 1e-5, `${summary.testR2}`);
    assert.equal(unit === 1, standardise === "inputs");
    assert.equal(summary.testAccuracy, undefined);
  }
});
