import assert from "node:assert/strict";
import { create, fromBinary, onnx, toBinary } from "../../../deps.ts";
import { differentiate } from "../../../models/autodiff.ts";
import { encodeModel } from "../../../models/encode.ts";
import { checkModel, formatModelReport } from "../../../models/foreign/check.ts";
import { foreignModel } from "../../../models/foreign/model.ts";
import type { ForeignModelOptions } from "../../../models/foreign/options.ts";
import { Graph } from "../../../models/graph.ts";
import { parametersOf } from "../../../models/model.ts";
import { operatorCoverage } from "../../../models/ops/mod.ts";
import { sizeOf } from "../../../models/tensor.ts";
import { Random } from "../../../runtime/base/random.ts";
import { type Feeds, load, relativeError } from "../_evaluate.ts";
import { hasTorch, runPython, torchNote } from "../../_helpers/peers/python.ts";

interface Reference {
  file: Uint8Array;
  loss: number;
  input: number[];
  target: number[];
  gradients: Map<string, Float64Array>;
}

/** Opset 9 is the oldest understood; between 9 and 17 most operators changed how they take their inputs. */
const networks: [string, number, number, ForeignModelOptions][] = [
  ["resnet18", 17, 4, {}],
  ["resnet18", 9, 4, {}],
  ["vgg", 17, 4, {}],
  ["vgg", 11, 4, {}],
  ["operators", 17, 4, {}],
  ["operators", 13, 4, {}],
  ["images", 17, 4, {}],
  ["images", 11, 4, {}],
  ["lstm", 17, 3, { dims: { length: 9 } }],
  ["lstm", 9, 3, { dims: { length: 9 } }],
  ["gpt", 17, 3, { dims: { length: 9 } }],
  ["gpt", 12, 3, { dims: { length: 9 } }],
];

const REFERENCES = [
  ...networks.map(([network, opset]) => `${network},train,${opset}`),
  "lstm,eval,17",
  "resnet18,eval,17",
];

let references: Map<string, Reference> | undefined;

/** A network as PyTorch exports it, and the gradients PyTorch computes; all come from one process, which loads it once. */
async function exported(network: string, mode: string, opset = 17): Promise<Reference> {
  if (!references) {
    const script = new URL("./foreign_reference.py", import.meta.url);
    const output = await runPython(script, [], REFERENCES);
    let at = 0;
    references = new Map(REFERENCES.map((name) => {
      const [reference, bytes] = readReference(output.subarray(at));
      at += bytes;
      return [name, reference];
    }));
    assert.equal(at, output.length);
  }
  return references.get(`${network},${mode},${opset}`)!;
}

/** The first reference among some, and how many bytes it takes. */
function readReference(output: Uint8Array): [Reference, number] {
  const start = output.indexOf(10) + 1;
  const header = JSON.parse(new TextDecoder().decode(output.subarray(0, start)));
  const file = output.slice(start, start + header.file);
  const sizes: number[] = header.shapes.map((shape: number[]) => shape.reduce((a, b) => a * b, 1));
  const begin = start + header.file, end = begin + 8 * sizes.reduce((a, b) => a + b, 0);
  const numbers = new Float64Array(output.slice(begin, end).buffer);
  let at = 0;
  const gradients = new Map<string, Float64Array>(
    header.names.map((name: string, i: number) => [name, numbers.subarray(at, at += sizes[i])]),
  );
  return [{ ...header, file, gradients }, end];
}

/** Loss and gradients of a model here, at the file's own weights. */
async function differentiated(
  { file, input, target }: Reference,
  batchSize: number,
  options: ForeignModelOptions,
): Promise<{ loss: number; gradients: Map<string, Float64Array> }> {
  const model = foreignModel(file, options).build({ batchSize, mode: "train" });
  const parameters = parametersOf(model), values = parameters.map(({ value }) => value);
  differentiate(model.graph, model.loss, values).forEach((gradient, i) => {
    model.graph.output(`${parameters[i].name}.grad`, gradient);
  });
  const feeds: Feeds = { input, target };
  for (const { name, initial } of model.variables) feeds[name] = initial(0);
  await using runner = await load(model.graph, { target: "cpu" });
  const results = await runner.run(feeds);
  return {
    loss: results.loss.data[0],
    gradients: new Map(parameters.map(({ name }) => [name, results[`${name}.grad`].data])),
  };
}

