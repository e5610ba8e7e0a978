/** `train()` with a model and a task of the caller's instead of those that the options name. */

import assert from "node:assert/strict";
import {
  adam,
  awdLstm,
  awdLstmTask,
  celgc,
  episode,
  generateText,
  init,
  overlapped,
  resolveOptions,
  timedRounds,
  train,
  trainOptions,
  type TrainParts,
  windowTask,
} from "../../../mod.ts";
import { readConfig } from "../../../tasks/run/folder.ts";
import { clusterModel, clusters } from "../../_helpers/clusters.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

const comm = await init();

const options = resolveOptions({
  task: "generated-text",
  ranks: 1,
  device: "cpu",
  trainSize: 1200,
  testSize: 150,
  batchSize: 2,
  bptt: 8,
  embedding: 6,
  hidden: 8,
  layers: 2,
  maxSteps: 4,
});
const corpus = generateText({ seed: options.seed, train: 1200, valid: 150, test: 150 });

Deno.test({
  name:
    "an AWD-LSTM is a model as it is: its masks are fed, and the numbers are those of the option",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const { embedding, hidden, layers } = options;
    const model = awdLstm({
      vocabulary: corpus.vocabulary.size,
      embedding,
      hidden,
      layers,
      dropout: {
        word: options.dropoutWord,
        input: options.dropoutInput,
        hidden: options.dropoutHidden,
        output: options.dropoutOutput,
        weight: options.dropoutWeight,
      },
      activation: options.activationRegularisation,
      temporal: options.temporalRegularisation,
    });
    const task = awdLstmTask(corpus, model, options, 0, "cpu");
    const own = await train(comm, options, { model, task });
    const named = await train(comm, options);
    assert.equal(own.summary.weightsHash, named.summary.weightsHash);
    assert.equal(own.summary.testLoss, named.summary.testLoss);
    assert.ok(own.summary.testPerplexity! > 1);
  },
});

Deno.test({
  name: "a run can be written without a configuration at hand",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using folder = await temporaryFolder();
    const model = awdLstm({
      vocabulary: corpus.vocabulary.size,
      embedding: 6,
      hidden: 8,
      layers: 2,
    });
    const task = awdLstmTask(corpus, model, options, 0, "cpu");
    const output = { directory: folder.path };
    const { summary } = await train(comm, { ...options, maxSteps: 2 }, { model, task, output });
    const config = await readConfig(folder.path);
    assert.equal(config.options.maxSteps, 2);
    assert.deepEqual(config.own, { model: model.name, task: true });
    assert.equal(config.plan!.steps, summary.steps);
    const card = await Deno.readTextFile(`${folder.path}/README.md`);
    assert.match(card, new RegExp(`^# ${model.name} on data of its own$`, "m"));
    assert.match(card, /given by a program/);
    assert.ok(card.includes(summary.weightsHash));
  },
});

Deno.test({
  name: "an algorithm of one's own is trained by as the named one is, and written down",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using folder = await temporaryFolder();
    const own = trainOptions({ ranks: 1, device: "cpu", lr: 0.5, clip: 0.5, maxSteps: 6 });
    const parts = { model: clusterModel(8), task: clusters(own, 0) };
    const named = await train(comm, own, parts);
    const algorithm = { ...celgc({ interval: own.interval as number }), name: "mine" };
    const output = { directory: folder.path };
    const { summary } = await train(comm, own, { ...parts, algorithm, output });
    assert.equal(summary.weightsHash, named.summary.weightsHash);
    assert.equal(summary.rounds, named.summary.rounds);
    assert.equal(summary.driftBound, named.summary.driftBound);
    const config = await readConfig(folder.path);
    assert.deepEqual(config.own, { model: "perceptron", task: true, algorithm: "mine" });
  },
});

Deno.test("an algorithm of one's own is refused what it cannot be combined with", async () => {
  const own = trainOptions({ ranks: 1, device: "cpu", maxSteps: 2, averageStates: false });
  const parts = { model: clusterModel(8), task: clusters(own, 0) };
  const algorithm = celgc({ interval: 2 });
  const refused = (change: Partial<typeof own>, more: TrainParts, reason: RegExp) =>
    assert.rejects(train(comm, { ...own, ...change }, { ...parts, ...more }), reason);
  await refused({}, { algorithm, optimizer: adam() }, /by celgc, .* algorithm.update.rule/);
  const aside = episode({ interval: 2 }), late = overlapped(algorithm);
  await refused({ accumulate: 2 }, { algorithm: aside }, /by episode, .* give a larger batchSize/);
  await refused({ averageStates: true }, { algorithm: late }, /averageStates goes neither/);
  await refused({ averageStates: true }, { algorithm }, /nothing to average with the rule sgd/);
  const timed = timedRounds(celgc({ interval: 1 }), 1);
  const checkpoints = { directory: "nowhere", from: null };
  await refused(
    { checkpointEvery: 1 },
    { algorithm: timed, checkpoints },
    /rounds go by the clock/,
  );
});

Deno.test("options for a model and a task of one's own name neither", () => {
  assert.equal(trainOptions({ ranks: 3, lr: 0.25 }).lr, 0.25);
  const named = { task: "ptb" } as Parameters<typeof trainOptions>[0];
  assert.throws(() => trainOptions(named), /--task is for models and tasks that options name/);
  // What a task of one's own can do is not asked of the one that the options would name.
  const free = trainOptions({ patience: 3, averagingTrigger: 2, averaging: "epoch" });
  assert.deepEqual([free.patience, free.averagingTrigger, free.averaging], [3, 2, "epoch"]);
  assert.equal(trainOptions({ patience: 3, validFraction: 0.2 }).validFraction, 0.2);
  assert.throws(() => trainOptions({ patience: -1 }), /--patience/);
  assert.throws(() => trainOptions({ averaging: "epoch" }), /--averaging epoch has no effect/);
  assert.throws(() => trainOptions({ averagingTrigger: 2, ema: 0.9 }), /--ema and --averaging-tri/);
});

Deno.test("windows of a text are a task of their own", () => {
  const task = windowTask(corpus, options, 0);
  assert.deepEqual(task.batch(1).feeds.input.dims, [2, 8]);
});
