import assert from "node:assert/strict";
import { loadOnnxRuntimeNode } from "../../../deps.ts";
import { encodeModel } from "../../../models/mod.ts";
import { sizeOf } from "../../../models/tensor.ts";
import type { DeviceKind, HostTensor } from "../../../runtime/devices/device.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import { Random } from "../../../runtime/base/random.ts";
import { measureGraph, stepGraph } from "../../../tasks/networks/graphs.ts";
import { launch, type LaunchOptions, type Run } from "../../../tasks/launch/launch.ts";
import type { StepRecord } from "../../../tasks/run/metrics.ts";
import { onnxFileModel } from "../../../tasks/networks/onnx_model.ts";
import { type DataShape, imagesOf, windowsOf } from "../../../tasks/networks/data_shape.ts";
import { defaultOptions } from "../../../tasks/options/table.ts";
import { algorithmOf } from "../../../tasks/options/resolve.ts";
import type { Feeds } from "../../../tasks/task.ts";
import { decodeSafetensors } from "../../../tasks/networks/safetensors.ts";
import { checkOnnx, hasOnnx } from "../../_helpers/peers/onnx_checker.ts";
import { hasWebGpu, webGpuNote } from "../../_helpers/web_gpu.ts";
import { placeOnWebGpu } from "../../_helpers/placement.ts";
import { hasTorch, PYTHON, torchNote } from "../../_helpers/peers/python.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

/** Words of the generated text. */
const WORDS = 176;

/** The files that PyTorch exports, made once. */
let exporting: Promise<string> | undefined;

function exported(): Promise<string> {
  return exporting ??= (async () => {
    const folder = await Deno.makeTempDir();
    globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
    const script = new URL("file_networks.py", import.meta.url).pathname;
    const args = ["-W", "ignore", script, folder, String(WORDS)];
    const { success, stderr } = await new Deno.Command(PYTHON, { args, stdout: "null" }).output();
    assert(success, new TextDecoder().decode(stderr));
    return folder;
  })();
}

interface Case {
  readonly name: "resnet18" | "lstm" | "gpt";
  readonly data: DataShape;
  /** A smaller file for slow devices. */
  readonly small?: string;
  readonly options: Partial<LaunchOptions>;
  /** Steps after which the loss has fallen for certain. */
  readonly steps: number;
}

const text = {
  task: "generated-text",
  bptt: 8,
  batchSize: 16,
  lr: 1,
  clip: 1,
  trainSize: 4000,
  testSize: 200,
  evalTokens: 64,
} as const;

const cases: readonly Case[] = [
  {
    name: "resnet18",
    data: imagesOf({ side: 32, classes: 10 }),
    small: "resnet18_narrow",
    options: { lr: 0.05, clip: 1, batchSize: 32, trainSize: 100, testSize: 20, epochs: 100 },
    steps: 24,
  },
  { name: "lstm", data: windowsOf(WORDS), options: text, steps: 16 },
  { name: "gpt", data: windowsOf(WORDS), options: text, steps: 16 },
];

/** Trains a file for some steps on two ranks; the run, and the losses of rank 0's steps. */
async function trained(each: Case, out: string): Promise<Run & { losses: number[] }> {
  const steps: StepRecord[] = [];
  const run = await launch({
    ranks: 2,
    device: "cpu",
    interval: 4,
    ...each.options,
    maxSteps: each.steps,
    model: `${await exported()}/${each.name}.onnx`,
    out,
    onRecord: (record) => record.type === "step" && record.rank === 0 && steps.push(record),
  });
  const losses = steps.toSorted((a, b) => a.step - b.step).map(({ loss }) => loss);
  return { ...run, losses };
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b) / values.length;

