import assert from "node:assert/strict";
import { type Options, PRESET_NAMES } from "../../../tasks/options/values.ts";
import { PRESETS } from "../../../tasks/options/presets.ts";
import { resolveOptions } from "../../../tasks/options/resolve.ts";

/** AWD-LSTM as published, and the step of the language experiments. */
const AWD_LSTM = {
  model: "awd-lstm",
  embedding: 400,
  hidden: 1150,
  layers: 3,
  bptt: 70,
  dropoutWord: 0.1,
  dropoutInput: 0.4,
  dropoutHidden: 0.25,
  dropoutOutput: 0.4,
  dropoutWeight: 0.5,
  activationRegularisation: 2,
  temporalRegularisation: 1,
  weightDecay: 1.2e-6,
  averagingTrigger: 5,
  averaging: "epoch",
  testColumns: 2,
  partition: "rotate",
  lr: 30,
  clip: 7.5,
} as const;

/** The paper's table, row by row. */
const TABLE: Record<string, Partial<Options>> = {
  "cifar10-resnet56": {
    task: "cifar10",
    partition: "whole",
    model: "resnet56",
    lr: 0.3,
    clip: 1,
    batchSize: 64,
    epochs: 200,
    decayAt: [80, 120],
    decayFactor: 0.1,
    decayClip: false,
  },
  "cifar10-resnet32": {
    task: "cifar10",
    partition: "whole",
    model: "resnet32",
    lr: 0.1,
    clip: 1,
    batchSize: 16,
    epochs: 200,
    decayAt: [80, 120],
    decayFactor: 0.1,
    decayClip: true,
  },
  "cifar10-resnet56-large-batch": {
    task: "cifar10",
    partition: "whole",
    model: "resnet56",
    batchSize: 256,
    epochs: 300,
    decayAt: [150, 250],
  },
  "ptb-awd-lstm": { ...AWD_LSTM, task: "ptb", batchSize: 3, epochs: 250 },
  "wikitext2-awd-lstm": {
    ...AWD_LSTM,
    task: "wikitext2",
    dropoutHidden: 0.2,
    batchSize: 10,
    epochs: 300,
  },
  "ptb-heterogeneous": {
    ...AWD_LSTM,
    task: "ptb",
    batchSize: 3,
    partition: "proportional:10.64,11.17,11.7,12.23,12.77,13.3,13.83,14.36",
  },
  "ptb-partial-participation": { ...AWD_LSTM, task: "ptb", batchSize: 3, participants: 6 },
  "diloco": {
    algorithm: "diloco",
    optimizer: "adamw",
    beta1: 0.9,
    beta2: 0.95,
    interval: 500,
    lr: 4e-4,
    weightDecay: 0.1,
    noDecay: "vectors",
    schedule: "cosine",
    warmup: 1000,
    outerLr: 0.7,
    outerMomentum: 0.9,
    averageStates: false,
  },
};

Deno.test("every preset resolves to the paper's row, on 8 ranks", () => {
  const papers = PRESET_NAMES.filter((name) => !name.startsWith("gpt"));
  assert.deepEqual(papers.toSorted(), Object.keys(TABLE).sort());
  for (const preset of papers) {
    const data = preset === "diloco" ? {} : { data: "data" };
    const options = resolveOptions({ preset, ...data });
    assert.equal(options.ranks, 8, preset);
    assert.equal(options.scale, 1, preset);
    for (const [name, value] of Object.entries(TABLE[preset])) {
      assert.deepEqual(options[name as keyof Options], value, `${preset}: ${name}`);
    }
    assert.ok(PRESETS[preset].about.length > 10);
  }
});

Deno.test("a GPT has its own defaults on each task, and its presets are nanoGPT's and OpenAI's sizes", () => {
  const sizes = (options: Options) => {
    const { model, layers, heads, width, context, batchSize, vocabulary } = options;
    return [model, layers, heads, width, context, batchSize, vocabulary];
  };
  const data = "data";
  const nano = ["gpt", 6, 6, 384, 256, 12, null];
  assert.deepEqual(sizes(resolveOptions({ preset: "gpt-nano" })), nano);
  assert.deepEqual(sizes(resolveOptions({ preset: "gpt-nano", task: "ptb", data })), nano);
  assert.deepEqual(sizes(resolveOptions({ task: "ptb", model: "gpt", data })), nano);
  const small = resolveOptions({ preset: "gpt2-small", data });
  assert.deepEqual(sizes(small), ["gpt", 12, 12, 768, 1024, 1, 50_257]);
  const generated = resolveOptions({ task: "generated-text", model: "gpt" });
  assert.deepEqual(sizes(generated), ["gpt", 2, 4, 64, 64, 8, null]);
  assert.equal(generated.weightDecay, 0);
  const scaled = resolveOptions({ preset: "gpt-nano", scale: 1 / 64 });
  assert.equal(scaled.width, 192);
  const refused: [Record<string, unknown>, RegExp][] = [
    [{ model: "gpt" }, /gpt learns from text, .* is images: take a --model resnet/],
    [{ model: "gpt", task: "generated-text", width: 63 }, /--width 63 is no multiple of --heads 4/],
    [
      { model: "gpt", task: "generated-text", width: 12, positions: "rotary" },
      /--positions rotary .* a head has 3/,
    ],
    [{ model: "gpt", task: "generated-text", bptt: 9 }, /--bptt 9 has no effect with --model gpt/],
    [{ task: "generated-text", width: 128 }, /--width 128 has no effect with --model awd-lstm/],
  ];
  for (const [options, message] of refused) assert.throws(() => resolveOptions(options), message);
});

