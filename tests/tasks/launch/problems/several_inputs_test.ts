import assert from "node:assert/strict";
import { Random } from "../../../../runtime/base/random.ts";
import { launch } from "../../../../tasks/launch/launch.ts";
import { openProblem } from "../../../../tasks/problems/open_problem.ts";
import { resolveOptions } from "../../../../tasks/options/resolve.ts";
import { readInputs } from "../../../../tasks/run/inputs.ts";
import { decodeSafetensors } from "../../../../tasks/networks/safetensors.ts";
import type { Options } from "../../../../tasks/options/table.ts";
import { celgc } from "../../../_helpers/deno.ts";
import { hasTorch, runPython, torchNote } from "../../../_helpers/peers/python.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";
import { encodeNpz, floats, wholes } from "../../npy.ts";

const WORDS = 30, SCRIPT = new URL("../../networks/several_inputs.py", import.meta.url);

/** What PyTorch exports, made once. */
let exporting: Promise<string> | undefined;

const exported = () =>
  exporting ??= (async () => {
    const folder = await Deno.makeTempDir();
    globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
    await runPython(SCRIPT, [], ["export", folder, `${WORDS}`]);
    return folder;
  })();

const modelOf = async (name: string) => `${await exported()}/${name}.onnx` as const;

/** Pairs of images, the second of which is the first with less noise in half of them. */
async function pairs(): Promise<Uint8Array> {
  const count = 60, random = new Random(2, "pairs"), size = 3 * 8 * 8;
  const draw = () => Array.from({ length: size }, () => random.normal());
  const left: number[] = [], right: number[] = [], y: number[] = [];
  for (let i = 0; i < count; i++) {
    const image = draw();
    left.push(...image);
    right.push(...i % 2 === 0 ? image.map((value) => value + 2) : image);
    y.push(i % 2);
  }
  return await encodeNpz({
    left: floats([count, 3, 8, 8], left),
    right: floats([count, 3, 8, 8], right),
    y: wholes([count], y),
  });
}

/** Sequences of up to 7 tokens; the class is the first token's. */
async function sequences(): Promise<Uint8Array> {
  const count = 66, length = 7, random = new Random(3, "sequences");
  const ids: number[] = [], mask: number[] = [], y: number[] = [];
  for (let i = 0; i < count; i++) {
    const filled = 2 + random.integer(length - 1), label = i % 3;
    for (let at = 0; at < length; at++) {
      ids.push(at < filled ? 10 * label + random.integer(10) : random.integer(WORDS));
      mask.push(at < filled ? 1 : 0);
    }
    y.push(label);
  }
  return await encodeNpz({
    ids: wholes([count, length], ids),
    attention_mask: wholes([count, length], mask),
    y: wholes([count], y),
  });
}

const nested = (data: ArrayLike<number | bigint>, dims: readonly number[]): unknown => {
  const all = Array.from(data, Number);
  return dims.reduceRight<unknown[]>(
    (items, length) =>
      Array.from(
        { length: items.length / length },
        (_, i) => items.slice(i * length, (i + 1) * length),
      ),
    all,
  )[0];
};

