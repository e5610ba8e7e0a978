/**
 * Writes a graph as an ONNX model. The same graph gives the same bytes.
 *
 * @module
 */

import { create, onnx, toBinary } from "../deps.ts";
import type { Graph, Node, Value } from "./graph.ts";
import { lower, type Target } from "./lowering/mod.ts";
import type { Attribute } from "./operator.ts";
import { rewrite } from "./rewrite.ts";
import { checkTensor, type ElementType, sameDims, type Tensor, type TensorData } from "./tensor.ts";

/** The operator set the models are written in. */
export const OPSET = 18;
const IR_VERSION = 8n;

const ELEMENT_TYPE: Record<ElementType, onnx.TensorProto_DataType> = {
  float32: onnx.TensorProto_DataType.FLOAT,
  float64: onnx.TensorProto_DataType.DOUBLE,
  int8: onnx.TensorProto_DataType.INT8,
  uint8: onnx.TensorProto_DataType.UINT8,
  int32: onnx.TensorProto_DataType.INT32,
  int64: onnx.TensorProto_DataType.INT64,
  bool: onnx.TensorProto_DataType.BOOL,
};

/** The names under which ONNX's operators have attributes of type FLOAT or FLOATS; other numbers are INT. */
const FLOAT_ATTRIBUTES = new Set(
  "alpha beta gamma lambd epsilon momentum value_float value_floats bias high low mean scale seed scales clip threshold activation_alpha activation_beta spatial_scale cubic_coeff_a extrapolation_value"
    .split(" "),
);

