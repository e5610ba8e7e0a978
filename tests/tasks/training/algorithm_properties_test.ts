/** What holds of every algorithm, whatever it does: all of the registry, on real ranks in this process. */

import assert from "node:assert/strict";
import { classifierOutputs, LayerBuilder, type Model, uniform } from "../../../models/mod.ts";
import {
  ALGORITHM_NAMES,
  type AlgorithmName,
  ALGORITHMS,
  createAlgorithm,
} from "../../../optimizers/registry.ts";
import { defaultOptions, type Options } from "../../../tasks/options/table.ts";
import type { Checkpoints } from "../../../tasks/training/loop_parts.ts";
import type { Trained } from "../../../tasks/training/train.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { trainInProcess } from "../../_helpers/train_in_process.ts";
import { CLASSES, FEATURES, HIDDEN, mlp, mlpTask } from "../_mlp.ts";

/** A threshold that no gradient comes to. */
const NEVER = 1e9;
const STEPS = 7, SEED = 5;

/** Options under which an algorithm is plain averaging; those that are so by themselves need none. */
function plain(name: AlgorithmName): Partial<Options> {
  const { takes } = ALGORITHMS[name];
  return {
    ...takes.includes("outerLr") ? { outerLr: 1 } : {},
    ...takes.includes("outerMomentum") ? { outerMomentum: 0 } : {},
    ...takes.includes("residualDecay") ? { compress: "topk:1" } : {},
    ...takes.includes("proximalMu") ? { proximalMu: 0 } : {},
  };
}

interface Parts {
  readonly model?: Model;
  readonly checkpoints?: Checkpoints;
}

function trained(given: Partial<Options>, { model = mlp, checkpoints }: Parts = {}) {
  const options = { maxSteps: STEPS, batchSize: 4, lr: 0.8, seed: SEED, evalEvery: 100, ...given };
  return trainInProcess({ epochs: 100, ...options }, ({ rank, size }) => ({
    model,
    task: mlpTask(rank, size, options.batchSize),
    ...checkpoints ? { checkpoints } : {},
  }));
}

const difference = (a: Float32Array, b: Float32Array) =>
  Math.max(...a.map((x, i) => Math.abs(x - b[i])));

const weightsOf = (model: Model) =>
  Float32Array.from(
    model.build({ batchSize: 1, mode: "train" }).variables.flatMap(({ initial }) => [
      ...initial(SEED),
    ]),
  );
const initialWeights = weightsOf(mlp);

/** All that must be the same where two runs are the same. */
const numbersOf = ({ summary }: Trained) => {
  const { weightsHash, rounds, clipRate, maxDrift, trainLoss, untrainedLoss, testLoss } = summary;
  return { weightsHash, rounds, clipRate, maxDrift, trainLoss, untrainedLoss, testLoss };
};

/** A network whose loss does not depend on its weights. */
const flat: Model = {
  name: "flat",
  build({ batchSize, mode }) {
    const layers = new LayerBuilder(mode), g = layers.graph;
    const input = g.input("input", "float32", [batchSize, FEATURES]);
    const target = g.input("target", "int32", [batchSize]);
    const inner = g.tanh(layers.linear("fc1", input, HIDDEN, uniform(1)));
    const logits = g.mul(layers.linear("fc2", inner, CLASSES, uniform(1)), g.scalar(0));
    const outputs = classifierOutputs(g, logits, target, mode);
    return { graph: g, loss: outputs.loss, outputs, variables: layers.variables };
  },
};

for (const name of ALGORITHM_NAMES) {
  const { takes, rounds, ranks, drawsAside } = ALGORITHMS[name];
  // A power of two: a sum is rounded before it is divided, so the mean of three equal floats is another.
  const many = ranks === "one" ? 1 : 4;

  Deno.test(`${name}: one rank alone is the single rank`, async () => {
    // Without a threshold, or with one that looks at other samples, only steps that never clip compare.
    const clip = takes.includes("clip") && !drawsAside ? 0.3 : NEVER;
    // Where the gradients of I steps are collected, one step a round remains.
    const made = createAlgorithm(name, { ...defaultOptions(), interval: 3 });
    const interval = made.exchange(1).gradients === "collect" ? 1 : 3;
    const common = { ranks: 1, interval, clip };
    const [own, single] = [
      await trained({ ...common, algorithm: name, ...plain(name) }),
      await trained({ ...common, algorithm: "single" }),
    ];
    // An outer step, or a correction, takes away and adds again, which rounds.
    const exact = !takes.includes("outerLr") && !drawsAside;
    const distance = difference(own.weights, single.weights);
    assert.ok(exact ? distance === 0 : distance < 1e-6, `${distance} from the single rank`);
    assert.ok(difference(own.weights, initialWeights) > 0.1, "nothing was learnt");
  });

  if (rounds !== "none") {
    Deno.test(`${name}: I = 1 without clipping is naive parallel SGD`, async () => {
      const common = { ranks: many, interval: 1, clip: NEVER };
      const own = await trained({ ...common, algorithm: name, ...plain(name) });
      const naive = await trained({ ...common, algorithm: "naive-parallel" });
      const distance = difference(own.weights, naive.weights);
      assert.ok(distance < 1e-5, `${distance} from naive parallel`);
      assert.equal(own.summary.rounds, STEPS);
      assert.equal(own.summary.identicalWeights, true);
    });
  }

  Deno.test(`${name}: where the gradient is zero the weights stay, bit for bit`, async () => {
    const options = { algorithm: name, ranks: many, interval: 2, clip: 0.3, momentum: 0.9 };
    const { weights, summary } = await trained(options, { model: flat });
    assert.deepEqual(weights, weightsOf(flat));
    assert.equal(summary.maxDrift ?? 0, 0);
  });

  /** Ways to run it that change what it must remember. */
  const ways: Partial<Options>[] = [
    { momentum: 0.9, weightDecay: 1e-3 },
    ...takes.includes("overlap") ? [{ overlap: true }] : [],
    ...takes.includes("participants") ? [{ participants: 2 }] : [],
    ...takes.includes("average") ? [{ average: "before" as const }] : [],
  ];
  for (const way of ways) {
    const options = { algorithm: name, ranks: many, interval: 3, clip: 0.3, ...way };
    const words = `${name} with ${JSON.stringify(way)}`;
    const whole = { run: null as Promise<Trained> | null };
    const once = () => whole.run ??= trained(options);

    Deno.test(`${words}: a rerun gives the same bits`, async () => {
      assert.deepEqual(numbersOf(await trained(options)), numbersOf(await once()));
    });

    Deno.test(`${words}: a resumed run gives the same bits`, async () => {
      await using folder = await temporaryFolder();
      const directory = folder.path;
      const first = { ...options, maxSteps: 4, checkpointEvery: 4 };
      await trained(first, { checkpoints: { directory, from: null } });
      const resumed = await trained(options, { checkpoints: { directory, from: 4 } });
      assert.deepEqual(numbersOf(resumed), numbersOf(await once()));
    });
  }
}
