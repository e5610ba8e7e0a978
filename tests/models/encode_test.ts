import assert from "node:assert/strict";
import { fromBinary, onnx } from "../../deps.ts";
import { encodeModel } from "../../models/encode.ts";
import { Graph } from "../../models/graph.ts";
import { resnet } from "../../models/architectures/resnet.ts";
import { load, loadModel } from "./_evaluate.ts";

Deno.test("encoding the same model twice gives the same bytes", () => {
  const encode = () => encodeModel(resnet(8).build({ batchSize: 2, mode: "train" }).graph);
  assert.deepEqual(encode(), encode());
});

Deno.test("inputs and outputs keep names, types and shapes", () => {
  const g = new Graph();
  const x = g.input("x", "float32", [2, 3]), i = g.input("i", "int64", []);
  g.output("loss", g.sum(g.mul(x, g.cast(i, "float32"))));
  const model = fromBinary(onnx.ModelProtoSchema, encodeModel(g));
  const describe = ({ name, type }: onnx.ValueInfoProto) => {
    const { elemType, shape } = type!.value.value as onnx.TypeProto_Tensor;
    return [name, elemType, shape!.dim.map((dim) => Number(dim.value.value))];
  };
  assert.deepEqual(model.graph!.input.map(describe), [["x", 1, [2, 3]], ["i", 7, []]]);
  assert.deepEqual(model.graph!.output.map(describe), [["loss", 1, []]]);
  assert.deepEqual(model.opsetImport.map(({ domain, version }) => [domain, version]), [["", 17n]]);
});

Deno.test("an input, a constant and one value twice can be outputs", async () => {
  const g = new Graph();
  const x = g.input("x", "float32", [2]);
  const y = g.neg(x);
  g.output("same", x);
  g.output("constant", g.constant("float32", [2], [3, 4]));
  g.output("first", y);
  g.output("second", y);
  g.output("Neg", g.exp(y)); // the name the graph itself gave to y
  await using runner = await load(g);
  const results = await runner.run({ x: [1, 2] });
  const list = (name: string) => Array.from(results[name].data);
  assert.deepEqual(["same", "constant", "first", "second"].map(list), [[1, 2], [3, 4], [-1, -2], [
    -1,
    -2,
  ]]);
  assert.deepEqual(list("Neg"), [Math.fround(Math.exp(-1)), Math.fround(Math.exp(-2))]);
});

Deno.test("initializers leave the inputs and stay in the model", async () => {
  const g = new Graph();
  const x = g.input("x", "float32", [2]), w = g.input("w", "float32", [2]);
  g.output("y", g.mul(x, w));
  const bytes = encodeModel(g, {
    initializers: { w: Float32Array.of(3, 5) },
    metadata: { name: "test" },
  });
  await using runner = await loadModel(bytes, new Map([["x", x]]));
  assert.deepEqual(Array.from((await runner.run({ x: [1, 2] })).y.data), [3, 10]);
  const model = fromBinary(onnx.ModelProtoSchema, bytes);
  assert.deepEqual(model.graph!.input.map(({ name }) => name), ["x"]);
  assert.deepEqual(model.metadataProps.map(({ key, value }) => [key, value]), [["name", "test"]]);
  assert.throws(
    () => encodeModel(g, { initializers: { w: new Float32Array(3) } }),
    /needs 2 elements, got 3/,
  );
  assert.throws(
    () => encodeModel(g, { initializers: { v: new Float32Array(3) } }),
    /"v".*not an input/,
  );
});

Deno.test("attributes of every kind arrive in onnxruntime", async () => {
  const g = new Graph();
  const x = g.input("x", "float32", [1, 1, 2, 2]);
  const leaky = g.op("LeakyRelu", [x], { alpha: 1 }); // a whole number, yet a FLOAT
  const padded = g.op("Pad", [leaky, g.ints([0, 0, 1, 1, 0, 0, 1, 1])], { mode: "reflect" });
  const value = { type: "float32", dims: [1], data: Float32Array.of(0.5) } as const;
  const half = g.op("ConstantOfShape", [g.ints([2000])], { value });
  g.output("y", g.op("AveragePool", [padded], { kernel_shape: [2, 2], auto_pad: "NOTSET" }));
  g.output("z", g.sum(half));
  await using runner = await load(g);
  const { y, z } = await runner.run({ x: [1, -2, 3, 4] });
  assert.deepEqual(y.dims, [1, 1, 3, 3]);
  assert.deepEqual(Array.from(y.data), Array(9).fill(1.5));
  assert.deepEqual(Array.from(z.data), [1000]);
});
