/** Files that are written in ways that tools like this one trip over; cases/ holds them. */

import assert from "node:assert/strict";
import { create, fromBinary, onnx, toBinary } from "../../../deps.ts";
import { differentiate } from "../../../models/autodiff.ts";
import { checkModel } from "../../../models/foreign/check.ts";
import { foreignModel } from "../../../models/foreign/model.ts";
import { evaluateGraph } from "../../../models/interpret.ts";
import { lower } from "../../../models/lowering/mod.ts";
import { parametersOf } from "../../../models/model.ts";
import { Graph, type Value } from "../../../models/graph.ts";
import { type NumberTensor, sizeOf } from "../../../models/tensor.ts";
import { Random } from "../../../runtime/base/random.ts";
import { load } from "../_evaluate.ts";

const read = (name: string) => Deno.readFileSync(new URL(`./cases/${name}.onnx`, import.meta.url));

/** How many numbers each trains. */
const TRAINED: Readonly<Record<string, number>> = {
  auxiliary_head: 314,
  avgpool_ceil: 314,
  avgpool_dilations: 314,
  constant_partly: 314,
  convtranspose_output_shape: 562,
  double: 314,
  fixed_batch: 314,
  layernorm_mean_output: 4410,
  lpnorm_zero: 314,
  lrn: 314,
  maxpool_ceil: 314,
  pow_zero: 314,
  softmax_at_end: 314,
  split_num_outputs: 274,
  weight_named_input: 314,
};

for (const [name, count] of Object.entries(TRAINED)) {
  Deno.test(`${name}.onnx trains, with gradients that central differences confirm`, async () => {
    const file = read(name), report = checkModel(file);
    assert.deepEqual(report.problems, []);
    assert.equal(report.trained, count);
    const model = foreignModel(file);
    const built = model.build({ batchSize: model.fixedBatch ?? 2, mode: "train" });
    const parameters = parametersOf(built), { graph } = built;
    const forward = lower(graph, "portable");
    differentiate(graph, built.loss, parameters.map(({ value }) => value))
      .forEach((gradient, i) => graph.output(`${parameters[i].name}.grad`, gradient));

    const random = new Random(5, name), feeds: Record<string, ArrayLike<number>> = {};
    for (const [key, { dims, type }] of graph.inputs) {
      feeds[key] = Array.from(
        { length: sizeOf(dims) },
        () => type === "int32" ? random.integer(10) : Math.fround(random.normal()),
      );
    }
    for (const { name, initial } of built.variables) feeds[name] = initial(0);
    const loss = (at: typeof feeds) => {
      const known = new Map<Value, NumberTensor>();
      for (const [key, value] of forward.inputs) {
        known.set(value, { ...value, data: Float64Array.from(at[key]) });
      }
      return evaluateGraph(forward, known, [forward.outputs.get("loss")!])[0].data[0];
    };
    await using runner = await load(graph, { target: "cpu" });
    const results = await runner.run(feeds);
    assert(Math.abs(results.loss.data[0] - loss(feeds)) < 1e-4 * Math.abs(loss(feeds)));
    for (const { name: parameter } of parameters) {
      const gradient = results[`${parameter}.grad`].data;
      assert(gradient.every(Number.isFinite), parameter);
      // The element with the steepest slope, by a step of which float64 still sees the difference.
      const i = gradient.reduce(
        (best, x, at) => Math.abs(x) > Math.abs(gradient[best]) ? at : best,
        0,
      );
      const shifted = (by: number) => {
        const moved = Float64Array.from(feeds[parameter]);
        moved[i] += by;
        return loss({ ...feeds, [parameter]: moved });
      };
      const slope = (shifted(1e-6) - shifted(-1e-6)) / 2e-6;
      assert(
        Math.abs(slope - gradient[i]) < 1e-3 * Math.max(1e-3, Math.abs(slope)),
        `${parameter}[${i}]: ${gradient[i]}, by differences ${slope}`,
      );
    }
  });
}

/** A file changed by hand. */
function changed(name: string, change: (model: onnx.ModelProto) => void): Uint8Array {
  const model = fromBinary(onnx.ModelProtoSchema, read(name));
  change(model);
  return toBinary(onnx.ModelProtoSchema, model);
}

