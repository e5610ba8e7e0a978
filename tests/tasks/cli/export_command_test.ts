import assert from "node:assert/strict";
import { loadOnnxRuntimeNode } from "../../../deps.ts";
import { encodeModel, Graph } from "../../../models/mod.ts";
import { findModel, weightsOf } from "../../../tasks/networks/graphs.ts";
import { launch } from "../../../tasks/launch/launch.ts";
import { decodeSafetensors } from "../../../tasks/networks/safetensors.ts";
import { celgc } from "../../_helpers/deno.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

const BATCH = 3;

/** What every graph of the network may be fed: its first weights and a mini-batch. */
async function feedsFor(names: readonly string[]) {
  const { Tensor } = await loadOnnxRuntimeNode();
  const model = findModel("resnet8").build({ batchSize: BATCH, mode: "train" });
  const pixels = Float32Array.from({ length: BATCH * 3072 }, (_, i) => Math.sin(i));
  const scalar = (value: number) => new Tensor("float32", Float32Array.of(value), []);
  const all: Record<string, InstanceType<typeof Tensor>> = {
    input: new Tensor("float32", pixels, [BATCH, 3, 32, 32]),
    target: new Tensor("int32", Int32Array.of(1, 5, 9), [BATCH]),
    learning_rate: scalar(0.1),
    clip_threshold: scalar(0.5),
  };
  for (const { name, dims, initial } of weightsOf(model)) {
    all[name] = new Tensor("float32", initial(1), [...dims]);
    all[`${name}.momentum`] = new Tensor("float32", new Float32Array(initial(1).length), [...dims]);
  }
  for (const name of names) assert.ok(all[name], `the graph has an input ${name}`);
  return Object.fromEntries(names.map((name) => [name, all[name]]));
}

