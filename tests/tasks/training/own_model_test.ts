/** `train()` with a model and a task of the caller's instead of those that the options name. */

import assert from "node:assert/strict";
import {
  awdLstm,
  awdLstmTask,
  generateText,
  init,
  resolveOptions,
  train,
  trainOptions,
  windowTask,
} from "../../../mod.ts";
import { readConfig } from "../../../tasks/run/folder.ts";
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
  },
});

Deno.test("options for a model and a task of one's own name neither", () => {
  assert.equal(trainOptions({ ranks: 3, lr: 0.25 }).lr, 0.25);
  const named = { task: "ptb" } as Parameters<typeof trainOptions>[0];
  assert.throws(() => trainOptions(named), /--task is for models and tasks that options name/);
});

Deno.test("windows of a text are a task of their own", () => {
  const task = windowTask(corpus, options, 0);
  assert.deepEqual(task.batch(1).feeds.input.dims, [2, 8]);
});