Deno.test("what a user should know of a file is in its notes", () => {
  const notes = (name: string) => checkModel(read(name)).notes.join("\n");
  assert.match(notes("auxiliary_head"), /does not depend on WA/);
  assert.match(notes("double"), /float64; here it is trained in float32/);
  assert.match(notes("fixed_batch"), /fixes its batch at 1: .*--batch-size 1/);
  assert.match(notes("softmax_at_end"), /been through Softmax/);
});

Deno.test("a batch that a file fixes is told with the error of another", () => {
  const model = foreignModel(read("fixed_batch"));
  assert.equal(model.fixedBatch, 1);
  assert.equal(foreignModel(read("lrn")).fixedBatch, undefined);
  assert.throws(() => model.build({ batchSize: 4, mode: "train" }), (error: Error) => {
    assert.match(error.message, /fixes its batch at 1, .* for one of 4 .*take a batch of 1/);
    return (error as { fixedBatch?: number }).fixedBatch === 1;
  });
});

Deno.test("a weight with a name of the trainer's own keeps its name in the file that is written", () => {
  const model = foreignModel(read("weight_named_input"));
  const { variables } = model.build({ batchSize: 2, mode: "train" });
  const renamed = variables.find(({ name }) => name.endsWith("_"))!;
  const file = fromBinary(
    onnx.ModelProtoSchema,
    model.encode(new Map([[renamed.name, new Float32Array(sizeOf(renamed.dims)).fill(7)]])),
  );
  const tensor = file.graph!.initializer.find(({ name }) => `${name}_` === renamed.name)!;
  assert.equal(new Float32Array(tensor.rawData.slice().buffer)[0], 7);
});

Deno.test("weights of float64 and in nodes are written back where they were", () => {
  for (const name of ["double", "constant_partly"]) {
    const model = foreignModel(read(name));
    const { variables } = model.build({ batchSize: 2, mode: "train" });
    const zeros = variables.map(({ name, dims }) =>
      [name, new Float32Array(sizeOf(dims)).fill(0.5)] as const
    );
    const again = foreignModel(model.encode(new Map(zeros)));
    for (const { initial } of again.build({ batchSize: 2, mode: "train" }).variables) {
      assert(initial(0).every((x) => x === 0.5));
    }
  }
});

Deno.test("nodes in any order are put in order", () => {
  assert.deepEqual(checkModel(changed("lrn", ({ graph }) => graph!.node.reverse())).problems, []);
});

Deno.test("an attribute that a later operator set may have added is refused by name", () => {
  const file = changed("lrn", ({ graph }) => {
    graph!.node.find(({ opType }) => opType === "Conv")!.attribute.push(
      create(onnx.AttributeProtoSchema, {
        name: "turned",
        type: onnx.AttributeProto_AttributeType.INT,
        i: 1n,
      }),
    );
  });
  assert.match(
    checkModel(file).problems[0],
    /attribute "turned" of Conv .*not known: export .*opset 17/,
  );
});

Deno.test("what older and later operator sets say in their own ways comes to the same", () => {
  const { INT, STRING } = onnx.AttributeProto_AttributeType;
  const floats = (name: string, floatData: number[]) =>
    create(onnx.TensorProtoSchema, {
      name,
      dims: [BigInt(floatData.length)],
      dataType: 1,
      floatData,
    });
  const ints = (name: string, int64Data: bigint[]) =>
    create(onnx.TensorProtoSchema, {
      name,
      dims: [BigInt(int64Data.length)],
      dataType: 7,
      int64Data,
    });
  /** The file's normalisation replaced by another operator, whose operands follow the image. */
  const replaced = (
    version: bigint,
    opType: string,
    operands: onnx.TensorProto[],
    attribute: { name: string; type: number; s?: Uint8Array<ArrayBuffer>; i?: bigint }[] = [],
  ) =>
    changed("lrn", (model) => {
      model.opsetImport[0].version = version;
      const { node, initializer } = model.graph!;
      const at = node.findIndex(({ opType }) => opType === "LRN");
      initializer.push(...operands);
      node[at] = create(onnx.NodeProtoSchema, {
        opType,
        input: [node[at].input[0], ...operands.map(({ name }) => name)],
        output: node[at].output,
        attribute,
      });
    });
  const nearest = [{ name: "mode", type: STRING, s: new TextEncoder().encode("nearest") }];
  for (
    const file of [
      replaced(9n, "Upsample", [floats("scales", [1, 1, 2, 2])], nearest),
      replaced(10n, "Resize", [floats("scales", [1, 1, 2, 2])], nearest),
      replaced(18n, "Pad", [ints("pads", [1n, 2n]), floats("value", [0]), ints("axes", [-1n])]),
    ]
  ) assert.deepEqual(checkModel(file).problems, []);
  const odd = replaced(19n, "AveragePool", [], [{ name: "ceil", type: INT, i: 1n }]);
  assert.match(checkModel(odd).problems[0], /attribute "ceil" of AveragePool \(opset 19\)/);
});