Deno.test("what is given beside a preset takes precedence, and a task brings its own defaults", () => {
  const given = { preset: "ptb-awd-lstm", data: "data", lr: 20, hidden: 200, ranks: 4 } as const;
  const options = resolveOptions({ ...given, averagingTrigger: null });
  assert.deepEqual(
    [options.lr, options.hidden, options.ranks, options.averagingTrigger, options.clip],
    [20, 200, 4, null, 7.5],
  );
  const generated = resolveOptions({ task: "generated-text" });
  assert.equal(generated.model, "awd-lstm");
  assert.equal(generated.dropoutWeight, 0);
  assert.equal(resolveOptions({}).model, "resnet8");
});

Deno.test("--scale shrinks epochs, data and network by its cube root each", () => {
  const full = resolveOptions({ preset: "cifar10-resnet56", data: "data" });
  const small = resolveOptions({ preset: "cifar10-resnet56", data: "data", scale: 1 / 8 });
  assert.equal(small.epochs, full.epochs / 2);
  assert.deepEqual(small.decayAt, [40, 60]);
  assert.equal(small.model, "resnet32"); // depth 28 lies between 20 and 32
  for (const name of ["batchSize", "lr", "clip", "ranks", "trainSize", "hidden"] as const) {
    assert.equal(small[name], full[name], name);
  }
  const text = resolveOptions({ preset: "ptb-awd-lstm", data: "data", scale: 1 / 64 });
  assert.deepEqual([text.epochs, text.hidden, text.embedding], [62.5, 575, 200]);
  const generated = resolveOptions({ scale: 1 / 8 });
  assert.deepEqual([generated.epochs, generated.trainSize, generated.model], [6, 1000, "resnet8"]);
  const kept = resolveOptions({ preset: "ptb-awd-lstm", data: "data", scale: 0.01, epochs: 3 });
  assert.equal(kept.epochs, 3);
  assert.throws(() => resolveOptions({ scale: 0 }), /--scale must be a number above 0 at most 1/);
  assert.throws(() => resolveOptions({ scale: 1.5 }), /--scale/);
});

Deno.test("options that a task does not take are refused in one line", () => {
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ task: "ptb" }, /--task ptb needs --data DIR, the folder of train\.txt, .*or --download/],
    [{ task: "generated-text", data: "x" }, /--data is for a data set on disk/],
    [{ task: "generated-text", model: "resnet8" }, /resnet8 learns from images, .* is text/],
    [{ model: "awd-lstm" }, /awd-lstm learns from text, .* is images/],
    [{ task: "generated-text", algorithm: "episode" }, /episode draws mini-batches aside/],
    [{ averagingTrigger: 5 }, /--averaging-trigger is for texts/],
    [{ hidden: 64 }, /--hidden 64 has no effect with --task generated-images: leave it out/],
    [{ dropoutWord: 0.5 }, /--dropout-word 0\.5 has no effect with --task generated-images/],
    [{ task: "cifar10", data: "x", trainSize: 100 }, /--train-size 100 .* with --task cifar10/],
    [{ outerLr: 1 }, /--outer-lr 1 has no effect with --algorithm celgc/],
    [{ algorithm: "naive-parallel", average: "before" }, /--average before has no effect/],
    [{ task: "generated-text", partition: "dirichlet:0.5" }, /dirichlet is for labelled images/],
    [{ partition: "rotate" }, /rotate moves blocks of a text/],
    [{ task: "generated-text", dropoutWord: 1 }, /--dropout-word must be .* below 1, not 1/],
    [{ preset: "ptb-heterogeneous", data: "x", ranks: 4 }, /one percentage for each of 4 ranks/],
  ];
  for (const [given, message] of wrong) assert.throws(() => resolveOptions(given), message);
});
