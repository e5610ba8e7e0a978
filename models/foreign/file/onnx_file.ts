/**
 * Reads an ONNX file: the protobuf's messages as plain data, with names, types and sizes checked. It does
 * not know what operators mean.
 *
 * @module
 */

import { fromBinary, onnx } from "../../../deps.ts";
import { isFloat64, narrow } from "./_float64.ts";
import { inOrder } from "./_order.ts";
import { otherFormat } from "./_other_formats.ts";
import {
  type OnnxAttribute,
  OnnxFileError,
  OnnxGraph,
  type OnnxInput,
  type OnnxModel,
  type OnnxNode,
} from "./onnx_graph.ts";
import {
  allocate,
  bytesPerElement,
  type ElementType,
  formatDims,
  sizeOf,
  type Tensor,
} from "../../tensor.ts";

/** The oldest operator set that is understood. */
const OLDEST_OPSET = 9;

/** The newest operator set whose changes of meaning are known here. */
export const NEWEST_OPSET = 23;

const TYPES: Partial<Record<onnx.TensorProto_DataType, ElementType>> = {
  [onnx.TensorProto_DataType.FLOAT]: "float32",
  [onnx.TensorProto_DataType.DOUBLE]: "float64",
  [onnx.TensorProto_DataType.INT8]: "int8",
  [onnx.TensorProto_DataType.UINT8]: "uint8",
  [onnx.TensorProto_DataType.INT32]: "int32",
  [onnx.TensorProto_DataType.INT64]: "int64",
  [onnx.TensorProto_DataType.BOOL]: "bool",
};

/** Attributes that name an element type by number. */
const TYPE_ATTRIBUTES = new Set(["to", "dtype"]);

/**
 * The protobuf of a file.
 *
 * @throws OnnxFileError when it is none; it says what it is instead, where that can be told
 */
export function decodeModel(bytes: Uint8Array): onnx.ModelProto {
  const other = otherFormat(bytes);
  if (other) throw new OnnxFileError(`not an ONNX model, but ${other}`);
  try {
    return fromBinary(onnx.ModelProtoSchema, bytes);
  } catch (cause) {
    throw new OnnxFileError("not an ONNX model: its protobuf is cut off or damaged", { cause });
  }
}

/**
 * Reads an ONNX file.
 *
 * @param bytes a ModelProto
 * @throws OnnxFileError when it is none, is older than opset {@linkcode OLDEST_OPSET}, keeps tensors in
 * other files, or holds element types that are not supported
 */
export function readOnnxFile(bytes: Uint8Array): OnnxModel {
  const model = decodeModel(bytes);
  const float64 = isFloat64(model);
  if (float64) narrow(model);
  const standard = model.opsetImport.find(({ domain }) => domain === "" || domain === "ai.onnx");
  if (!model.graph || model.graph.node.length === 0 || !standard) {
    throw new OnnxFileError("not an ONNX model: it has no graph, or names no operator set");
  }
  const opset = Number(standard.version);
  if (opset < OLDEST_OPSET) {
    throw new OnnxFileError(
      `the model is written in opset ${opset}; ${OLDEST_OPSET} is the oldest understood: export it again`,
    );
  }
  return {
    opset,
    float64,
    producer: `${model.producerName} ${model.producerVersion}`.trim(),
    graph: readGraph(model.graph),
    functions: new Map(model.functions.map((each) => [
      qualified(each.domain, each.name),
      {
        inputs: each.input,
        outputs: each.output,
        nodes: inOrder(each.node.map(readNode)),
        defaults: Object.fromEntries(each.attributeProto.map(readAttribute)),
      },
    ])),
  };
}

function readGraph(graph: onnx.GraphProto): OnnxGraph {
  if (graph.sparseInitializer.length > 0) {
    throw new OnnxFileError("sparse initializers are not supported; export them dense");
  }
  const initializers = new Map(graph.initializer.map((each) => [each.name, readTensor(each)]));
  return new OnnxGraph(
    inOrder(graph.node.map(readNode)),
    initializers,
    graph.input.filter(({ name }) => !initializers.has(name)).map(readInput),
    graph.output.map(({ name }) => name),
  );
}