Deno.test("functions that double at each level end at a limit", () => {
  const file = changed("lrn", (model) => {
    const levels = 24;
    for (let level = 0; level < levels; level++) {
      const opType = level === 0 ? "Identity" : `F${level - 1}`, domain = level === 0 ? "" : "own";
      model.functions.push(create(onnx.FunctionProtoSchema, {
        name: `F${level}`,
        domain: "own",
        input: ["a"],
        output: ["c"],
        node: [
          create(onnx.NodeProtoSchema, { opType, domain, input: ["a"], output: ["b"] }),
          create(onnx.NodeProtoSchema, { opType, domain, input: ["b"], output: ["c"] }),
        ],
      }));
    }
    const [first] = model.graph!.node;
    model.graph!.node.push(create(onnx.NodeProtoSchema, {
      opType: `F${levels - 1}`,
      domain: "own",
      input: [first.output[0]],
      output: ["deep"],
    }));
  });
  assert.match(checkModel(file).problems[0], /more than 200000 nodes/);
});

Deno.test("a large window of MaxPool adds no nodes for each of its taps", () => {
  const g = new Graph(), x = g.input("x", "float32", [1, 2, 120, 160]);
  const y = g.op("MaxPool", [x], { kernel_shape: [60, 80], strides: [60, 80] });
  g.output("dx", differentiate(g, g.mean(y), [x])[0]);
  for (const target of ["cpu", "webgpu"] as const) assert(lower(g, target).nodes.length < 20);
});

Deno.test("a file that is something else says what, and how to come to a model", () => {
  const bytes = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));
  for (
    const [text, pattern] of [
      [
        "PK\x03\x04....model/data.pkl....model/code/__torch__.py",
        /a TorchScript file: .*torch\.onnx/,
      ],
      ["PK\x03\x04....archive/data.pkl.....archive/data/0", /PyTorch checkpoint, .*torch\.onnx/],
      ["\x80\x02}q\x00X\x06", /pickle.*torch\.onnx/],
      ["\x89HDF\r\n\x1a\n........", /HDF5.*Keras.*tf2onnx/],
      ["\x1c\0\0\0TFL3........", /TensorFlow Lite/],
      ['\x08\0\0\0\0\0\0\0{"a":{}}', /safetensors/],
      ["version https://git-lfs.github.com/spec/v1\n", /git lfs pull/],
      ["<!DOCTYPE html><html>", /a web page/],
    ] as const
  ) assert.throws(() => foreignModel(bytes(text)), pattern);
});

Deno.test("the scale of an RMSNormalization is trained", () => {
  const file = changed("lrn", ({ graph, opsetImport }) => {
    opsetImport[0].version = 23n;
    const at = graph!.node.findIndex(({ opType }) => opType === "LRN");
    graph!.initializer.push(create(onnx.TensorProtoSchema, {
      name: "scale",
      dims: [1n],
      dataType: 1,
      floatData: [2],
    }));
    graph!.node[at] = create(onnx.NodeProtoSchema, {
      opType: "RMSNormalization",
      input: [graph!.node[at].input[0], "scale"],
      output: graph!.node[at].output,
    });
  });
  const { variables } = foreignModel(file).build({ batchSize: 2, mode: "train" });
  assert(variables.some(({ name }) => name === "scale"));
});
