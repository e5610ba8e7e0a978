import assert from "node:assert/strict";
import { differentiate } from "../../../models/autodiff.ts";
import { awdLstm } from "../../../models/architectures/awd_lstm.ts";
import { encodeModel } from "../../../models/encode.ts";
import { type ModelGraph, parametersOf } from "../../../models/model.ts";
import { appendClippedStep, PLAIN_STEP } from "../../../optimizers/clipped_step.ts";
import { sgd } from "../../../optimizers/update_rules/sgd.ts";
import { worldCommunicator } from "../../../runtime/communicator.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import { SingleTransport } from "../../../runtime/transport/single_transport.ts";
import { generateText } from "../../../tasks/data/text/generated_text.ts";
import { createTextSampler } from "../../../tasks/data/text/text_sampler.ts";
import { awdLstmOf } from "../../../tasks/networks/awd_lstm.ts";
import { launch } from "../../../tasks/launch/launch.ts";
import { readMetrics } from "../../../tasks/logs/log_tail.ts";
import type { StepRecord } from "../../../tasks/logs/records.ts";
import type { Options } from "../../../tasks/options/table.ts";
import { resolveOptions } from "../../../tasks/options/resolve.ts";
import { decodeSafetensors } from "../../../tasks/networks/safetensors.ts";
import { awdLstmTask } from "../../../tasks/problems/awd_lstm_task.ts";
import { train } from "../../../tasks/training/train.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

/** A network that is quick, with everything in it that masks and lengths have a part in. */
const SMALL = {
  task: "generated-text",
  device: "cpu",
  trainSize: 700,
  testSize: 120,
  embedding: 6,
  hidden: 9,
  layers: 2,
  bptt: 12,
  batchSize: 3,
  dropoutWord: 0.1,
  dropoutInput: 0.2,
  dropoutHidden: 0.2,
  dropoutOutput: 0.2,
  dropoutWeight: 0.4,
  activationRegularisation: 2,
  temporalRegularisation: 1,
  lr: 4,
  clip: 1,
  seed: 3,
} as const;

const corpusOf = ({ seed, trainSize, testSize }: Options) =>
  generateText({ seed, train: trainSize, valid: testSize, test: testSize });

/** Largest difference, relative to the largest element. */
function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  let most = 0, scale = 0;
  for (let i = 0; i < a.length; i++) {
    most = Math.max(most, Math.abs(a[i] - b[i]));
    scale = Math.max(scale, Math.abs(b[i]));
  }
  return most / scale;
}

Deno.test("windows filled up to a bucket's length train like windows of their own length", async () => {
  // A pass takes 18 steps: the state starts anew within the run.
  const options = resolveOptions({ ...SMALL, ranks: 1, maxSteps: 25, epochs: 9, interval: 2 });
  const corpus = corpusOf(options), model = awdLstmOf(options, corpus.vocabulary.size);
  const lengths = new Set<number>(), own = new Set<number>();
  const run = async (target: "cpu" | "webgpu") => {
    const task = awdLstmTask(corpus, model, options, 0, target);
    const { anyLength: _, ...fixed } = model;
    const network = target === "cpu" ? { ...fixed, anyLength: true } : fixed;
    const watched = {
      ...task,
      batch: (t: number) => {
        const batch = task.batch(t);
        (target === "cpu" ? own : lengths).add(batch.length!);
        return batch;
      },
    };
    const comm = worldCommunicator(new SingleTransport("localhost"));
    return await train(comm, options, { model: network, task: watched });
  };
  const exact = await run("cpu"), filled = await run("webgpu");
  assert.deepEqual([...lengths].sort(), [10, 20, 30]);
  assert.ok(own.size > 4, "windows of several lengths");
  assert.ok(difference(filled.weights, exact.weights) < 1e-4);
  for (const what of ["trainLoss", "validationLoss", "testLoss"] as const) {
    assert.ok(difference([filled.summary[what]!], [exact.summary[what]!]) < 1e-5, what);
  }
  assert.ok(exact.summary.testLoss < exact.summary.untrainedLoss - 0.3, "something was learnt");
});

/** The step's graph at one length, made without the trainer. */
function stepOf(options: Options, vocabulary: number, length: number): ModelGraph {
  const graph = awdLstmOf(options, vocabulary)
    .build({ batchSize: options.batchSize, mode: "train", length });
  const parameters = parametersOf(graph);
  const values = parameters.map(({ value }) => value);
  const gradients = differentiate(graph.graph, graph.loss, values);
  const { weightDecay } = options;
  appendClippedStep(graph.graph, parameters, gradients, {
    ...PLAIN_STEP,
    rule: sgd({ weightDecay }),
  });
  return graph;
}