for (const each of cases) {
  Deno.test({
    name: `${each.name}, exported by PyTorch, trains on two ranks${torchNote}`,
    ignore: !hasTorch,
    async fn() {
      await using folder = await temporaryFolder();
      const out = `${folder.path}/run`;
      const { dir, losses, summary } = await trained(each, out);
      assert.equal(losses.length, each.steps);
      const [first, last] = [losses.slice(0, 4), losses.slice(-4)].map(mean);
      assert(last < 0.95 * first, `${losses}`);
      assert(summary.identicalWeights);

      // What comes out is the file that went in, with other weights: the same inputs, and all axes.
      const file = await Deno.readFile(`${dir}/model.onnx`);
      if (hasOnnx) assert.deepEqual(await checkOnnx({ model: file }), []);
      const { InferenceSession, Tensor } = await loadOnnxRuntimeNode();
      const session = await InferenceSession.create(file, { logSeverityLevel: 3 });
      const given = each.name === "resnet18"
        ? new Tensor("float32", new Float32Array(5 * 3072), [5, 3, 32, 32])
        : new Tensor("int64", new BigInt64Array(15), [3, 5]);
      const { scores } = await session.run({ given });
      await session.release();
      assert.deepEqual(scores.dims, each.name === "resnet18" ? [5, 10] : [3, 5, WORDS]);
      assert((scores.data as Float32Array).every(Number.isFinite));
      const { tensors } = decodeSafetensors(await Deno.readFile(`${dir}/model.safetensors`));
      const names = tensors.map(({ name }) => name);
      const known = {
        resnet18: "layer4.1.bn2.running_var",
        lstm: "rnn.weight_hh_l1",
        gpt: "ln_f.bias",
      };
      assert(names.includes(known[each.name]), `${names}`);
    },
  });
}

/** What each device is asked to do. */
const BATCH = 8, LENGTH = 5, STEPS = 10;

async function networkOf({ name, small = name, data }: Case) {
  const path = `${await exported()}/${small}.onnx`;
  return onnxFileModel(await Deno.readFile(path), path, { loss: null, dims: null }, data, LENGTH);
}

/** A batch of a step, drawn at random. */
function batchOf({ data }: Case, step: number): Feeds {
  const random = new Random(4, "batch", step);
  const { dims: inputs, type } = data.inputs(BATCH, LENGTH).input,
    targets = data.target(BATCH, LENGTH);
  const draw = (type: "float32" | "int32", dims: readonly number[]): HostTensor => {
    const each = { length: sizeOf(dims) };
    return type === "float32"
      ? { type, dims, data: Float32Array.from(each, () => random.normal()) }
      : { type, dims, data: Int32Array.from(each, () => random.integer(data.classes)) };
  };
  return { input: draw(type, inputs), target: draw("int32", targets) };
}

/** Losses of a few steps on a device. */
async function lossesOn(kind: DeviceKind, each: Case): Promise<number[]> {
  const network = await networkOf(each), shape = { batchSize: BATCH, length: LENGTH };
  const { update } = algorithmOf(defaultOptions());
  const { graph, weights, updates } = stepGraph(network, shape, update);
  await using device = await openDevice(kind);
  await using state = await device.allocate(weights.map(({ name, dims }) => ({ name, dims })));
  await state.write(Float32Array.from(weights.flatMap(({ initial }) => [...initial(1)])));
  const { channelBlock } = device;
  const bytes = encodeModel(graph, { target: kind, channelBlock });
  await using session = await device.compile(bytes, { state: [state], updates });
  // A GPU records only what runs on it altogether.
  assert.equal(session.captured, kind === "webgpu");
  const scalar = (value: number): HostTensor => ({
    type: "float32",
    dims: [],
    data: Float32Array.of(value),
  });
  const losses: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    const masks = network.masks!(BATCH, { seed: 1, rank: 0, step }, LENGTH);
    // Short steps: where a batch is normalised over 8 numbers, long ones blow up the last bits.
    const size = { learning_rate: scalar(0.05), clip_threshold: scalar(0.05) };
    const { loss } = await session.run({ ...batchOf(each, step), ...masks, ...size });
    losses.push(Number(loss.data[0]));
  }
  return losses;
}

for (const each of cases) {
  Deno.test({
    name: `${each.name} has the same losses on every device, and WebGPU's never leave the GPU` +
      (torchNote || webGpuNote),
    ignore: !hasTorch || !hasWebGpu,
    async fn() {
      const expected = await lossesOn("cpu", each);
      assert.equal(new Set(expected).size, STEPS);
      for (const device of ["wasm", "webgpu"] as const) {
        const losses = await lossesOn(device, each);
        expected.forEach((loss, i) => {
          assert(Math.abs(losses[i] - loss) < 1e-3 * loss, `${device}: ${losses}\n${expected}`);
        });
      }
      const network = await networkOf(each);
      await placeOnWebGpu(measureGraph(network, { batchSize: BATCH, length: LENGTH }).graph);
    },
  });
}
