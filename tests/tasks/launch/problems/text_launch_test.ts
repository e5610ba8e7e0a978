import assert from "node:assert/strict";
import { loadOnnxRuntimeNode } from "../../../../deps.ts";
import { generateText } from "../../../../tasks/data/text/generated_text.ts";
import { weightsOf } from "../../../../tasks/networks/graphs.ts";
import { awdLstmOf } from "../../../../tasks/networks/awd_lstm.ts";
import { launch, type LaunchOptions } from "../../../../tasks/launch/launch.ts";
import { readMetrics } from "../../../../tasks/logs/log_tail.ts";
import type { EvalRecord, StepRecord } from "../../../../tasks/logs/records.ts";
import { report } from "../../../../tasks/report/report.ts";
import { resolveOptions } from "../../../../tasks/options/resolve.ts";
import { encodeSafetensors } from "../../../../tasks/networks/safetensors.ts";
import { sweep } from "../../../../tasks/sweep/sweep.ts";
import { formatTable } from "../../../../tasks/sweep/table.ts";
import { stateDict } from "../../../../tasks/networks/state_dict.ts";
import { celgc } from "../../../_helpers/deno.ts";
import { runHere } from "../../../_helpers/run_here.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";
import { hasWebGpu, webGpuNote } from "../../../_helpers/web_gpu.ts";

/** Words of a generated text. */
const WORDS = 176;

/** A network that is quick. */
const SMALL = {
  task: "generated-text",
  ranks: 2,
  device: "cpu",
  trainSize: 1500,
  testSize: 200,
  embedding: 8,
  hidden: 12,
  layers: 2,
  bptt: 12,
} as const satisfies LaunchOptions;

Deno.test("a text is learnt from the command line, and its perplexity stands beside the best there is", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/run`;
  const sizes = "--train-size 12000 --test-size 1000 --embedding 32 --hidden 48 --epochs 8";
  const args = `--task generated-text --ranks 2 --device cpu ${sizes} --out ${out}`.split(" ");
  const { code, stdout, stderr } = await celgc("launch", ...args);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^untrained +validation perplexity 17\d\.\d\d/m);
  assert.match(stderr, /^epoch 8\.00 +test perplexity/m);
  // The untrained weights were scored on the validation text.
  assert.match(stdout, /^test perplexity +\d+\.\d\d$/m);
  assert.match(stdout, /^valid perplexity +\d+\.\d\d +\(untrained 17/m);
  assert.match(stdout, /^best possible +7\.\d\d; the source has 2\.\d+ nats a token$/m);
  assert.match(stdout, / tokens\/s/);
  assert.doesNotMatch(stdout, /batch norm|accuracy/);

  const records = readMetrics(`${out}/metrics.jsonl`);
  const evals = records.filter((each): each is EvalRecord => each.type === "eval");
  assert.deepEqual(evals.map(({ split }) => split), [...Array(9).fill("valid"), "test"]);
  assert.deepEqual(evals.slice(1).map(({ count }) => count), Array(9).fill(999));
  for (const { loss, perplexity } of evals) assert.equal(perplexity, Math.exp(loss));
  const summary = records.find((each) => each.type === "summary")!;
  assert.equal(summary.testPerplexity, evals.at(-1)!.perplexity);
  assert.equal(summary.validationPerplexity, evals.at(-2)!.perplexity);
  assert.equal(summary.untrainedPerplexity, evals[0].perplexity);
  // Knowing how frequent each word is gives 63, knowing nothing 176.
  assert.ok(summary.testPerplexity! < 40, `perplexity ${summary.testPerplexity}`);
  assert.ok(summary.testPerplexity! > summary.bestPerplexity!);
  for (const each of records) {
    assert.ok(!("batchNorm" in each), `a text's ${each.type} has batchNorm`);
  }
  const steps = records.filter((each): each is StepRecord => each.type === "step");
  const rates = new Set(steps.map(({ lr }) => lr));
  assert.ok(rates.size > 5, "η follows the windows' lengths");
  assert.ok(steps.every(({ lr, clip }) => Math.abs(lr / clip - 4) < 1e-9));

  const page = await Deno.readTextFile((await report([out])).page);
  assert.ok(page.includes("valid-perplexity"));
  assert.ok(!page.includes("test-perplexity"), "one number is no figure");
});