/** Exports a graph and runs it in plain onnxruntime. */
async function exportAndRun(...args: string[]): Promise<Record<string, Float32Array>> {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/graph.onnx`;
  const ended = await celgc(
    "export",
    ...["--model", "resnet8", "--batch-size", String(BATCH), "--out", file, ...args],
  );
  assert.equal(ended.code, 0, ended.stderr);
  assert.ok(ended.stdout.startsWith(`${file}: `), ended.stdout);
  const ort = await loadOnnxRuntimeNode();
  const session = await ort.InferenceSession.create(await Deno.readFile(file));
  const outputs = await session.run(await feedsFor(session.inputNames));
  await session.release();
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { data }]) => [name, data as Float32Array]),
  );
}

Deno.test("the exported graphs run in plain onnxruntime and agree with each other", async () => {
  const forward = await exportAndRun("--graph", "forward");
  assert.deepEqual(Object.keys(forward), ["logits"]);
  assert.equal(forward.logits.length, 10 * BATCH);
  const evaluation = await exportAndRun("--graph", "eval");
  assert.deepEqual(evaluation.logits, forward.logits);

  const { loss, ...gradients } = await exportAndRun("--graph", "gradients");
  const step = await exportAndRun("--graph", "step", "--momentum", "0.9");
  assert.ok(Math.abs(step.loss[0] - loss[0]) < 1e-5);
  const names = Object.keys(gradients).filter((name) => name.endsWith(".grad"));
  assert.ok(names.includes("conv1.weight.grad") && names.includes("linear.bias.grad"));
  const norm = Math.hypot(...names.map((name) => Math.hypot(...gradients[name])));
  assert.ok(Math.abs(step.grad_norm[0] / norm - 1) < 1e-4, `${step.grad_norm[0]}, ${norm}`);
  for (const name of names) {
    const parameter = name.slice(0, -".grad".length);
    assert.ok(step[`${parameter}.next`] && step[`${parameter}.momentum.next`], parameter);
  }
});

Deno.test("the network whose graph is exported is the one that was named", async () => {
  await using folder = await temporaryFolder();
  const wrong = await celgc("export", "--model", "resnet9", "--out", `${folder.path}/x.onnx`);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /--model must be one of resnet8/);
  assert.equal([...Deno.readDirSync(folder.path)].length, 0);
});

/** A language model of sorts as a file with symbolic axes: scores of the next word from each word alone. */
function wordsFile(): Uint8Array {
  const build = (batch: number) => {
    const g = new Graph();
    const ids = g.input("ids", "int64", [batch, 7]);
    const vectors = g.op("Gather", [g.input("embedding.weight", "float32", [20, 5]), ids]);
    g.output("scores", g.matmul(g.tanh(vectors), g.input("decoder.weight", "float32", [5, 20])));
    return g;
  };
  const data = Float32Array.from({ length: 100 }, (_, i) => Math.sin(i));
  return encodeModel(build(1), {
    initializers: { "embedding.weight": data, "decoder.weight": data },
    symbolicBatch: { name: "batch", other: build(2) },
  });
}

Deno.test("the graphs of a network's file have its weights inside and compute what the file does", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/words.onnx`, bytes = wordsFile();
  await Deno.writeFile(file, bytes);
  const ort = await loadOnnxRuntimeNode();
  const run = async (model: Uint8Array, all: Record<string, InstanceType<typeof ort.Tensor>>) => {
    const session = await ort.InferenceSession.create(model, { logSeverityLevel: 3 });
    const results = await session.run(
      Object.fromEntries(session.inputNames.map((name) => [name, all[name]])),
    );
    await session.release();
    return Object.fromEntries(
      Object.entries(results).map(([name, { data }]) => [name, data as Float32Array]),
    );
  };
  const words = Int32Array.from({ length: 14 }, (_, i) => (5 * i + 2) % 20);
  const ids = new ort.Tensor("int64", BigInt64Array.from(words, BigInt), [2, 7]);
  const expected = (await run(bytes, { ids })).scores;

  const exported = async (...args: string[]) => {
    const out = `${folder.path}/out.onnx`;
    const ended = await celgc(
      "export",
      ...["--model", file, "--batch-size", "2", "--out", out, "--json", ...args],
    );
    assert.equal(ended.code, 0, ended.stderr);
    return { lists: JSON.parse(ended.stdout), model: await Deno.readFile(out) };
  };
  const forward = await exported("--graph", "forward");
  assert.deepEqual(forward.lists.inputs, ["ids"]);
  assert.deepEqual((await run(forward.model, { ids })).scores, expected);
  const fed = {
    input: new ort.Tensor("int32", words, [2, 7]),
    target: new ort.Tensor("int32", words.map((word) => (word + 1) % 20), [2, 7]),
  };
  const evaluation = await exported("--graph", "eval");
  assert.deepEqual((await run(evaluation.model, fed)).logits, expected);
  // What is trained stays an input, but need not be fed.
  const step = await exported("--graph", "step");
  assert(step.lists.inputs.includes("decoder.weight"));
  assert.deepEqual(step.lists.weights, ["embedding.weight", "decoder.weight"]);
  const scalar = (value: number) => new ort.Tensor("float32", Float32Array.of(value), []);
  const sizes = { learning_rate: scalar(0.1), clip_threshold: scalar(1) };
  const stepped = await run(step.model, { ...fed, ...sizes });
  const { loss } = await run(evaluation.model, fed);
  assert(Math.abs(stepped.loss[0] - loss[0]) < 1e-6, `${stepped.loss} ${loss}`);
  assert.notDeepEqual(stepped["decoder.weight.next"], new Float32Array(100));
});

Deno.test("a run's folder names network and weights", async () => {
  await using folder = await temporaryFolder();
  const { dir } = await launch({
    ...{ model: "resnet8", ranks: 1, algorithm: "single", device: "cpu", maxSteps: 1 },
    ...{ batchSize: 4, trainSize: 40, testSize: 10, out: `${folder.path}/run` },
  });
  const out = `${folder.path}/state.safetensors`;
  const { code, stderr } = await celgc("export", "--weights", dir, "--out", out);
  assert.equal(code, 0, stderr);
  const read = async (path: string) => decodeSafetensors(await Deno.readFile(path)).tensors;
  assert.deepEqual(await read(out), await read(`${dir}/model.safetensors`));
  const wrong = await celgc("export", "--weights", dir, "--model", "resnet20", "--out", out);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /does not fit the model: missing layer1\.1\.conv1\.weight/);
  const idle = await celgc("export", "--weights", dir, "--graph", "step", "--out", out);
  assert.equal(idle.code, 2);
  assert.match(idle.stderr, /--graph has no effect with --out .*state\.safetensors, which gets/);
});