for (const [network, opset, batchSize, options] of networks) {
  Deno.test({
    name: `${network}, exported by PyTorch in opset ${opset}, has PyTorch's gradients${torchNote}`,
    ignore: !hasTorch,
    async fn() {
      const reference = await exported(network, "train", opset);
      const { loss, gradients } = await differentiated(reference, batchSize, options);
      assert(Math.abs(loss - reference.loss) < 1e-5 * reference.loss, `${loss} ${reference.loss}`);
      assert.deepEqual([...gradients.keys()].sort(), [...reference.gradients.keys()].sort());
      for (const [name, gradient] of gradients) {
        const error = relativeError(gradient, reference.gradients.get(name)!);
        assert(error < 1e-4, `gradient of ${name}: ${error}`);
      }
      const { graph } = foreignModel(reference.file, options).build({ batchSize, mode: "eval" });
      assert([...graph.outputs.keys()].every((name) => !name.endsWith(".next")));
    },
  });
}

Deno.test({
  name: `a network exported for evaluation trains all the same${torchNote}`,
  ignore: !hasTorch,
  async fn() {
    const reference = await exported("lstm", "eval"), options = { dims: { length: 9 } };
    const { loss, gradients } = await differentiated(reference, 3, options);
    assert(Math.abs(loss - reference.loss) < 1e-5 * reference.loss);
    // The exporter packs recurrent weights into tensors of its own; what is the same in number is trained.
    const count = (all: Map<string, Float64Array>) =>
      [...all.values()].reduce((sum, { length }) => sum + length, 0);
    assert.equal(count(gradients), count(reference.gradients));
    for (const name of ["encoder.weight", "decoder.bias"]) {
      const error = relativeError(gradients.get(name)!, reference.gradients.get(name)!);
      assert(error < 1e-4, `gradient of ${name}: ${error}`);
    }
  },
});

Deno.test({
  name: `the report tells of folded batch normalisation${torchNote}`,
  ignore: !hasTorch,
  async fn() {
    const files = await Promise.all(["train", "eval"].map((mode) => exported("resnet18", mode)));
    const [kept, folded] = files.map(({ file }) => checkModel(file));
    const { variables } = foreignModel(files[0].file).build({ batchSize: 2, mode: "train" });
    const statistics = variables.filter(({ role }) => role === "statistic");
    assert.equal(statistics.length, 40);
    assert(statistics.every(({ next }) => next), "running statistics run");
    assert.deepEqual([kept.problems, kept.notes], [[], []]);
    assert.deepEqual(kept.operators.find(({ op }) => op === "BatchNormalization"), {
      op: "BatchNormalization",
      count: 20,
      known: true,
      gradient: true,
      webgpu: true,
    });
    assert(!folded.operators.some(({ op }) => op === "BatchNormalization"));
    assert.match(folded.notes[0], /exporter folded it away/);
    assert.match(formatModelReport(kept), /^opset 17, written by pytorch 1\.13/);
  },
});

/** A file of one's own making, for what PyTorch does not export. */
function fileOf(build: (g: Graph) => void, change?: (model: onnx.ModelProto) => void): Uint8Array {
  const g = new Graph();
  build(g);
  const initializers: Record<string, Float32Array> = {};
  for (const [name, { dims }] of g.inputs) {
    const random = new Random(3, name);
    if (name.includes(".")) {
      initializers[name] = Float32Array.from({ length: sizeOf(dims) }, () => random.normal());
    }
  }
  const model = fromBinary(onnx.ModelProtoSchema, encodeModel(g, { initializers }));
  change?.(model);
  return toBinary(onnx.ModelProtoSchema, model);
}

const perceptron = (g: Graph, batch = 2) => {
  const x = g.input("pixels", "float32", [batch, 4]);
  const hidden = g.tanh(g.matmul(x, g.input("hidden.weight", "float32", [4, 5])));
  g.output("scores", g.matmul(hidden, g.input("out.weight", "float32", [5, 3])));
};

Deno.test("a file's batch size gives way to the one asked for", () => {
  const model = foreignModel(fileOf(perceptron));
  const { graph, variables } = model.build({ batchSize: 7, mode: "eval" });
  assert.deepEqual(graph.inputs.get("input")!.dims, [7, 4]);
  assert.deepEqual(graph.inputs.get("target"), {
    ...graph.inputs.get("target")!,
    type: "int32",
    dims: [7],
  });
  assert.deepEqual(variables.map(({ name }) => name), ["hidden.weight", "out.weight"]);
  assert.deepEqual([...graph.outputs.keys()], ["loss", "logits", "loss_sum", "correct"]);
});

