/**
 * Writes a graph as an ONNX model. The same graph gives the same bytes.
 *
 * @module
 */

import { create, onnx, toBinary } from "../deps.ts";
import {
  encodeSegmented,
  type KernelCall,
  type KernelOperator,
  OUTPUT_SUFFIX,
} from "../runtime/devices/segments/segmented_model.ts";
import { Body } from "./body.ts";
import type { Graph, Node, Value } from "./graph.ts";
import {
  executionOrder,
  lower,
  type LoweredParts,
  lowerInParts,
  type Target,
} from "./lowering/mod.ts";
import type { Attribute } from "./operator.ts";
import { checkTensor, type ElementType, type Tensor, type TensorData } from "./tensor.ts";

/**
 * The operator set the models are written in: the oldest that has every operator of the graphs, so that
 * runtimes of some age read them too.
 */
export const OPSET = 17;
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
  "alpha beta gamma lambd epsilon momentum value_float value_floats bias high low mean scale seed scales clip threshold activation_alpha activation_beta spatial_scale cubic_coeff_a extrapolation_value softcap"
    .split(" "),
);

/** Options of {@linkcode encodeModel}. */
export interface EncodeOptions {
  /** Where the model will run. @default {"portable"} */
  readonly target?: Target;
  /** Channels in a block of the device's blocked images: its `channelBlock`. @default {1} */
  readonly channelBlock?: number;
  /**
   * The device's own kernels, its `kernels`. Where the graph has their operators the result is a model in parts
   * instead of a file, for that device's `compile()` alone, and none of the options below count. @default {none}
   */
  readonly kernels?: ReadonlySet<KernelOperator>;
  /** Inputs that become constants inside the file, such as trained weights: data in row-major order. */
  readonly initializers?: Readonly<Record<string, TensorData>>;
  /** First values of inputs that stay inputs, and have these where they are not fed. */
  readonly defaults?: Readonly<Record<string, TensorData>>;
  /**
   * Names the batch's axis instead of giving its length, so that the model takes batches of any size:
   * `name` as the axis is to be called, and `other`, the same model built at another batch size. The axes
   * in which the two differ are the batch's.
   */
  readonly symbolicBatch?: { readonly name: string; readonly other: Graph };
  /** Text kept in the file, such as the model's name. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Encodes a graph as an ONNX model (opset {@linkcode OPSET}).
 *
 * @returns the bytes of a ModelProto
 * @throws RangeError when an initializer is no input or has another length, or when the model computes
 * something else at another batch size
 */
export function encodeModel(graph: Graph, options: EncodeOptions = {}): Uint8Array {
  const { target = "portable", channelBlock = 1, symbolicBatch, kernels } = options;
  const cut = kernels?.size ? lowerInParts(graph, kernels, OUTPUT_SUFFIX) : null;
  if (cut) return encodeParts(cut);
  const lowered = lower(graph, target, channelBlock);
  return encodeLowered(
    lowered,
    options,
    symbolicBatch ? symbolicDims(lowered, target, symbolicBatch) : new Map(),
  );
}

/** Encodes the parts of a graph, and what passes between them. */
function encodeParts({ parts, passed, update }: LoweredParts): Uint8Array {
  return encodeSegmented({
    update: update ?? undefined,
    passed: [...passed].map(([name, { dims }]) => ({ name, dims })),
    parts: parts.map((part) =>
      "node" in part
        ? {
          kernel: {
            operator: part.node.op as KernelCall["operator"],
            inputs: part.inputs,
            inputDims: part.node.inputs.map((input) => input?.dims ?? []),
            outputs: part.outputs,
          },
        }
        : { graph: encodeLowered(part.graph), updates: [...part.passes.values()] }
    ),
  });
}

/** Encodes a graph that has been lowered; `symbolic` names axes of inputs and outputs. */
function encodeLowered(
  lowered: Graph,
  options: Pick<EncodeOptions, "initializers" | "defaults" | "metadata"> = {},
  symbolic: ReadonlyMap<string, string[]> = new Map(),
): Uint8Array {
  const { initializers = {}, metadata = {} } = options;
  const values = { ...options.defaults, ...initializers };
  for (const [name, data] of Object.entries(values)) {
    const input = lowered.inputs.get(name);
    if (!input) throw new RangeError(`cannot put "${name}" into the model: it is not an input`);
    checkTensor({ type: input.type, dims: input.dims, data });
  }
  const names = outputNames(lowered);
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
      node: encodeNodes(executionOrder(lowered.nodes), names, [...lowered.outputs]),
      initializer: [
        ...constantsOf(lowered).map((value) =>
          encodeTensor(value.constant!, names.get(value) ?? value.name)
        ),
        ...Object.entries(values).map(([name, data]) =>
          encodeTensor({ ...lowered.inputs.get(name)!, data }, name)
        ),
      ],
      input: inputs.map(([name, value]) => describe(name, value)),
      output: [...lowered.outputs].map(([name, value]) => describe(name, value)),
    }),
  });
  return toBinary(onnx.ModelProtoSchema, model);
}

type Names = Map<Value, string>;

/** The nodes, and an Identity for each output that is not computed under its own name. */
function encodeNodes(
  list: readonly Node[],
  names: Names,
  outputs: readonly (readonly [string, Value])[],
) {
  const nodes = list.map((node) => encodeNode(node, names));
  for (const [name, value] of outputs) {
    if (names.get(value) === name) continue;
    const input = [names.get(value) ?? value.name];
    nodes.push(create(onnx.NodeProtoSchema, { opType: "Identity", input, output: [name], name }));
  }
  return nodes;
}