for (
  const [name, make, given] of [
    ["pair", pairs, {}],
    ["pooled", sequences, { inputs: "input_ids=ids,attention_mask=attention_mask" }],
  ] as const
) {
  Deno.test({
    name:
      `${name}, a network of two inputs, is trained on two ranks as PyTorch trains it${torchNote}`,
    ignore: !hasTorch,
    async fn() {
      await using folder = await temporaryFolder();
      const data = `${folder.path}/data.npz`, model = await modelOf(name), steps = 6, lr = 0.5;
      await Deno.writeFile(data, await make());
      const options = {
        ...{ task: "arrays", data, model, ranks: 2, device: "cpu", batchSize: 4, lr, clip: 1e6 },
        ...{ algorithm: "naive-parallel", maxSteps: steps, weightDecay: 0, ...given },
      } as Partial<Options>;
      const { summary, dir } = await launch({ ...options, out: `${folder.path}/run` });
      assert(summary.identicalWeights && summary.testLoss < summary.untrainedLoss);
      const resolved = resolveOptions(options), files = await readInputs(resolved);
      const tasks = await Promise.all(
        [0, 1].map((rank) => openProblem(resolved, rank, "cpu", { files })),
      );
      const batches = Array.from({ length: steps }, (_, t) => {
        const both = tasks.map(({ task }) => task.batch(t + 1).feeds);
        return Object.fromEntries(
          Object.entries(both[0]).map(([name, { dims }]) => [
            name,
            both.flatMap((feeds) => nested(feeds[name].data, dims) as unknown[]),
          ]),
        );
      });
      const job = new TextEncoder().encode(JSON.stringify({ lr, batches }));
      const output = await runPython(SCRIPT, [job], ["train", name, `${WORDS}`]);
      const peer = JSON.parse(new TextDecoder().decode(output));
      const { tensors } = decodeSafetensors(await Deno.readFile(`${dir}/model.safetensors`));
      assert.deepEqual(tensors.map(({ name }) => name).sort(), Object.keys(peer).sort());
      for (const { name, data } of tensors) {
        const error = Math.max(...Array.from(data, (value, i) => Math.abs(value - peer[name][i])));
        assert(error < 1e-5, `${name} differs from PyTorch's by ${error}`);
      }
      // The trained file takes what the exported one took.
      const file = `${folder.path}/trained.onnx`;
      const { code, stdout, stderr } = await celgc(
        "export",
        "--weights",
        dir,
        "--out",
        file,
        "--json",
      );
      assert.equal(code, 0, stderr);
      const names = name === "pair" ? ["left", "right"] : ["input_ids", "attention_mask"];
      assert.deepEqual(JSON.parse(stdout).inputs, names);
    },
  });
}

Deno.test({
  name:
    `a text is fed to a network with masks, types and positions, which are supplied${torchNote}`,
  ignore: !hasTorch,
  async fn() {
    await using folder = await temporaryFolder();
    const data = `${folder.path}/text`;
    await Deno.writeTextFile(data, "abcdefgh ijkl\n".repeat(200));
    const { summary } = await launch({
      ...{ task: "text", data, tokenizer: "char", model: await modelOf("tokens"), ranks: 2 },
      ...{ device: "cpu", bptt: 8, batchSize: 4, lr: 1, clip: 1, maxSteps: 30, partition: "iid" },
      out: `${folder.path}/run`,
    });
    assert(summary.identicalWeights);
    assert(
      summary.testPerplexity! < 0.5 * summary.untrainedPerplexity!,
      `${summary.testPerplexity}`,
    );
  },
});

Deno.test({
  name: `what a network of several inputs is not fed is said before anything starts${torchNote}`,
  ignore: !hasTorch,
  async fn() {
    await using folder = await temporaryFolder();
    const data = `${folder.path}/data.npz`, pair = await modelOf("pair");
    const refuse = async (options: Partial<Options>, pattern: RegExp) => {
      const run = launch({
        ...{ task: "arrays", data, model: pair, ranks: 2, device: "cpu", maxSteps: 1 },
        ...options,
        out: `${folder.path}/run`,
      });
      await assert.rejects(run, (error: Error) => {
        assert.equal(error.name, "OptionError");
        assert.match(error.message, pattern);
        return true;
      });
    };
    const array = (side: number) => floats([4, 3, side, side], new Array(12 * side * side).fill(1));
    const y = wholes([4], [0, 1, 0, 1]);
    await Deno.writeFile(data, await encodeNpz({ left: array(8), right: array(9), y }));
    await refuse(
      {},
      /its right is float32 \[2, 3, 8, 8\], but the arrays are float32 \[2, 3, 9, 9\]/,
    );
    await Deno.writeFile(data, await encodeNpz({ left: array(8), x: array(8), y }));
    await refuse({}, /the model has 2 inputs \(left, right\), and what is fed is one/);
    await Deno.writeFile(data, await encodeNpz({ x: array(8), y }));
    await refuse({}, /the network takes "left", "right": give arrays of these names/);
    await refuse(
      { inputs: "left=x,right=x", target: "z" },
      /--target names "z", which is not there/,
    );
    await refuse(
      { task: "generated-images", data: null, trainSize: 20, testSize: 10 },
      /the model has 2 inputs \(left, right\), and what is fed is one/,
    );
    await Deno.writeFile(
      data,
      await encodeNpz({ left: array(8), right: array(8), y: wholes([4], [0, 1, 2, 1]) }),
    );
    await refuse({}, /it tells 2 classes apart, but the task has 3/);
    assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["data.npz"]);
  },
});