Deno.test("a sweep over texts compares perplexities", async () => {
  await using folder = await temporaryFolder();
  const given = { ...SMALL, maxSteps: 12, algorithm: ["celgc", "local-sgd", "diloco"] as const };
  const { axes, cells } = await sweep({ ...given, out: folder.path });
  const table = await formatTable(axes, cells);
  for (const { summary } of cells) {
    const { testPerplexity, untrainedPerplexity } = summary!;
    assert.ok(testPerplexity! < 0.95 * untrainedPerplexity!, `${testPerplexity}`);
  }
  assert.match(table, /perplexity/);
  assert.doesNotMatch(table, /accuracy/);
});

/**
 * What must be the same in a run that was interrupted.
 *
 * @param after steps after which it was, each another time
 * @param run begins runs and goes on with them
 */
async function resumes(
  variant: LaunchOptions,
  after: readonly number[],
  steps: number,
  run = runHere,
) {
  await using folder = await temporaryFolder();
  const options = { ...SMALL, dropoutWeight: 0.3, epochs: 99, evalEvery: 0.5, ...variant };
  const whole = await run({ ...options, maxSteps: steps, out: `${folder.path}/whole` });
  const samples = (dir: string) =>
    readMetrics(`${dir}/metrics.jsonl`)
      .flatMap((each) => each.type === "step" ? [[each.step, each.rank, each.samples]] : [])
      .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  for (const first of after) {
    const out = `${folder.path}/parts-${first}`;
    await run({ ...options, maxSteps: first, checkpointEvery: first, out });
    const parts = await run({ resume: out, maxSteps: steps });
    for (
      const field of ["weightsHash", "trainLoss", "testLoss", "averagedSteps", "clipRate"] as const
    ) {
      assert.equal(parts.summary[field], whole.summary[field], `${field}, ${first}`);
    }
    assert.deepEqual(samples(parts.dir), samples(whole.dir));
  }
  return whole.summary;
}

Deno.test("a resumed text goes on where it was, within a pass", async () => {
  const { averagedSteps } = await resumes({ partition: "proportional:60,40" }, [9], 14, launch);
  assert.equal(averagedSteps, undefined);
});

/**
 * A run whose validation loss rises from the start, whatever the rounding: it begins with the words'
 * frequencies as the decoder's bias, and all that a step does is to shrink the weights by a twentieth.
 */
async function forgetful(folder: string) {
  const { test, valid } = generateText({ seed: 1, train: 1500, valid: 200, test: 200 });
  const network = awdLstmOf(resolveOptions(SMALL), WORDS);
  const variables = weightsOf(network.build({ batchSize: 1, length: 1, mode: "eval" }));
  const counts = new Float32Array(WORDS).fill(0.1);
  for (const word of [...test, ...valid]) counts[word]++;
  const tensors = stateDict(
    variables,
    variables.map(({ name, initial }) =>
      name === "decoder.bias" ? counts.map((count) => Math.log(count / 400)) : initial(1)
    ),
    network.ties,
  );
  const weights = `${folder}/frequencies.safetensors`;
  await Deno.writeFile(weights, encodeSafetensors({ tensors, metadata: {} }));
  const step = { lr: 1e-4, clip: 1, weightDecay: 500 };
  return { weights, ...step, evalEvery: 0.1, averagingTrigger: 1 } as const;
}

for (const algorithm of ["celgc", "naive-parallel"] as const) {
  Deno.test(`averages over the steps are part of checkpoints (${algorithm})`, async () => {
    await using folder = await temporaryFolder();
    const variant = { ...await forgetful(folder.path), algorithm };
    // Before the averages begin and after that.
    const { averagedSteps } = await resumes(variant, [3, 12], 16);
    assert.ok(averagedSteps! > 4 && averagedSteps! < 13, `averaged over ${averagedSteps} steps`);
  });
}