/** Two ranks of CELGC with I = 1, one after the other, each window in a graph of its own length. */
async function serial(options: Options, steps: number) {
  const { seed, batchSize, bptt, lr, clip } = options;
  const corpus = corpusOf(options), words = corpus.vocabulary.size;
  const model = awdLstmOf(options, words), sample = stepOf(options, words, 5);
  const specs = sample.variables.map(({ name, dims }) => ({ name, dims }));
  const updates = Object.fromEntries(specs.map(({ name }) => [`${name}.next`, name]));
  const scalar = (value: number) =>
    ({ type: "float32", dims: [], data: Float32Array.of(value) }) as const;
  await using device = await openDevice("cpu");
  const ranks = await Promise.all([0, 1].map(async (rank) => {
    const state = await device.allocate(specs);
    await state.edit((flat) => {
      for (const { name, initial } of sample.variables) {
        flat.set(initial(seed), state.range(name).offset);
      }
    });
    const tokens = corpus.train;
    const sampler = createTextSampler({ tokens, batchSize, rank, ranks: 2, seed, bptt });
    return { rank, state, sampler, losses: [] as number[], norms: [] as number[] };
  }));
  for (let step = 0; step < steps; step++) {
    for (const { rank, state, sampler, losses, norms } of ranks) {
      const window = sampler.window(step), { length, restart } = window;
      const bytes = encodeModel(stepOf(options, words, length).graph, { target: "cpu" });
      await using session = await device.compile(bytes, { state: [state], updates });
      const scale = window.drawnLength / bptt;
      const found = await session.run({
        ...model.masks(batchSize, { seed, rank, step }),
        ...model.feeds.training(window, { batchSize, length, restart }),
        learning_rate: scalar(lr * scale),
        clip_threshold: scalar(clip * scale),
      });
      losses.push(Number(found.cross_entropy.data[0]));
      norms.push(Number(found.grad_norm.data[0]));
    }
    const flats = await Promise.all(ranks.map(({ state }) => state.read()));
    for (const { name } of parametersOf(sample)) {
      const { offset, length } = ranks[0].state.range(name);
      for (let i = offset; i < offset + length; i++) {
        flats[0][i] = flats[1][i] = (flats[0][i] + flats[1][i]) / 2;
      }
    }
    for (const { rank, state } of ranks) await state.write(flats[rank]);
  }
  const weights = new Map<string, Float32Array>(), carries = new Map<string, Float32Array[]>();
  const flats = await Promise.all(ranks.map(({ state }) => state.read()));
  for (const { name, role } of sample.variables) {
    const { offset, length } = ranks[0].state.range(name);
    const values = flats.map((flat) => flat.slice(offset, offset + length));
    if (role === "parameter") weights.set(name, values[0]);
    else carries.set(name, values);
  }
  for (const { state } of ranks) await state[Symbol.asyncDispose]();
  return { ranks, weights, carries };
}

Deno.test("2 ranks of CELGC on a text are two serial copies averaged by hand, carried state included", async () => {
  await using folder = await temporaryFolder();
  const steps = 10, given = { ...SMALL, ranks: 2, interval: 1, weightDecay: 0.01, maxSteps: steps };
  const expected = await serial(resolveOptions(given), steps);
  const { dir } = await launch({ ...given, out: `${folder.path}/run`, checkpointEvery: steps });
  for (const { rank, losses, norms } of expected.ranks) {
    const records = readMetrics(`${dir}/metrics.jsonl`)
      .filter((each): each is StepRecord => each.type === "step" && each.rank === rank);
    assert.ok(difference(records.map(({ loss }) => loss), losses) < 1e-5);
    assert.ok(difference(records.map(({ gradNorm }) => gradNorm), norms) < 1e-5);
    const bytes = await Deno.readFile(`${dir}/checkpoint/step-${steps}/rank-${rank}.safetensors`);
    const tensors = new Map(decodeSafetensors(bytes).tensors.map(({ name, data }) => [name, data]));
    for (const [name, value] of expected.weights) {
      assert.ok(difference(tensors.get(name)!, value) < 1e-4, name);
    }
    for (const [name, values] of expected.carries) {
      assert.ok(difference(tensors.get(name)!, values[rank]) < 1e-4, `${name} of rank ${rank}`);
    }
  }
});

Deno.test("however many ranks share an evaluation, its sums are of the same predictions", () => {
  const options = resolveOptions({ ...SMALL, ranks: 1 }), corpus = corpusOf(options);
  const model = awdLstm({ vocabulary: corpus.vocabulary.size, embedding: 4, hidden: 4 });
  for (const ranks of [1, 3, 4, 12]) {
    const counts = new Map<string, number>();
    for (let rank = 0; rank < ranks; rank++) {
      const { splits, untrained } = awdLstmTask(corpus, model, { ...options, ranks }, rank, "cpu");
      for (
        const [key, split] of [["valid", splits[0]], ["test", splits[1]], [
          "untrained",
          untrained!,
        ]] as const
      ) {
        let restarts = 0;
        for (const { input, weight, restart } of split.batches()) {
          assert.deepEqual(input.dims, [split.length, split.batchSize]);
          restarts += Number(restart.data[0]);
          const counted = (weight.data as Float32Array).reduce((sum, x) => sum + x, 0);
          counts.set(key, (counts.get(key) ?? 0) + counted);
        }
        assert.ok(restarts <= 1, "the state goes on from window to window");
      }
    }
    assert.equal(counts.get("valid"), corpus.valid.length - 1);
    assert.equal(counts.get("test"), corpus.test.length - 1);
    assert.equal(counts.get("untrained"), Math.min(corpus.valid.length - 1, 10 * SMALL.bptt));
  }
});

Deno.test("--eval-tokens limits what is evaluated", () => {
  const options = resolveOptions({ ...SMALL, ranks: 1, evalTokens: 25 });
  const corpus = corpusOf(options), model = awdLstmOf(options, corpus.vocabulary.size);
  const { splits } = awdLstmTask(corpus, model, options, 0, "cpu");
  assert.deepEqual(splits.map(({ samples }) => samples), [25, 25]);
});