/** Options of {@linkcode encodeModel}. */
export interface EncodeOptions {
  /** Where the model will run. @default {"portable"} */
  readonly target?: Target;
  /** Inputs that become constants inside the file, such as trained weights: data in row-major order. */
  readonly initializers?: Readonly<Record<string, TensorData>>;
  /**
   * Gives the first axis of these inputs a name instead of a length, so that the model takes batches of
   * any size.
   */
  readonly symbolicBatch?: { readonly name: string; readonly inputs: readonly string[] };
  /** Text kept in the file, such as the model's name. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Encodes a graph as an ONNX model (opset {@linkcode OPSET}).
 *
 * @returns the bytes of a ModelProto
 * @throws RangeError when an initializer is no input or has another length, or when the graph computes
 * something else at another batch size
 */
export function encodeModel(graph: Graph, options: EncodeOptions = {}): Uint8Array {
  const { target = "portable", initializers = {}, symbolicBatch, metadata = {} } = options;
  const lowered = lower(graph, target);
  for (const [name, data] of Object.entries(initializers)) {
    const input = lowered.inputs.get(name);
    if (!input) throw new RangeError(`cannot put "${name}" into the model: it is not an input`);
    checkTensor({ type: input.type, dims: input.dims, data });
  }
  const symbolic = symbolicBatch ? symbolicDims(lowered, symbolicBatch) : new Map();
  const names = outputNames(lowered);
  const nodes = lowered.nodes.map((node) => encodeNode(node, names));
  for (const [name, value] of lowered.outputs) {
    if (names.get(value) === name) continue;
    const input = [names.get(value) ?? value.name];
    nodes.push(create(onnx.NodeProtoSchema, { opType: "Identity", input, output: [name], name }));
  }
  const inputs = [...lowered.inputs].filter(([name]) => !Object.hasOwn(initializers, name));
  const describe = (name: string, value: Value) => encodeValueInfo(name, value, symbolic.get(name));
  const model = create(onnx.ModelProtoSchema, {
    irVersion: IR_VERSION,
    producerName: "celgc",
    opsetImport: opsets(lowered),
    metadataProps: Object.entries(metadata).map(([key, value]) =>
      create(onnx.StringStringEntryProtoSchema, { key, value })
    ),
    graph: create(onnx.GraphProtoSchema, {
      name: "celgc",
      node: nodes,
      initializer: [
        ...constantsOf(lowered).map((value) => encodeTensor(value.constant!, value.name)),
        ...Object.entries(initializers).map(([name, data]) =>
          encodeTensor({ ...lowered.inputs.get(name)!, data }, name)
        ),
      ],
      input: inputs.map(([name, value]) => describe(name, value)),
      output: [...lowered.outputs].map(([name, value]) => describe(name, value)),
    }),
  });
  return toBinary(onnx.ModelProtoSchema, model);
}

/** The name each node's result gets because it is an output; the first of several takes the value. */
function outputNames(graph: Graph): Map<Value, string> {
  const names = new Map<Value, string>();
  for (const [name, value] of graph.outputs) {
    if (value.producer && !names.has(value)) names.set(value, name);
  }
  const taken = new Set(graph.outputs.keys());
  // A value that happens to carry an output's name makes way.
  for (const value of graph.nodes.flatMap((node) => node.results)) {
    if (!names.has(value) && taken.has(value.name)) names.set(value, `${value.name}~${value.id}`);
  }
  return names;
}

function constantsOf(graph: Graph): Value[] {
  const used = [...graph.nodes.flatMap((node) => node.inputs), ...graph.outputs.values()];
  return [...new Set(used)].filter((value): value is Value => value?.constant !== undefined);
}

/** "com.microsoft.FusedConv" is FusedConv of com.microsoft; a name without dots is standard. */
function splitName(op: string): { domain: string; opType: string } {
  const dot = op.lastIndexOf(".");
  return { domain: op.slice(0, Math.max(0, dot)), opType: op.slice(dot + 1) };
}

function opsets(graph: Graph) {
  const domains = new Set(graph.nodes.map((node) => splitName(node.op).domain));
  domains.delete("");
  return [["", OPSET] as const, ...[...domains].sort().map((domain) => [domain, 1] as const)]
    .map(([domain, version]) =>
      create(onnx.OperatorSetIdProtoSchema, { domain, version: BigInt(version) })
    );
}

function encodeNode(node: Node, names: Map<Value, string>) {
  const name = (value: Value | null) => value ? names.get(value) ?? value.name : "";
  const input = node.inputs.map(name);
  while (input.at(-1) === "") input.pop();
  return create(onnx.NodeProtoSchema, {
    ...splitName(node.op),
    name: node.results[0].name,
    input,
    output: node.results.map(name),
    attribute: Object.entries(node.attributes).sort(([a], [b]) => a < b ? -1 : 1)
      .map(([key, value]) => encodeAttribute(node, key, value)),
  });
}

function encodeAttribute(node: Node, name: string, value: Attribute) {
  const type = onnx.AttributeProto_AttributeType;
  const make = (init: object) => create(onnx.AttributeProtoSchema, { name, ...init });
  const utf8 = (text: string) => new TextEncoder().encode(text);
  const float = FLOAT_ATTRIBUTES.has(name);
  if (node.op === "Cast" && name === "to") {
    return make({ type: type.INT, i: BigInt(ELEMENT_TYPE[value as ElementType]) });
  }
  if (typeof value === "number" || typeof value === "boolean") {
    const number = Number(value);
    return float
      ? make({ type: type.FLOAT, f: number })
      : make({ type: type.INT, i: BigInt(number) });
  }
  if (typeof value === "string") return make({ type: type.STRING, s: utf8(value) });
  if (Array.isArray(value)) {
    if (typeof value[0] === "string") {
      return make({ type: type.STRINGS, strings: value.map((text) => utf8(String(text))) });
    }
    return float
      ? make({ type: type.FLOATS, floats: value.map(Number) })
      : make({ type: type.INTS, ints: value.map((number) => BigInt(number)) });
  }
  return make({ type: type.TENSOR, t: encodeTensor(value as Tensor, "") });
}

function encodeTensor({ type, dims, data }: Tensor, name: string): onnx.TensorProto {
  // raw_data is little-endian, as is every machine Deno runs on.
  const rawData = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  return create(onnx.TensorProtoSchema, {
    name,
    dims: dims.map(BigInt),
    dataType: ELEMENT_TYPE[type],
    rawData,
  });
}

function encodeValueInfo(name: string, { type, dims }: Value, symbolic?: string[]) {
  const dim = dims.map((size, axis) =>
    create(onnx.TensorShapeProto_DimensionSchema, {
      value: symbolic?.[axis]
        ? { case: "dimParam", value: symbolic[axis] }
        : { case: "dimValue", value: BigInt(size) },
    })
  );
  const tensor = create(onnx.TypeProto_TensorSchema, {
    elemType: ELEMENT_TYPE[type],
    shape: create(onnx.TensorShapeProtoSchema, { dim }),
  });
  return create(onnx.ValueInfoProtoSchema, {
    name,
    type: create(onnx.TypeProtoSchema, { value: { case: "tensorType", value: tensor } }),
  });
}

/**
 * The axes that grow with the batch, by input and output. The graph is built again for a batch one larger;
 * where a constant shape holds the batch, that fails.
 */
function symbolicDims(
  graph: Graph,
  { name, inputs }: NonNullable<EncodeOptions["symbolicBatch"]>,
): Map<string, string[]> {
  for (const input of inputs) {
    if (!graph.inputs.get(input)?.dims.length) {
      throw new RangeError(
        `cannot make the batch of "${input}" symbolic: no input with a first axis`,
      );
    }
  }
  let larger: Graph;
  try {
    const grow = (input: Value) =>
      inputs.includes(input.name) ? input.dims.with(0, input.dims[0] + 1) : input.dims;
    larger = rewrite(graph, { dims: grow });
  } catch (cause) {
    throw new RangeError("cannot make the batch symbolic: the graph fixes its size", { cause });
  }
  const sides = [[graph.inputs, larger.inputs], [graph.outputs, larger.outputs]] as const;
  return new Map(
    sides.flatMap(([before, after]) =>
      [...before].filter(([key, value]) => !sameDims(value.dims, after.get(key)!.dims))
        .map(([key, value]) => {
          const grown = after.get(key)!.dims;
          return [key, value.dims.map((dim, axis) => dim === grown[axis] ? "" : name)] as const;
        })
    ),
  );
}