Deno.test("averages over the ends of epochs are part of checkpoints, one for each epoch", async () => {
  await using folder = await temporaryFolder();
  const often = { trainSize: 300, evalEvery: 1, averaging: "epoch" } as const;
  const variant = { ...await forgetful(folder.path), ...often };
  const { averagedSteps, epochs } = await resumes(variant, [17], 24);
  // It begins with the third evaluation.
  assert.ok(epochs > 5, `${epochs} epochs`);
  assert.equal(averagedSteps, Math.floor(epochs) - 3);
});

Deno.test("averaging over the steps changes what is evaluated, not what is trained", async () => {
  await using folder = await temporaryFolder();
  const variant = await forgetful(folder.path);
  const options = { ...SMALL, ...variant, maxSteps: 16, epochs: 99 };
  const averaged = await runHere({ ...options, out: `${folder.path}/averaged` });
  const none = { ...options, averagingTrigger: null };
  const plain = await runHere({ ...none, out: `${folder.path}/plain` });
  const losses = (dir: string) =>
    readMetrics(`${dir}/metrics.jsonl`)
      .flatMap((each) => each.type === "step" && each.rank === 0 ? [each.loss] : []);
  assert.equal(losses(plain.dir).length, 16);
  assert.deepEqual(losses(averaged.dir), losses(plain.dir), "training itself is not touched");
  assert.notEqual(averaged.summary.weightsHash, plain.summary.weightsHash);
  // The average remembers more than the weights that it is of.
  assert.ok(averaged.summary.testLoss < plain.summary.testLoss);
});

Deno.test("model.onnx predicts a text of any length in plain onnxruntime", async () => {
  await using folder = await temporaryFolder();
  const run = await launch({
    ...SMALL,
    ranks: 3,
    maxSteps: 30,
    testColumns: 1,
    out: `${folder.path}/run`,
  });
  const { test, vocabulary } = generateText({ seed: 1, train: 1500, valid: 200, test: 200 });
  const ort = (await loadOnnxRuntimeNode()).default;
  const session = await ort.InferenceSession.create(
    Deno.readFileSync(`${run.dir}/model.onnx`),
  );
  assert.ok(session.inputNames.includes("rnns.1.cell"), session.inputNames.join());
  const words = Deno.readTextFileSync(`${run.dir}/vocabulary.txt`).trimEnd().split("\n");
  assert.deepEqual(words, Array.from({ length: WORDS }, (_, id) => vocabulary.word(id)));
  const state: Record<string, unknown> = {};
  for (const [layer, size] of [12, 8].entries()) {
    for (const what of ["hidden", "cell"]) {
      const zeros = new Float32Array(size);
      state[`rnns.${layer}.${what}`] = new ort.Tensor("float32", zeros, [1, size]);
    }
  }
  let nats = 0, at = 0;
  for (const length of [31, 1, 100, 67]) {
    const feeds = {
      ...state,
      input: new ort.Tensor("int32", test.slice(at, at + length), [length, 1]),
      restart: new ort.Tensor("float32", [0], []),
      last: new ort.Tensor("int32", [length - 1], []),
    };
    // deno-lint-ignore no-explicit-any
    const outputs = await session.run(feeds as any);
    const logits = outputs.logits.data as Float32Array;
    for (let i = 0; i < length; i++) {
      const row = logits.subarray(i * words.length, (i + 1) * words.length);
      nats += Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0)) - row[test[at + i + 1]];
    }
    for (const name of Object.keys(state)) state[name] = outputs[`${name}.next`];
    at += length;
  }
  assert.equal(at, test.length - 1);
  assert.ok(Math.abs(nats / at - run.summary.testLoss) < 1e-4);
  await session.release();
});