function readInput({ name, type }: onnx.ValueInfoProto): OnnxInput {
  // A branch's or body's inputs may come without a type; a tensor of nothing known.
  if (type?.value.case !== "tensorType") {
    throw new OnnxFileError(`the input "${name}" is no tensor, or its type is not given`);
  }
  const { elemType, shape } = type.value.value;
  const dims = shape?.dim.map(({ value }) => {
    if (value.case === "dimValue") return Number(value.value);
    return value.case === "dimParam" ? value.value : null;
  });
  if (!dims) throw new OnnxFileError(`the rank of the input "${name}" is not given`);
  return { name, type: readType(elemType, `the input "${name}"`), dims };
}

function readNode(node: onnx.NodeProto): OnnxNode {
  return {
    name: node.name || node.output[0] || node.opType,
    op: qualified(node.domain, node.opType),
    inputs: node.input,
    outputs: node.output,
    attributes: Object.fromEntries(node.attribute.map(readAttribute)),
  };
}

const qualified = (domain: string, name: string) =>
  domain === "" || domain === "ai.onnx" ? name : `${domain}.${name}`;

function readAttribute(attribute: onnx.AttributeProto): [string, OnnxAttribute] {
  const { name, refAttrName, type } = attribute, kinds = onnx.AttributeProto_AttributeType;
  if (refAttrName) return [name, { reference: refAttrName }];
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  switch (type) {
    case kinds.FLOAT:
      return [name, attribute.f];
    case kinds.INT:
      return [name, readInteger(name, attribute.i)];
    case kinds.STRING:
      return [name, text(attribute.s)];
    case kinds.TENSOR:
      return [name, readTensor(attribute.t ?? lacksValue(name))];
    case kinds.GRAPH:
      return [name, readGraph(attribute.g ?? lacksValue(name))];
    case kinds.FLOATS:
      return [name, attribute.floats];
    case kinds.INTS:
      return [name, attribute.ints.map(Number)];
    case kinds.STRINGS:
      return [name, attribute.strings.map(text)];
    default:
      throw new OnnxFileError(
        `the attribute "${name}" is of a kind that is not supported: ${type}`,
      );
  }
}

function lacksValue(name: string): never {
  throw new OnnxFileError(`the attribute "${name}" lacks its value`);
}

const readInteger = (name: string, value: bigint) =>
  TYPE_ATTRIBUTES.has(name) ? readType(Number(value), `the attribute "${name}"`) : Number(value);

function readType(type: number, what: string): ElementType {
  const known = TYPES[type as onnx.TensorProto_DataType];
  if (known) return known;
  throw new OnnxFileError(
    `${what} has element type ${onnx.TensorProto_DataType[type] ?? type}; supported are ` +
      `${Object.values(TYPES).join(", ")}: export the model in float32`,
  );
}

function readTensor(tensor: onnx.TensorProto): Tensor {
  const what = `the tensor "${tensor.name}"`;
  if (tensor.dataLocation === onnx.TensorProto_DataLocation.EXTERNAL) {
    throw new OnnxFileError(`${what} lies in another file: bring it inside with withDataInside`);
  }
  const type = readType(tensor.dataType, what), dims = tensor.dims.map(Number);
  const size = sizeOf(dims), { rawData } = tensor;
  const list = listOf(tensor, type);
  const held = rawData.length > 0 ? rawData.length / bytesPerElement(type) : list.length;
  if (dims.some((dim) => dim < 0) || held !== size) {
    throw new OnnxFileError(`${what} of shape ${formatDims(dims)} holds ${held} elements`);
  }
  const data = allocate(type, size);
  if (rawData.length > 0) {
    new Uint8Array(data.buffer).set(rawData);
  } else {
    for (let i = 0; i < size; i++) data[i] = list[i];
  }
  return { type, dims, data };
}

/** Where a tensor's elements are when they are not raw bytes (ONNX: TensorProto). */
function listOf(tensor: onnx.TensorProto, type: ElementType): number[] | bigint[] {
  switch (type) {
    case "float32":
      return tensor.floatData;
    case "float64":
      return tensor.doubleData;
    case "int64":
      return tensor.int64Data;
    default:
      return tensor.int32Data;
  }
}