Deno.test("losses have the values their definitions give", async () => {
  const score = (g: Graph) => {
    const x = g.input("x", "float32", [1, 3]);
    g.output("y", g.mul(x, g.input("scale.weight", "float32", [3])));
  };
  const file = fileOf(score), input = [0.5, -1, 2], target = [1, 0, 0.25];
  const [weight] =
    foreignModel(file, { loss: "mse" }).build({ batchSize: 1, mode: "train" }).variables;
  const y = Array.from(weight.initial(0), (w, i) => w * input[i]);
  const mean = (f: (y: number, t: number) => number) =>
    y.reduce((sum, value, i) => sum + f(value, target[i]) / 3, 0);
  const expected = {
    mse: mean((y, t) => (y - t) ** 2),
    mae: mean((y, t) => Math.abs(y - t)),
    "binary-cross-entropy": mean((y, t) => Math.log(1 + Math.exp(y)) - t * y),
  };
  for (const [loss, value] of Object.entries(expected)) {
    const { graph } = foreignModel(file, { loss: loss as "mse" }).build({
      batchSize: 1,
      mode: "train",
    });
    await using runner = await load(graph);
    const feeds = { input, target, "scale.weight": weight.initial(0) };
    const actual = (await runner.run(feeds)).loss.data[0];
    assert(Math.abs(actual - value) < 1e-6, `${loss}: ${actual} ${value}`);
  }
});

Deno.test("where a task has classes, losses of values take them as vectors, and count no filling", async () => {
  const file = fileOf((g) => {
    const x = g.input("x", "float32", [1, 3]);
    g.output("y", g.mul(x, g.input("scale.weight", "float32", [3])));
  });
  const model = foreignModel(file, { loss: "mae", classes: true });
  const { graph } = model.build({ batchSize: 3, mode: "eval" });
  await using runner = await load(graph);
  const feeds = { input: [1, 0, 0, 0.25, 0.5, 0, 9, 9, 9], "scale.weight": [1, 1, 1] };
  const found = await runner.run({ ...feeds, target: [0, 0, -1] });
  // |(1, 0, 0) − e₀| and |(0.25, 0.5, 0) − e₀|, each the mean of three.
  assert(Math.abs(found.loss_sum.data[0] - 1.25 / 3) < 1e-6, `${found.loss_sum.data}`);
  assert(Math.abs(found.loss.data[0] - 1.25 / 6) < 1e-6, `${found.loss.data}`);
  assert.equal(found.correct.data[0], 1);
});

Deno.test("a file with time before the batch, or both in one axis, is fed and judged batch first", async () => {
  const words = [1, 4, 2, 0, 3, 3, 4, 1], targets = [2, 0, 1, 1, 4, 0, 3, 2];
  const losses: number[] = [];
  for (const [timeFirst, flat] of [[false, false], [true, false], [false, true], [true, true]]) {
    const file = fileOf((g) => {
      const ids = g.input("ids", "int64", timeFirst ? [4, 2] : [2, 4]);
      const vectors = g.op("Gather", [g.input("encoder.weight", "float32", [5, 3]), ids]);
      // The words before count too, so that no order is like another.
      const sums = g.op("CumSum", [vectors, g.scalar(timeFirst ? 0 : 1, "int32")]);
      const scores = g.matmul(g.tanh(sums), g.input("decoder.weight", "float32", [3, 5]));
      g.output("scores", flat ? g.reshape(scores, [-1, 5]) : scores);
    }, ({ graph }) => {
      const { shape } = graph!.input[0].type!.value.value as onnx.TypeProto_Tensor;
      const names = timeFirst ? ["time", "batch"] : ["batch", "time"];
      shape!.dim.forEach((dim, i) => dim.value = { case: "dimParam", value: names[i] });
    });
    const shapes = { input: [1, 4], target: [1, 4] };
    const { graph, variables } = foreignModel(file, { shapes })
      .build({ batchSize: 2, mode: "eval" });
    assert.deepEqual(graph.inputs.get("input")!.dims, [2, 4]);
    assert.deepEqual(graph.inputs.get("target")!.dims, [2, 4]);
    await using runner = await load(graph);
    const weights = Object.fromEntries(variables.map(({ name, initial }) => [name, initial(0)]));
    losses.push((await runner.run({ input: words, target: targets, ...weights })).loss.data[0]);
  }
  losses.forEach((loss) => assert(Math.abs(loss - losses[0]) < 1e-6, `${losses}`));
});

