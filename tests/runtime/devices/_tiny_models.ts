/**
 * Models of a few nodes, made with the protobuf library alone.
 *
 * @module
 */

import { create, onnx, toBinary } from "../../../deps.ts";

/** ONNX's numbers for the element types used here. */
const TYPES = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9, float64: 11 } as const;

/** Name, type and shape of an input or output; a string is a dimension that is not fixed. */
export type PortSpec = [name: string, type: keyof typeof TYPES, dims: readonly (number | string)[]];

/** Operator, inputs, outputs, integer attributes. */
export type NodeSpec = [
  operator: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes?: Readonly<Record<string, number>>,
];

/** Encodes a model. */
export function model(
  inputs: readonly PortSpec[],
  outputs: readonly PortSpec[],
  nodes: readonly NodeSpec[],
): Uint8Array {
  const port = ([name, type, dims]: PortSpec) => ({
    name,
    type: {
      value: {
        case: "tensorType" as const,
        value: {
          elemType: TYPES[type],
          shape: {
            dim: dims.map((dim) => ({
              value: typeof dim === "string"
                ? { case: "dimParam" as const, value: dim }
                : { case: "dimValue" as const, value: BigInt(dim) },
            })),
          },
        },
      },
    },
  });
  const proto = create(onnx.ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [{ domain: "", version: 17n }],
    graph: {
      name: "tiny",
      input: inputs.map(port),
      output: outputs.map(port),
      node: nodes.map(([opType, input, output, attributes = {}], i) => ({
        name: `${opType}_${i}`,
        opType,
        input: [...input],
        output: [...output],
        attribute: Object.entries(attributes).map(([name, value]) => ({
          name,
          type: onnx.AttributeProto_AttributeType.INT,
          i: BigInt(value),
        })),
      })),
    },
  });
  return toBinary(onnx.ModelProtoSchema, proto);
}

/** Pulls w towards x at rate lr and lets b grow by it: w.next = w − lr·(w − x), b.next = b + lr·b. */
export const PULL = model(
  [
    ["x", "float32", [2, 3]],
    ["lr", "float32", []],
    ["w", "float32", [2, 3]],
    ["b", "float32", [3]],
  ],
  [["sum", "float32", []], ["w.next", "float32", [2, 3]], ["b.next", "float32", [3]]],
  [
    ["ReduceSum", ["w"], ["sum"], { keepdims: 0 }],
    ["Sub", ["w", "x"], ["gap"]],
    ["Mul", ["gap", "lr"], ["w.step"]],
    ["Sub", ["w", "w.step"], ["w.next"]],
    ["Mul", ["b", "lr"], ["b.step"]],
    ["Add", ["b", "b.step"], ["b.next"]],
  ],
);

/** Reads both variables: y = w + b. */
export const LOOK = model(
  [["w", "float32", [2, 3]], ["b", "float32", [3]]],
  [["y", "float32", [2, 3]]],
  [["Add", ["w", "b"], ["y"]]],
);
