/** ONNX files of one node, as they come and as they are read. */

import { create, onnx, toBinary } from "../../../deps.ts";
import { Graph, type Value } from "../../../models/graph.ts";
import { readOnnxFile } from "../../../models/foreign/file/onnx_file.ts";
import { importGraph } from "../../../models/foreign/import.ts";

/** A tensor that a node is fed, or that stands in the file. */
export interface NodeInput {
  readonly dims: readonly number[];
  readonly data: readonly number[];
  /** int64 for a constant. @default {"float32"} */
  readonly type?: "float32" | "int64" | "bool";
  /** Whether it stands in the file. */
  readonly constant?: boolean;
}

/** A node. Attributes are INT, INTS or STRING. */
export interface OneNode {
  readonly op: string;
  readonly opset: number;
  readonly inputs: readonly (NodeInput | null)[];
  readonly attributes?: Readonly<Record<string, number | string | readonly number[]>>;
}

export const fed = (dims: number[], data: number[], type?: "bool"): NodeInput =>
  type ? { dims, data, type } : { dims, data };

export const ints = (...data: number[]): NodeInput => ({
  dims: [data.length],
  data,
  type: "int64",
  constant: true,
});

const TYPES = {
  float32: onnx.TensorProto_DataType.FLOAT,
  int64: onnx.TensorProto_DataType.INT64,
  bool: onnx.TensorProto_DataType.BOOL,
} as const;

/** The file; its inputs are x0, x1 … and its output y. */
export function fileOf({ op, opset, inputs, attributes = {} }: OneNode): Uint8Array {
  const named = inputs.map((input, i) => ({ name: input ? `x${i}` : "", input }));
  const elemType = ({ type = "float32" }: NodeInput) => TYPES[type];
  return toBinary(
    onnx.ModelProtoSchema,
    create(onnx.ModelProtoSchema, {
      irVersion: 8n,
      opsetImport: [create(onnx.OperatorSetIdProtoSchema, { domain: "", version: BigInt(opset) })],
      graph: create(onnx.GraphProtoSchema, {
        name: "one node",
        node: [create(onnx.NodeProtoSchema, {
          opType: op,
          input: named.map(({ name }) => name),
          output: ["y"],
          attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
        })],
        initializer: named.flatMap(({ name, input }) =>
          input?.constant
            ? create(onnx.TensorProtoSchema, {
              name,
              dims: input.dims.map(BigInt),
              dataType: elemType(input),
              ...input.type === "int64"
                ? { int64Data: input.data.map(BigInt) }
                : { floatData: [...input.data] },
            })
            : []
        ),
        input: named.flatMap(({ name, input }) =>
          input && !input.constant
            ? create(onnx.ValueInfoProtoSchema, {
              name,
              type: create(onnx.TypeProtoSchema, {
                value: {
                  case: "tensorType",
                  value: create(onnx.TypeProto_TensorSchema, {
                    elemType: elemType(input),
                    shape: create(onnx.TensorShapeProtoSchema, {
                      dim: input.dims.map((dim) =>
                        create(onnx.TensorShapeProto_DimensionSchema, {
                          value: { case: "dimValue", value: BigInt(dim) },
                        })
                      ),
                    }),
                  }),
                },
              }),
            })
            : []
        ),
        output: [create(onnx.ValueInfoProtoSchema, { name: "y" })],
      }),
    }),
  );
}

function attribute(name: string, value: number | string | readonly number[]) {
  const type = onnx.AttributeProto_AttributeType;
  const init = typeof value === "number"
    ? { type: type.INT, i: BigInt(value) }
    : typeof value === "string"
    ? { type: type.STRING, s: new TextEncoder().encode(value) }
    : { type: type.INTS, ints: value.map(BigInt) };
  return create(onnx.AttributeProtoSchema, { name, ...init });
}

/** What is fed, by name. */
export function feedsOf({ inputs }: OneNode): Record<string, readonly number[]> {
  return Object.fromEntries(
    inputs.flatMap((input, i) => input && !input.constant ? [[`x${i}`, input.data]] : []),
  );
}

/** The file as a graph, under the same names. */
export function graphOf(node: OneNode): Graph {
  const g = new Graph(), model = readOnnxFile(fileOf(node));
  const inputs = new Map(
    model.graph.inputs.map(({ name, type, dims }): [string, Value] => [
      name,
      g.input(name, type, dims.map(Number)),
    ]),
  );
  const outputs = importGraph(g, model, {
    input: (name) => inputs.get(name)!,
    initializer: (_name, tensor) => g.tensor(tensor),
  });
  g.output("y", outputs.get("y")!);
  return g;
}
