import assert from "node:assert/strict";
import { encodeModel, foreignModel, Graph } from "../../../../models/mod.ts";
import { sizeOf } from "../../../../models/tensor.ts";
import { worldCommunicator } from "../../../../runtime/communicator.ts";
import { Random } from "../../../../runtime/base/random.ts";
import { SingleTransport } from "../../../../runtime/transport/single_transport.ts";
import { CheckpointError } from "../../../../tasks/run/checkpoint.ts";
import { launch } from "../../../../tasks/launch/launch.ts";
import type { StepRecord } from "../../../../tasks/run/metrics.ts";
import { OptionError } from "../../../../tasks/options/kinds.ts";
import type { Options } from "../../../../tasks/options/table.ts";
import { resolveOptions } from "../../../../tasks/options/resolve.ts";
import { sweep } from "../../../../tasks/sweep/sweep.ts";
import type { Feeds, Task } from "../../../../tasks/task.ts";
import { train, type TrainParts } from "../../../../tasks/training/train.ts";
import { celgc } from "../../../_helpers/deno.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";

/** A file of a graph whose inputs with a dot in their name are weights. */
function fileOf(build: (g: Graph) => void): Uint8Array<ArrayBuffer> {
  const g = new Graph();
  build(g);
  const initializers: Record<string, Float32Array> = {};
  for (const [name, { dims }] of g.inputs) {
    const random = new Random(5, name), deviation = 1 / Math.sqrt(dims[0]);
    if (!name.includes(".")) continue;
    initializers[name] = Float32Array.from(
      { length: sizeOf(dims) },
      () => deviation * random.normal(),
    );
  }
  return new Uint8Array(encodeModel(g, { initializers }));
}

/** One layer over the means of 4 × 4 pixels. */
function scoresOf(g: Graph, side = 32, classes = 10) {
  const images = g.input("images", "float32", [1, 3, side, side]);
  const pool = { kernel_shape: [4, 4], strides: [4, 4] };
  const features = g.op("Flatten", [g.op("AveragePool", [images], pool)], { axis: 1 });
  return g.matmul(features, g.input("fc.weight", "float32", [3 * (side / 4) ** 2, classes]));
}

const PLAIN = fileOf((g) => g.output("scores", scoresOf(g)));

/** The same with its loss inside, which is none of a few samples only. */
const WITH_LOSS = fileOf((g) => {
  const scores = scoresOf(g), labels = g.input("labels", "int32", [1]);
  g.output("scores", scores);
  g.output("cost", g.op("SoftmaxCrossEntropyLoss", [scores, labels], { reduction: "mean" }));
});

// 11 test images on 2 ranks: the last batch of one rank is not full.
const SMALL = {
  ranks: 2,
  device: "cpu",
  batchSize: 4,
  interval: 2,
  lr: 0.1,
  trainSize: 40,
  testSize: 11,
} as const;

async function write(folder: string, name: string, file: Uint8Array) {
  await Deno.writeFile(`${folder}/${name}`, file);
  return `${folder}/${name}` as `${string}.onnx`;
}

Deno.test("a loss inside the file trains and evaluates as the same loss appended to it", async () => {
  await using folder = await temporaryFolder();
  const run = async (name: string, file: Uint8Array, loss: string | null) => {
    const model = await write(folder.path, `${name}.onnx`, file);
    const steps: StepRecord[] = [];
    const { summary, dir } = await launch({
      ...SMALL,
      model,
      loss,
      maxSteps: 4,
      out: `${folder.path}/${name}`,
      onRecord: (record) => record.type === "step" && steps.push(record),
    });
    const config = JSON.parse(await Deno.readTextFile(`${dir}/config.json`));
    assert.deepEqual(Object.keys(config.files), ["network.onnx"]);
    return { summary, losses: steps.map(({ loss }) => loss) };
  };
  const appended = await run("appended", PLAIN, null);
  const inside = await run("inside", WITH_LOSS, "output:cost");
  assert.equal(appended.losses.length, 8);
  const near = (a: number, b: number) => assert(Math.abs(a - b) < 1e-5, `${a} ${b}`);
  appended.losses.forEach((loss, i) => near(inside.losses[i], loss));
  near(inside.summary.untrainedLoss, appended.summary.untrainedLoss);
  near(inside.summary.testLoss, appended.summary.testLoss);
});

Deno.test("a network comes by URL, and a run of it is resumed only as what it was", async () => {
  await using folder = await temporaryFolder();
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => new Response(PLAIN),
  );
  const url = `http://127.0.0.1:${server.addr.port}/nets/plain.onnx` as const;
  const out = `${folder.path}/run`, options = { ...SMALL, model: url, loss: "mse" };
  const whole = await launch({ ...options, maxSteps: 4, out: `${folder.path}/whole` });
  const { dir } = await launch({ ...options, maxSteps: 2, checkpointEvery: 2, out });
  assert.equal((await Deno.readFile(`${dir}/network.onnx`)).length, PLAIN.length);
  // The run has a copy: where it came from is not asked again.
  await server.shutdown();
  const altered = PLAIN.with(PLAIN.length >> 1, PLAIN[PLAIN.length >> 1] ^ 1);
  await Deno.writeFile(`${dir}/network.onnx`, altered);
  await assert.rejects(launch({ resume: dir, maxSteps: 4 }), (error: Error) => {
    assert(error instanceof CheckpointError);
    assert.match(error.message, /network\.onnx is altered; the run was started with the file/);
    return true;
  });
  await Deno.writeFile(`${dir}/network.onnx`, PLAIN);
  const { summary } = await launch({ resume: dir, maxSteps: 4 });
  assert.equal(summary.weightsHash, whole.summary.weightsHash);
  assert.notEqual(summary.testLoss, summary.untrainedLoss);
});