/**
 * A loop's body. Its names live among those of the graph around it, so they get a prefix; captured values
 * go by their names outside.
 */
function encodeBody(
  { graph, captured }: Body,
  prefix: string,
  outside: readonly string[],
): onnx.GraphProto {
  const inputs = [...graph.inputs.values()], own = inputs.length - captured;
  const names: Names = new Map();
  const constants = constantsOf(graph);
  const results = graph.nodes.flatMap((node) => node.results);
  for (const value of [...inputs, ...constants, ...results]) {
    names.set(value, `${prefix}/${value.name}`);
  }
  inputs.slice(own).forEach((value, i) => names.set(value, outside[i]));
  const outputs = [...graph.outputs].map(([name, value]) => [`${prefix}/${name}`, value] as const);
  // A result goes by its output's name, so that the loop's memory is where it is computed.
  for (const [name, value] of outputs.toReversed()) if (value.producer) names.set(value, name);
  return create(onnx.GraphProtoSchema, {
    name: prefix,
    node: encodeNodes(graph.nodes, names, outputs),
    initializer: constants.map((value) => encodeTensor(value.constant!, names.get(value)!)),
    input: inputs.slice(0, own).map((value) => encodeValueInfo(names.get(value)!, value)),
    output: outputs.map(([name, value]) => encodeValueInfo(name, value)),
  });
}

/** The name each node's result gets because it is an output; the first of several takes the value. */
function outputNames(graph: Graph): Names {
  const names: Names = new Map();
  for (const [name, value] of graph.outputs) {
    if (value.producer && !names.has(value)) names.set(value, name);
  }
  const taken = new Set(graph.outputs.keys());
  // A value that happens to carry an output's name makes way.
  for (const value of [...constantsOf(graph), ...graph.nodes.flatMap((node) => node.results)]) {
    if (!names.has(value) && taken.has(value.name)) names.set(value, `${value.name}~${value.id}`);
  }
  return names;
}

function constantsOf(graph: Graph): Value[] {
  const used = [...graph.nodes.flatMap((node) => written(node).inputs), ...graph.outputs.values()];
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

/**
 * A node as {@linkcode OPSET} writes it. The builder speaks of opset 18, in which every reduction takes its
 * axes as an input.
 */
function written(node: Node): Node {
  if (!node.op.startsWith("Reduce") || node.op === "ReduceSum") return node;
  const [x, axes] = node.inputs, { noop_with_empty_axes: _, ...attributes } = node.attributes;
  const list = Array.from(axes?.constant?.data ?? [], Number);
  return {
    ...node,
    inputs: [x],
    attributes: list.length > 0 ? { ...attributes, axes: list } : attributes,
  };
}

function encodeNode(given: Node, names: Names) {
  const node = written(given);
  const name = (value: Value | null) => value ? names.get(value) ?? value.name : "";
  const input = node.inputs.map(name);
  const captured = Object.values(node.attributes).flatMap((value) =>
    value instanceof Body ? input.splice(input.length - value.captured) : []
  );
  while (input.at(-1) === "") input.pop();
  return create(onnx.NodeProtoSchema, {
    ...splitName(node.op),
    name: node.results[0].name,
    input,
    output: node.results.map(name),
    attribute: Object.entries(node.attributes).sort(([a], [b]) => a < b ? -1 : 1)
      .map(([key, value]) => encodeAttribute(node, key, value, captured)),
  });
}

function encodeAttribute(node: Node, name: string, value: Attribute, captured: string[]) {
  const type = onnx.AttributeProto_AttributeType;
  const make = (init: object) => create(onnx.AttributeProtoSchema, { name, ...init });
  const utf8 = (text: string) => new TextEncoder().encode(text);
  const float = FLOAT_ATTRIBUTES.has(name);
  if (node.op === "Cast" && name === "to") {
    return make({ type: type.INT, i: BigInt(ELEMENT_TYPE[value as ElementType]) });
  }
  if (value instanceof Body) {
    return make({ type: type.GRAPH, g: encodeBody(value, node.results[0].name, captured) });
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

/** The axes that differ between a graph and its twin at another batch size, by input and output. */
function symbolicDims(
  graph: Graph,
  target: Target,
  { name, other }: NonNullable<EncodeOptions["symbolicBatch"]>,
): Map<string, string[]> {
  const twin = lower(other, target);
  if (recipe(graph) !== recipe(twin)) {
    throw new RangeError(
      "cannot make the batch symbolic: the graph and the one at another batch size differ in more " +
        "than the shapes of values; a node or a constant depends on the batch",
    );
  }
  const sides = [[graph.inputs, twin.inputs], [graph.outputs, twin.outputs]] as const;
  return new Map(sides.flatMap(([here, there]) =>
    [...here].map(([key, { dims }]) => {
      const others = there.get(key)!.dims;
      return [key, dims.map((dim, axis) => dim === others[axis] ? "" : name)] as const;
    })
  ));
}

/** What a graph computes, whatever the shapes: its nodes and constants as text. */
function recipe(graph: Graph): string {
  const plain = (_key: string, value: unknown) => typeof value === "bigint" ? String(value) : value;
  const ends = [[...graph.inputs.keys()], [...graph.outputs.keys()]];
  const nodes = graph.nodes.map(({ op, inputs, attributes, results }) => [
    op,
    inputs.map((value) => value?.constant ?? value?.name),
    attributes,
    results.map((value) => value.name),
  ]);
  return JSON.stringify([ends, nodes], plain);
}
