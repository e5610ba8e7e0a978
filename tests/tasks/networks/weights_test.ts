import assert from "node:assert/strict";
import { loadOnnxRuntimeNode } from "../../../deps.ts";
import { encodeModel, Graph } from "../../../models/mod.ts";
import { launch } from "../../../tasks/launch/launch.ts";
import { findModel, weightsOf } from "../../../tasks/networks/graphs.ts";
import { OptionError } from "../../../tasks/options/kinds.ts";
import { decodeSafetensors, encodeSafetensors } from "../../../tasks/networks/safetensors.ts";
import { matchWeights, stateDict } from "../../../tasks/networks/state_dict.ts";
import { readWeights } from "../../../tasks/run/weights_source.ts";
import { hasTorch, PYTHON, torchNote } from "../../_helpers/peers/python.ts";
import { celgc } from "../../_helpers/deno.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

/** Lets PyTorch save or load a state dict; returns its network's logits. */
async function torchLogits(action: "save" | "load", network: string, file: string) {
  const script = new URL("state_dict.py", import.meta.url).pathname;
  const command = new Deno.Command(PYTHON, { args: [script, action, network, file] });
  const { success, stdout, stderr } = await command.output();
  assert(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout)) as number[];
}

/** What the script feeds its networks. */
const PIXELS = Float32Array.from({ length: 2 * 3072 }, (_, i) => Math.sin(i));
const WORDS = Int32Array.from({ length: 10 }, (_, i) => (7 * i + 3) % 30);
const LSTM = ["--embedding", "6", "--hidden", "8", "--layers", "2", "--bptt", "5"];
const GPT = ["--layers", "2", "--heads", "3", "--width", "12", "--context", "2"];
const OWN: Record<string, string[]> = {
  lstm: ["--model", "awd-lstm", ...LSTM, "--batch-size", "2"],
  gpt: ["--model", "gpt", ...GPT, "--batch-size", "5"],
};

/** The logits of an exported graph in plain onnxruntime. */
async function logitsOf(file: string): Promise<number[]> {
  const { InferenceSession, Tensor } = await loadOnnxRuntimeNode();
  const session = await InferenceSession.create(await Deno.readFile(file));
  const state = (size: number) => new Tensor("float32", new Float32Array(2 * size), [2, size]);
  const all = {
    images: { input: new Tensor("float32", PIXELS, [2, 3, 32, 32]) },
    words: {
      input: new Tensor("int32", WORDS, [5, 2]),
      restart: new Tensor("float32", Float32Array.of(1), []),
      last: new Tensor("int32", Int32Array.of(4), []),
      "rnns.0.hidden": state(8),
      "rnns.0.cell": state(8),
      "rnns.1.hidden": state(6),
      "rnns.1.cell": state(6),
    },
  };
  const { words, images } = all, { inputNames } = session;
  const feeds = inputNames.includes("restart")
    ? words
    : file.includes("gpt")
    ? { input: words.input } // five windows of two words
    : images;
  const { logits } = await session.run(feeds);
  await session.release();
  return Array.from(logits.data as Float32Array);
}

function assertNear(actual: readonly number[], expected: readonly number[]): void {
  assert.equal(actual.length, expected.length);
  const scale = Math.max(1, ...expected.map(Math.abs));
  actual.forEach((value, i) => {
    assert(Math.abs(value - expected[i]) < 1e-5 * scale, `${i}: ${value} ${expected[i]}`);
  });
}

for (const network of ["resnet20", "lstm", "gpt"]) {
  Deno.test({
    name: `PyTorch's state dict of ${network} gives PyTorch's logits, and goes back${torchNote}`,
    ignore: !hasTorch,
    async fn() {
      await using folder = await temporaryFolder();
      const at = (name: string) => `${folder.path}/${name}`;
      const expected = await torchLogits("save", network, at("theirs.safetensors"));
      const own = OWN[network] ?? ["--model", network, "--batch-size", "2"];
      const weights = ["--weights", at("theirs.safetensors")];
      for (const out of [`${network}.onnx`, `${network}.safetensors`]) {
        const args = [...own, ...weights, "--out", at(out)];
        const { code, stderr } = await celgc("export", ...args);
        assert.equal(code, 0, stderr);
      }
      assertNear(await logitsOf(at(`${network}.onnx`)), expected);
      assertNear(await torchLogits("load", network, at(`${network}.safetensors`)), expected);
    },
  });
}

const TINY = {
  model: "resnet8",
  ranks: 2,
  device: "cpu",
  batchSize: 4,
  trainSize: 40,
  testSize: 10,
  interval: 2,
} as const;

