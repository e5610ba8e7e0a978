import assert from "node:assert/strict";
import { loadOnnxRuntimeNode } from "../../deps.ts";
import { findModel, weightsOf } from "../../tasks/graphs.ts";
import { celgc, temporaryFolder } from "./_deno.ts";

const BATCH = 3;

/** What every graph of the network may be fed: its first weights and a mini-batch. */
async function feedsFor(names: readonly string[]) {
  const { Tensor } = (await loadOnnxRuntimeNode()).default;
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
  const ort = (await loadOnnxRuntimeNode()).default;
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
