/**
 * Products of matrices one after the other, in 16-bit floats and in 32-bit floats: what networks in 16 bits could
 * gain at most. (Networks here are float32.)
 *
 *     deno run -A tests/bench/gpu/half.ts EDGE SECONDS
 *
 * @module
 */

import { create, onnx, toBinary } from "../../../deps.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import { fillFactors } from "./factors.ts";
import { AHEAD, doing, say, timedWithoutWait } from "./measure.ts";

/** In a graph, so that casts at both ends count little. */
const PRODUCTS = 8;

const [edge, seconds] = Deno.args.map(Number);
const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
if (!adapter?.features.has("shader-f16")) throw new Error("this adapter has no shader-f16");

const DataType = onnx.TensorProto_DataType;

/** a · b · b …, in numbers of a type, and one of its elements. */
function chain(type: onnx.TensorProto_DataType): Uint8Array {
  const cast = (from: string, to: onnx.TensorProto_DataType, output: string) =>
    create(onnx.NodeProtoSchema, {
      opType: "Cast",
      input: [from],
      output: [output],
      attribute: [
        create(onnx.AttributeProtoSchema, {
          name: "to",
          type: onnx.AttributeProto_AttributeType.INT,
          i: BigInt(to),
        }),
      ],
    });
  const product = (_: unknown, i: number) =>
    create(onnx.NodeProtoSchema, {
      opType: "MatMul",
      input: [i === 0 ? "left" : `c${i - 1}`, "right"],
      output: [`c${i}`],
    });
  const ints = (name: string, values: number[]) =>
    create(onnx.TensorProtoSchema, {
      name,
      dims: [BigInt(values.length)],
      dataType: DataType.INT64,
      int64Data: values.map(BigInt),
    });
  const value = (name: string, dims: number[]) =>
    create(onnx.ValueInfoProtoSchema, {
      name,
      type: create(onnx.TypeProtoSchema, {
        value: {
          case: "tensorType",
          value: create(onnx.TypeProto_TensorSchema, {
            elemType: DataType.FLOAT,
            shape: create(onnx.TensorShapeProtoSchema, {
              dim: dims.map((size) =>
                create(onnx.TensorShapeProto_DimensionSchema, {
                  value: { case: "dimValue", value: BigInt(size) },
                })
              ),
            }),
          }),
        },
      }),
    });
  return toBinary(
    onnx.ModelProtoSchema,
    create(onnx.ModelProtoSchema, {
      irVersion: 8n,
      opsetImport: [create(onnx.OperatorSetIdProtoSchema, { domain: "", version: 17n })],
      graph: create(onnx.GraphProtoSchema, {
        name: "products",
        node: [
          cast("a", type, "left"),
          cast("b", type, "right"),
          ...Array.from({ length: PRODUCTS }, product),
          create(onnx.NodeProtoSchema, {
            opType: "Slice",
            input: [`c${PRODUCTS - 1}`, "starts", "ends"],
            output: ["part"],
          }),
          cast("part", DataType.FLOAT, "corner"),
        ],
        initializer: [ints("starts", [0, 0]), ints("ends", [1, 1])],
        input: [value("a", [edge, edge]), value("b", [edge, edge])],
        output: [value("corner", [1, 1])],
      }),
    }),
  );
}

await using device = await openDevice("webgpu");
await using state = await device.allocate(["a", "b"].map((name) => ({ name, dims: [edge, edge] })));
await state.edit((flat) => fillFactors(edge, flat));
for (
  const [variant, type] of [["float16", DataType.FLOAT16], ["float32", DataType.FLOAT]] as const
) {
  doing(variant);
  await using session = await device.compile(chain(type), { state: [state] });
  const work = async (runs: number) => {
    let last;
    for (let i = 0; i < runs; i++) last = await session.submit({});
    return await last!.outputs();
  };
  const [corner] = (await work(1)).corner.data;
  if (Number(corner) !== 1) throw new Error(`${variant} gives ${corner}, not 1`);
  const ms = await timedWithoutWait(work, seconds, AHEAD) / PRODUCTS;
  say({
    what: "matmul",
    engine: "celgc",
    variant: `${variant}, ${PRODUCTS} in a row`,
    edge,
    tflops: 2 * edge ** 3 / ms / 1e9,
  });
}