Deno.test({
  name:
    `a run's weights are a state dict for PyTorch, and the beginning of another run${torchNote}`,
  ignore: !hasTorch,
  async fn() {
    await using folder = await temporaryFolder();
    const { dir } = await launch({ ...TINY, maxSteps: 3, out: `${folder.path}/run` });
    const file = `${dir}/model.safetensors`;
    const [expected, actual] = await Promise.all([
      logitsOf(`${dir}/model.onnx`),
      torchLogits("load", "resnet8", file),
    ]);
    assertNear(actual, expected);
    for (const weights of [file, dir]) {
      const out = `${folder.path}/next-${weights.length}`;
      const next = await launch({ ...TINY, maxSteps: 0, weights, seed: 9, out });
      assert.deepEqual(next.summary.testLoss, next.summary.untrainedLoss);
      const { tensors } = decodeSafetensors(await Deno.readFile(`${next.dir}/model.safetensors`));
      assert.deepEqual(tensors, decodeSafetensors(await Deno.readFile(file)).tensors);
    }
  },
});

Deno.test("a run begins with the average of another run's last checkpoint", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/run`;
  // No round after step 2: the ranks' weights differ there.
  const steps = { maxSteps: 2, interval: 9, checkpointEvery: 1, momentum: 0.9 };
  const { dir } = await launch({ ...TINY, ...steps, out });
  await Deno.remove(`${dir}/model.safetensors`);
  const { tensors, exact } = await readWeights(dir, "--weights");
  const ranks = await Promise.all([0, 1].map(async (rank) => {
    const path = `${dir}/checkpoint/step-2/rank-${rank}.safetensors`;
    return decodeSafetensors(await Deno.readFile(path)).tensors;
  }));
  assert.equal(exact, false);
  const [mean, a, b] = [tensors, ...ranks].map((all) =>
    all.find(({ name }) => name === "conv1.weight")!.data
  );
  assert.notDeepEqual(a, b);
  assert.deepEqual(mean, a.map((value, i) => (value + b[i]) / 2));
  assert.ok(ranks[0].some(({ name }) => name === "conv1.weight.momentum"));
  assert.ok(tensors.every(({ name }) => !name.endsWith(".momentum")));

  const refuse = (pattern: RegExp) =>
    assert.rejects(readWeights(dir, "--weights"), (error: Error) => {
      assert.ok(error instanceof OptionError, `${error}`);
      assert.ok(error.message.startsWith(`--weights ${dir}: `), error.message);
      assert.match(error.message, pattern);
      return true;
    });
  const file = `${dir}/checkpoint/step-2/rank-1.safetensors`, bytes = await Deno.readFile(file);
  await Deno.writeFile(file, bytes.with(bytes.length - 100, bytes[bytes.length - 100] ^ 1));
  await refuse(/rank-1\.safetensors: its SHA-256 is .* torn or altered/);
  await Deno.remove(file);
  await refuse(/rank-1\.safetensors is missing/);
  await Deno.remove(`${dir}/checkpoint/step-2/checkpoint.json`);
  await refuse(/checkpoint\.json is missing/);
});

/** Every weight of a network, as a state dict. */
function stateOf(model: string) {
  const variables = weightsOf(findModel(model).build({ batchSize: 1, mode: "eval" }));
  return { variables, tensors: stateDict(variables, variables.map(({ initial }) => initial(1))) };
}

Deno.test("counters of batch norm and wrappers' prefixes are no obstacle", () => {
  const { variables, tensors } = stateOf("resnet8");
  const counter = { name: "bn1.num_batches_tracked", dims: [], data: Float32Array.of(7) };
  const wrapped = [counter, ...tensors].map((each) => ({ ...each, name: `module.${each.name}` }));
  const found = matchWeights(variables, { tensors: wrapped, exact: true }, { what: "x" });
  assert.deepEqual([...found.keys()], variables.map(({ name }) => name));
});

Deno.test("what does not fit is listed, with shapes", () => {
  const { variables, tensors } = stateOf("resnet8");
  const changed = tensors.filter(({ name }) => name !== "bn1.bias").map((each) =>
    each.name === "linear.weight" ? { ...each, dims: [64, 10] } : each
  );
  const extra = { name: "fc.bias", dims: [3], data: new Float32Array(3) };
  const match = (exact: boolean) => () =>
    matchWeights(variables, { tensors: [...changed, extra], exact }, { what: "a.safetensors" });
  assert.throws(match(true), {
    name: "OptionError",
    message: "a.safetensors does not fit the model: missing bn1.bias [16]; of another shape " +
      "linear.weight [64,10] instead of [10,64]; unexpected fc.bias [3]",
  });
  assert.throws(match(false), (error: OptionError) => !error.message.includes("unexpected"));
  assert.throws(
    () => matchWeights(variables, { tensors: [extra], exact: true }, { what: "x" }),
    /missing conv1.weight \[16,3,3,3\], .* and \d+ more; unexpected fc.bias \[3\]$/,
  );
});

Deno.test("tied tensors may come under either name, but not with different values", () => {
  const variables = [{ name: "encoder.weight", dims: [2] }];
  const ties = { "decoder.weight": "encoder.weight" };
  const tensor = (name: string, ...data: number[]) => ({
    name,
    dims: [2],
    data: Float32Array.from(data),
  });
  const match = (...tensors: ReturnType<typeof tensor>[]) =>
    matchWeights(variables, { tensors, exact: true }, { what: "x", ties }).get("encoder.weight");
  const both = [tensor("decoder.weight", 1, 2), tensor("encoder.weight", 1, 2)];
  assert.deepEqual(match(both[0]), Float32Array.of(1, 2));
  assert.deepEqual(match(...both), Float32Array.of(1, 2));
  assert.throws(() => match(both[0], tensor("encoder.weight", 1, 3)), /here the two are one/);
  assert.deepEqual(
    stateDict(variables, [Float32Array.of(1, 2)], ties).map(({ name }) => name),
    ["encoder.weight", "decoder.weight"],
  );
});

Deno.test("numbers of other types become float32", () => {
  const header = (dtype: string, bytes: number) =>
    JSON.stringify({ a: { dtype, shape: [2], data_offsets: [0, bytes] } });
  const file = (dtype: string, data: ArrayBufferView<ArrayBuffer>) => {
    const text = new TextEncoder().encode(header(dtype, data.byteLength));
    const bytes = new Uint8Array(8 + text.length + data.byteLength);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
    bytes.set(text, 8);
    bytes.set(new Uint8Array(data.buffer), 8 + text.length);
    return bytes;
  };
  const read = (bytes: Uint8Array) => decodeSafetensors(bytes, { convert: true }).tensors[0].data;
  const expected = Float32Array.of(1.5, -2);
  assert.deepEqual(read(file("F64", Float64Array.of(1.5, -2))), expected);
  assert.deepEqual(read(file("F16", Float16Array.of(1.5, -2))), expected);
  assert.deepEqual(read(file("BF16", Uint16Array.of(0x3fc0, 0xc000))), expected);
  assert.deepEqual(read(file("I64", BigInt64Array.of(3n, -2n))), Float32Array.of(3, -2));
  assert.throws(() => read(file("F8_E4M3", Uint8Array.of(1, 2))), /of type F8_E4M3/);
});

Deno.test("weights that cannot be used are refused before anything is started", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/a.safetensors`, out = `${folder.path}/run`;
  await Deno.writeFile(file, encodeSafetensors({ tensors: [], metadata: {} }));
  const refuse = (weights: string, pattern: RegExp) =>
    assert.rejects(launch({ ...TINY, weights, out }), (error: Error) => {
      assert(error instanceof OptionError);
      assert.match(error.message, pattern);
      return true;
    });
  await refuse(file, /a\.safetensors does not fit the model: missing conv1.weight/);
  await refuse(`${folder.path}/none`, /^--weights .*none cannot be read: /);
  await refuse(folder.path, /no folder of a run with weights/);
  await refuse(new URL(import.meta.url).href, /not a whole safetensors file/);
  assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["a.safetensors"]);
});

