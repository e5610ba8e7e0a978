import assert from "node:assert/strict";
import { create, onnx, toBinary } from "../../../deps.ts";
import { foreignModel } from "../../../models/foreign/model.ts";
import { readOnnxFile } from "../../../models/foreign/file/onnx_file.ts";
import { OnnxFileError, OnnxGraph } from "../../../models/foreign/file/onnx_graph.ts";

const { FLOAT, DOUBLE, INT64, BOOL } = onnx.TensorProto_DataType;
const kinds = onnx.AttributeProto_AttributeType;
type Tensor = NonNullable<Parameters<typeof create<typeof onnx.TensorProtoSchema>>[1]>;
type Node = NonNullable<Parameters<typeof create<typeof onnx.NodeProtoSchema>>[1]>;

type OwnFunction = NonNullable<Parameters<typeof create<typeof onnx.FunctionProtoSchema>>[1]>;

/** A model from x `[2, 3]` to y `[2, 4]`. */
function modelOf(
  initializer: Tensor[],
  node: Node[],
  functions: OwnFunction[] = [],
): Uint8Array {
  const port = (name: string, dims: number[]) => {
    const dim = dims.map((size) => ({
      value: { case: "dimValue" as const, value: BigInt(size) },
    }));
    const value = { elemType: FLOAT, shape: { dim } };
    return { name, type: { value: { case: "tensorType" as const, value } } };
  };
  const opsetImport = ["", "own"].map((domain) => ({ domain, version: domain ? 1n : 17n }));
  const graph = {
    name: "g",
    node,
    initializer,
    input: [port("x", [2, 3])],
    output: [port("y", [2, 4])],
  };
  return toBinary(
    onnx.ModelProtoSchema,
    create(onnx.ModelProtoSchema, { irVersion: 8n, opsetImport, functions, graph }),
  );
}

const product = (output: string): Node => ({
  opType: "MatMul",
  input: ["x", "w"],
  output: [output],
});
const weight: Tensor = { name: "w", dataType: FLOAT, dims: [3n, 4n], floatData: Array(12).fill(1) };
const yes: Tensor = { name: "yes", dataType: BOOL, dims: [], int32Data: [1] };
const options = { loss: "mse", classes: false } as const;

Deno.test("a tensor whose elements lie where those of another type do is refused by name", () => {
  const damaged: [Tensor, RegExp][] = [
    [{ name: "w", dataType: INT64, dims: [2n], int32Data: [1, 2] }, /"w" of shape \[2\] holds 0/],
    [{ name: "w", dataType: FLOAT, dims: [2n], int64Data: [1n, 2n] }, /"w" of shape \[2\] holds 0/],
    [{ name: "w", dataType: DOUBLE, dims: [1n], rawData: new Uint8Array(7) }, /"w" .* 7 bytes/],
    [{ name: "w", dataType: FLOAT, dims: [1n], rawData: new Uint8Array(7) }, /holds 1.75 elements/],
  ];
  for (const [tensor, message] of damaged) {
    assert.throws(() => readOnnxFile(modelOf([tensor], [product("y")])), (error) => {
      assert(error instanceof OnnxFileError, String(error));
      assert.match(error.message, message);
      return true;
    });
  }
});

Deno.test("a weight is replaced by as many numbers only", () => {
  const model = foreignModel(modelOf([weight], [product("y")]), options);
  assert.throws(
    () => model.encode(new Map([["w", new Float32Array(5)]])),
    {
      name: "OnnxFileError",
      message: '"w" has 12 numbers in the file, and cannot be replaced by 5',
    },
  );
});

/** Branches of an If, both of one node. */
const branches = (node: Node) =>
  ["then_branch", "else_branch"].map((name) => ({
    name,
    type: kinds.GRAPH,
    g: { name, node: [node], output: [{ name: "b" }] },
  }));

Deno.test("a branch in a function sees the function's attributes", () => {
  const alpha = { name: "alpha", refAttrName: "alpha", type: kinds.FLOAT };
  const leaky = { opType: "LeakyRelu", input: ["a"], output: ["b"], attribute: [alpha] };
  const value = { name: "value", type: kinds.TENSOR, t: yes };
  const own = {
    name: "F",
    domain: "own",
    input: ["a"],
    output: ["c"],
    attribute: ["alpha"],
    opsetImport: [{ domain: "", version: 17n }],
    node: [
      { opType: "Constant", output: ["yes"], attribute: [value] },
      { opType: "If", input: ["yes"], output: ["c"], attribute: branches(leaky) },
    ],
  };
  const given = { name: "alpha", type: kinds.FLOAT, f: 0.5 };
  const call = { opType: "F", domain: "own", input: ["m"], output: ["y"], attribute: [given] };
  const model = foreignModel(modelOf([weight], [product("m"), call], [own]), options);
  const { graph } = model.predict({ batchSize: 2 });
  const node = graph.nodes.find(({ op }) => op === "LeakyRelu");
  assert.deepEqual(node?.attributes, { alpha: 0.5 });
});

Deno.test("a trained file lets everything through dropout, in branches as well", () => {
  const dropout = { opType: "Dropout", input: ["m", "", "yes"], output: ["b"] };
  const choice = { opType: "If", input: ["yes"], output: ["y"], attribute: branches(dropout) };
  const file = modelOf([weight, yes], [product("m"), choice]);
  const trained = foreignModel(file, options).encode(new Map([["w", new Float32Array(12)]]));
  const branch = readOnnxFile(trained).graph.nodes[1].attributes.then_branch;
  assert(branch instanceof OnnxGraph);
  assert.deepEqual(branch.nodes[0].inputs, ["m", ""]);
});

Deno.test("an If without a condition is refused", () => {
  const leaky = { opType: "LeakyRelu", input: ["m"], output: ["b"] };
  const choice = { opType: "If", input: [], output: ["y"], attribute: branches(leaky) };
  const model = foreignModel(modelOf([weight], [product("m"), choice]), options);
  assert.throws(() => model.build({ batchSize: 2, mode: "eval" }), /If's condition/);
});

Deno.test("a Split is into as many parts as it has outputs, whether they have names or not", () => {
  const axis = { name: "axis", type: kinds.INT, i: 1n };
  const part = { opType: "Split", input: ["x"], output: ["a", "", ""], attribute: [axis] };
  const row: Tensor = { name: "w", dataType: FLOAT, dims: [1n, 4n], floatData: Array(4).fill(1) };
  const all = { opType: "MatMul", input: ["a", "w"], output: ["y"] };
  const { graph } = foreignModel(modelOf([row], [part, all]), options).predict({ batchSize: 2 });
  const node = graph.nodes.find(({ op }) => op === "Split");
  assert.deepEqual(node?.results.map(({ dims }) => dims), [[2, 1], [2, 1], [2, 1]]);
});