Deno.test("a file that a task cannot feed is refused before anything is started", async () => {
  await using folder = await temporaryFolder();
  const refuse = async (file: Uint8Array, pattern: RegExp, options = {}) => {
    const model = await write(folder.path, "file.onnx", file);
    const run = launch({ ...SMALL, model, out: `${folder.path}/run`, ...options });
    await assert.rejects(run, (error: Error) => {
      assert(error instanceof OptionError, `${error}`);
      assert.match(error.message, pattern);
      return true;
    });
  };
  await refuse(
    fileOf((g) => g.output("scores", scoresOf(g, 64))),
    /its input is float32 \[2, 3, 64, 64\], but images are float32 \[2, 3, 32, 32\]/,
  );
  await refuse(
    fileOf((g) => g.output("scores", scoresOf(g, 32, 7))),
    /tells 7 classes apart, but the task has 10/,
  );
  await refuse(
    fileOf((g) => g.output("y", g.exp(g.input("x", "float32", [1, 3, 32, 32])))),
    /nothing in it is trained/,
  );
  await refuse(new Uint8Array(8), /--model .*file\.onnx: not an ONNX model/);
  await refuse(PLAIN, /no output "cost", but scores/, { loss: "output:cost" });
  await refuse(PLAIN, /^--loss: must be one of cross-entropy, .* not "huber"/, { loss: "huber" });
  await refuse(PLAIN, /--loss is for a network from a file/, { model: "resnet8", loss: "mse" });
  assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["file.onnx"]);
});

Deno.test("a sweep runs a cell again when the file of its network has changed", async () => {
  await using folder = await temporaryFolder();
  const model = await write(folder.path, "net.onnx", PLAIN);
  const given = { ...SMALL, model, maxSteps: 1, interval: [1, 2], out: `${folder.path}/sweep` };
  const reused = async () => (await sweep(given)).cells.map(({ reused }) => reused);
  assert.deepEqual(await reused(), [false, false]);
  assert.deepEqual(await reused(), [true, true]);
  await write(folder.path, "net.onnx", fileOf((g) => g.output("scores", g.neg(scoresOf(g)))));
  assert.deepEqual(await reused(), [false, false]);
  await Deno.remove(model);
  assert.deepEqual(await reused(), [true, true]);
});

Deno.test("from code a model is trained as it is, and a file by its path", async () => {
  await using folder = await temporaryFolder();
  const path = await write(folder.path, "plain.onnx", PLAIN);
  const single = { ...SMALL, ranks: 1, algorithm: "single", maxSteps: 3 } as const;
  const run = async (options: Options, parts: TrainParts) => {
    await using comm = worldCommunicator(new SingleTransport("localhost"));
    return await train(comm, options, parts);
  };
  const named = await run(resolveOptions({ ...single, model: path }), {});
  const given = await run(resolveOptions(single), { model: foreignModel(PLAIN) });
  assert.deepEqual(named.specs.map(({ name }) => name), ["fc.weight"]);
  assert.deepEqual(named.weights, given.weights);
  const [{ initial }] = foreignModel(PLAIN).build({ batchSize: 1, mode: "train" }).variables;
  assert.notDeepEqual(named.weights, initial(1));
});

Deno.test("statistics are not measured anew where a task has nothing to do it with", async () => {
  const options = resolveOptions({ ...SMALL, ranks: 1, batchNorm: "recalibrate", maxSteps: 1 });
  const feeds: Feeds = {
    input: { type: "float32", dims: [4, 3, 32, 32], data: new Float32Array(4 * 3 * 32 * 32) },
    target: { type: "int32", dims: [4], data: new Int32Array(4) },
  };
  const task: Task = {
    trainSamples: 4,
    stepsPerEpoch: 1,
    epoch: (steps) => steps,
    batch: () => ({ feeds }),
    splits: [{ name: null, samples: 4, batchSize: 4, batches: () => [feeds] }],
  };
  await using comm = worldCommunicator(new SingleTransport("localhost"));
  await assert.rejects(train(comm, options, { task }), {
    name: "OptionError",
    message:
      /^--batch-norm recalibrate needs a task of images, .* take --batch-norm average or local/,
  });
});

Deno.test("the command line trains a file, and says so when there is none", async () => {
  await using folder = await temporaryFolder();
  const model = await write(folder.path, "plain.onnx", PLAIN);
  const small = ["--ranks", "2", "--device", "cpu", "--train-size", "40", "--test-size", "10"];
  const out = `${folder.path}/run`;
  const { code, stdout, stderr } = await celgc(
    ...["launch", "--model", model, "--loss", "binary-cross-entropy", "--max-steps", "2"],
    ...[...small, "--out", out, "--json"],
  );
  assert.equal(code, 0, stderr);
  assert.match(stderr, /2 ranks, plain on generated-images/);
  assert(JSON.parse(stdout).testLoss > 0);
  const none = await celgc("launch", "--model", `${folder.path}/none.onnx`, ...small);
  assert.equal(none.code, 2);
  assert.match(none.stderr, /^celgc: --model .*none\.onnx cannot be read: /);
});