Deno.test("weights and networks that do not fit a text are refused before a run has a folder", async () => {
  await using folder = await temporaryFolder();
  const at = (name: string) => `${folder.path}/${name}`;
  const g = new Graph();
  const input = g.input("tokens", "int32", [1, 6]),
    table = g.input("embed.weight", "float32", [9, 4]);
  const states = g.op("Gather", [table, input]);
  g.output("scores", g.matmul(states, g.input("out.weight", "float32", [4, 9])));
  const initializers = { "embed.weight": new Float32Array(36), "out.weight": new Float32Array(36) };
  await Deno.writeFile(at("net.onnx"), encodeModel(g, { initializers }));
  await Deno.writeFile(at("a.safetensors"), encodeSafetensors({ tensors: [], metadata: {} }));
  await Deno.mkdir(at("data"));
  for (const split of ["train", "valid", "test"]) {
    await Deno.writeTextFile(at(`data/${split}.txt`), "a cat saw a dog\n".repeat(40));
  }
  const small = "--ranks 2 --device cpu --max-steps 1 --batch-size 2".split(" ");
  const refuse = async (task: string, args: string, pattern: RegExp) => {
    const given = ["--task", ...task.split(" "), ...args.split(" "), "--out", at("run")];
    const { code, stderr } = await celgc("launch", ...small, ...given);
    assert.equal(code, 2, stderr);
    assert.match(stderr, pattern);
    assert.equal(await Deno.stat(at("run")).catch(() => null), null);
  };
  const generated = "generated-text --train-size 900 --test-size 90",
    ptb = `ptb --data ${at("data")}`;
  const unfit = /^celgc: --weights .* does not fit the model: missing encoder\.weight/;
  await refuse(generated, `--weights ${at("a.safetensors")}`, unfit);
  await refuse(ptb, `--weights ${at("a.safetensors")}`, unfit);
  const model = `--model ${at("net.onnx")}`;
  // The file's time axis is fixed: what it is told to read is what it is compared with.
  await refuse(
    generated,
    `${model} --bptt 5`,
    /its input is int32 \[2, 6\], but windows of text are int32 \[2, 5\]/,
  );
  await refuse(generated, `${model} --bptt 6`, /tells 9 classes apart, but the task has 176/);
  // Five words and the end of the line: the same command with what it asks for runs in that folder.
  const corrected = [...small, "--task", ...ptb.split(" "), ...`${model} --bptt 6`.split(" ")];
  const { code, stderr } = await celgc("launch", ...corrected, "--out", at("run"));
  assert.equal(code, 0, stderr);
});