Deno.test("a weight that is repeated, moved or kept in a range first is trained", () => {
  const file = fileOf((g) => {
    const x = g.input("x", "float32", [2, 3]);
    const token = g.expand(g.input("token.weight", "float32", [1, 3]), [2, 3]);
    const scale = g.exp(g.input("scale.log", "float32", [1, 3]));
    g.output("y", g.mul(g.concat([x, token], 1), g.op("Tile", [scale, g.ints([1, 2])])));
  });
  const { variables } = foreignModel(file, { loss: "mse" }).build({ batchSize: 2, mode: "train" });
  assert.deepEqual(variables.map(({ name }) => name), ["token.weight", "scale.log"]);
});

Deno.test("dropout in a file becomes a mask to feed, and nothing at evaluation", async () => {
  const file = fileOf((g) => {
    const x = g.input("x", "float32", [2, 4]);
    const y = g.mul(x, g.input("scale.weight", "float32", [4]));
    g.output("y", g.op("Softplus", [y]));
  }, ({ graph }) => {
    // The builder leaves Dropout out, so it is put into the file by hand.
    const ratio = create(onnx.TensorProtoSchema, {
      name: "ratio",
      dataType: onnx.TensorProto_DataType.FLOAT,
      floatData: [0.25],
    });
    graph!.initializer.push(ratio);
    graph!.node[1].input[0] = "dropped";
    graph!.node.splice(
      1,
      0,
      create(onnx.NodeProtoSchema, {
        opType: "Dropout",
        input: [graph!.node[0].output[0], "ratio"],
        output: ["dropped"],
      }),
    );
  });
  const model = foreignModel(file, { loss: "mse" });
  const { graph } = model.build({ batchSize: 2, mode: "train" });
  const masks = model.masks(2, { seed: 1, rank: 0, step: 3 });
  assert.deepEqual(Object.keys(masks), ["dropped.mask"]);
  assert.deepEqual(graph.inputs.get("dropped.mask")!.dims, masks["dropped.mask"].dims);
  assert(masks["dropped.mask"].data.every((value) => value === 0 || value === Math.fround(4 / 3)));
  assert.deepEqual(masks, model.masks(2, { seed: 1, rank: 0, step: 3 }));
  assert.notDeepEqual(masks, model.masks(2, { seed: 1, rank: 1, step: 3 }));
  const evaluation = model.build({ batchSize: 2, mode: "eval" }).graph;
  assert(!evaluation.inputs.has("dropped.mask"));
  const data = {
    input: [1, 2, 3, 4, 5, 6, 7, 8],
    target: Array(8).fill(0),
    "scale.weight": Array(4).fill(1),
  };
  await using runner = await load(graph);
  const mask = Array.from({ length: 8 }, (_, i) => i % 2 ? 0 : 2);
  const { loss } = await runner.run({ ...data, "dropped.mask": mask });
  const expected = data.input.reduce(
    (sum, x, i) => sum + Math.log1p(Math.exp(x * mask[i])) ** 2 / 8,
    0,
  );
  assert(Math.abs(loss.data[0] - expected) < 1e-4 * expected);
});

Deno.test("equal vectors that an exporter kept once are trained apart, matrices stay tied", () => {
  const file = fileOf((g) => {
    const x = g.input("x", "float32", [2, 3]);
    const y = g.matmul(
      g.mul(x, g.input("a.scale", "float32", [3])),
      g.input("a.w", "float32", [3, 3]),
    );
    g.output(
      "y",
      g.matmul(g.mul(y, g.input("b.scale", "float32", [3])), g.input("b.w", "float32", [3, 3])),
    );
  }, ({ graph }) => {
    graph!.initializer = graph!.initializer.filter(({ name }) => name.startsWith("a."));
    for (const name of ["scale", "w"]) {
      const nodes = { opType: "Identity", input: [`a.${name}`], output: [`b.${name}`] };
      graph!.node.unshift(create(onnx.NodeProtoSchema, nodes));
    }
  });
  const { variables } = foreignModel(file).build({ batchSize: 2, mode: "train" });
  assert.deepEqual(variables.map(({ name }) => name).sort(), ["a.scale", "a.w", "b.scale"]);
});