Deno.test(`a text trains alike on every device${webGpuNote}`, async () => {
  await using folder = await temporaryFolder();
  // On a software adapter compiling the shaders takes most of the time: one layer, one window.
  const sizes = { embedding: 4, hidden: 5, layers: 1, dropoutWeight: 0.3 };
  const tiny = { ...sizes, testSize: 60, bptt: 10, maxSteps: 4, testColumns: 10 };
  const losses = async (device: "cpu" | "wasm" | "webgpu") => {
    const out = `${folder.path}/${device}`;
    const { dir } = await launch({ ...SMALL, ...tiny, ranks: 1, batchSize: 2, device, out });
    return readMetrics(`${dir}/metrics.jsonl`)
      .flatMap((each) => each.type === "step" || each.type === "eval" ? [each.loss] : []);
  };
  const cpu = await losses("cpu");
  assert.equal(cpu.length, 4 + 3);
  for (const device of hasWebGpu ? ["wasm", "webgpu"] as const : ["wasm"] as const) {
    const other = await losses(device);
    cpu.forEach((loss, i) => assert.ok(Math.abs(other[i] / loss - 1) < 1e-3, `${device} ${other}`));
  }
});

/** A text in the official layout of a task. */
async function writeCorpus(folder: string, names: readonly string[]): Promise<void> {
  const lines = "the cat saw a dog\na dog saw the cat near the tree\nthe tree grew\n";
  for (const name of names) await Deno.writeTextFile(`${folder}/${name}`, lines.repeat(60));
}

for (
  const [task, split] of [["ptb", "SPLIT.txt"], ["wikitext2", "wiki.SPLIT.tokens"]] as const
) {
  const names = ["train", "valid", "test"].map((name) => split.replace("SPLIT", name));
  Deno.test(`--task ${task} reads the official layout, and says which split is missing`, async () => {
    await using folder = await temporaryFolder();
    await writeCorpus(folder.path, names);
    const sizes = { embedding: 4, hidden: 5, layers: 1, batchSize: 2, bptt: 8, lr: 1, clip: 1 };
    const given = { task, ranks: 2, device: "cpu", data: folder.path, ...sizes } as const;
    const { summary } = await launch({ ...given, maxSteps: 30, out: `${folder.path}/run` });
    const { testPerplexity, untrainedPerplexity } = summary;
    const seen = `${testPerplexity}, untrained ${untrainedPerplexity}`;
    assert.ok(testPerplexity! > 1 && testPerplexity! < 0.95 * untrainedPerplexity!, seen);
    await Deno.remove(`${folder.path}/${names[1]}`);
    const args = `--task ${task} --ranks 2 --device cpu --max-steps 1 --data ${folder.path}`;
    const ended = await celgc("launch", ...args.split(" "), "--out", `${folder.path}/other`);
    assert.equal(ended.code, 2);
    assert.equal(ended.stdout, "");
    assert.ok(ended.stderr.includes(`${names[1]} missing from ${folder.path}`), ended.stderr);
    assert.doesNotMatch(ended.stderr, /at file:/);
  });
}

Deno.test("a preset at small scale runs on a text in the official layout", async () => {
  await using folder = await temporaryFolder();
  await writeCorpus(folder.path, ["train.txt", "valid.txt", "test.txt"]);
  const runs = [
    ["ptb-awd-lstm", 2, "celgc"],
    ["ptb-partial-participation", 8, "celgc"],
    ["ptb-partial-participation", 8, "naive-parallel"],
  ] as const;
  for (const [preset, ranks, algorithm] of runs) {
    const given = {
      preset,
      ranks,
      algorithm,
      data: folder.path,
      device: "cpu",
      scale: 1e-3,
      maxSteps: 4,
    } as const;
    const sizes = { batchSize: 1, bptt: 5, hidden: 16, embedding: 8 };
    const out = `${folder.path}/${preset}-${algorithm}`;
    const { summary, config } = await launch({ ...given, ...sizes, out });
    assert.deepEqual([config.options.scale, config.options.epochs], [1e-3, 25]);
    assert.equal(config.plan!.trainSamples, 114); // a tenth
    assert.equal(summary.identicalWeights, true);
    const rounds = readMetrics(`${out}/metrics.jsonl`)
      .flatMap((each) => each.type === "round" ? [each.participants.length] : []);
    // Where six of eight met in the last round, the mean of all is one more.
    assert.equal(rounds.pop(), ranks);
    assert.deepEqual(rounds, ranks > 6 ? new Array(algorithm === "celgc" ? 1 : 4).fill(6) : []);
  }
});