Deno.test("what is wrong with a file is said with names and a way out", () => {
  const refuse = (file: Uint8Array, pattern: RegExp, options: ForeignModelOptions = {}) =>
    assert.throws(
      () => foreignModel(file, options).build({ batchSize: 2, mode: "train" }),
      pattern,
    );
  refuse(new TextEncoder().encode("not a model"), /not an ONNX model/);
  refuse(new Uint8Array(0), /not an ONNX model/);
  const changed = (change: (model: onnx.ModelProto) => void) => fileOf(perceptron, change);
  refuse(changed(({ opsetImport }) => opsetImport[0].version = 7n), /opset 7; 9 is the oldest/);
  refuse(
    changed(({ graph }) => graph!.node[0].opType = "Frobnicate"),
    /node "MatMul": .*Frobnicate is not known/,
  );
  refuse(
    changed(({ graph }) => graph!.initializer[0].rawData = new Uint8Array(8)),
    /holds 2 elements/,
  );
  refuse(
    changed(({ graph }) => graph!.initializer[0].dataType = onnx.TensorProto_DataType.FLOAT16),
    /element type FLOAT16.*float32/,
  );
  refuse(
    changed(({ graph }) => graph!.node[0].input[0] = "scores"),
    /the nodes "\w+" and "\w+" wait for each other/,
  );
  refuse(
    changed(({ graph }) => graph!.node[0].input[0] = "nothing"),
    /which nothing before it computes/,
  );
  refuse(changed(() => {}), /no output "other", but scores/, { prediction: "other" });
  refuse(changed(() => {}), /no loss "huber"; take one of cross-entropy/, {
    loss: "huber" as "mse",
  });
  refuse(changed(() => {}), /1 inputs \(pixels\).*one target/, { loss: { output: "scores" } });
  const symbolic = changed(({ graph }) => {
    const [, length] = (graph!.input[0].type!.value.value as onnx.TypeProto_Tensor).shape!.dim;
    length.value = { case: "dimParam", value: "features" };
  });
  refuse(symbolic, /axis 1 .*"pixels".*give dims: \{ "features": … \}/);
  const { loss } = foreignModel(symbolic, { dims: { features: 4 } })
    .build({ batchSize: 2, mode: "train" });
  assert.equal(loss.type, "float32");
});

/** What PyTorch's and others' exporters write for common networks. */
const COMMON = `
Abs Add AveragePool BatchNormalization Cast Clip Concat Constant ConstantOfShape Conv ConvTranspose Div
Dropout Einsum Elu Erf Exp Expand Flatten GRU Gather Gelu Gemm GlobalAveragePool HardSwish Identity LSTM
LayerNormalization LeakyRelu Log LogSoftmax MatMul Max MaxPool Min Mul Neg Pad Pow Range Reciprocal
ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
ReduceSumSquare Relu Reshape Shape Sigmoid Size Slice Softmax Split Sqrt Squeeze Sub Tanh Tile Transpose
Unsqueeze Where
`.trim().split(/\s+/);

Deno.test("every operator that exporters commonly write has a gradient and runs on WebGPU", () => {
  const table = new Map(operatorCoverage().map((line) => [line.op, line]));
  for (const op of COMMON) {
    const { gradient, webgpu } = table.get(op) ?? {};
    assert.deepEqual({ op, gradient, webgpu }, { op, gradient: true, webgpu: true });
  }
});

Deno.test("the report names operators that are not known, and what leaves the GPU", () => {
  const file = fileOf(perceptron, ({ graph }) => graph!.node[1].opType = "Frobnicate");
  const unknown = checkModel(file);
  assert.deepEqual(unknown.operators.map(({ op, known }) => [op, known]), [
    ["Frobnicate", false],
    ["MatMul", true],
  ]);
  assert.match(unknown.problems[0], /Frobnicate is not known/);
  assert.match(formatModelReport(unknown), /cannot be trained:/);
  const odd = checkModel(fileOf((g) => {
    const x = g.input("x", "float32", [2, 3]);
    const y = g.op("Mod", [x, g.scalar(2)], { fmod: 1 });
    g.output("y", g.mul(y, g.input("a.scale", "float32", [3])));
  }));
  assert.deepEqual(odd.problems, []);
  assert.equal(odd.trained, 3);
  assert.match(odd.notes[0], /1 nodes run on the CPU \(Mod\)/);
});
