/**
 * An ONNX file with other weights: what it was before training in all else, symbolic axes included.
 *
 * @module
 */

import { create, fromBinary, onnx, toBinary } from "../../../deps.ts";
import { sizeOf } from "../../tensor.ts";
import { nodesOf } from "./_tensors.ts";
import { OnnxFileError } from "./onnx_graph.ts";

/**
 * A file's bytes with weights replaced, for prediction: batch normalisation that was exported for training
 * takes its running statistics, and dropout lets everything through.
 *
 * @param weights by the names that {@linkcode foreignModel} gives them, in row-major order
 * @throws OnnxFileError when a name is no weight of the file, or a weight has another length there
 */
export function replaceWeights(
  file: Uint8Array,
  weights: ReadonlyMap<string, Float32Array>,
): Uint8Array {
  const model = fromBinary(onnx.ModelProtoSchema, file), graph = model.graph!;
  const tensors = new Map(graph.initializer.map((each) => [each.name, each]));
  for (const [name, data] of weights) {
    const tensor = tensors.get(name) ?? constant(graph, name) ?? untied(graph, tensors, name);
    if (!tensor) throw new OnnxFileError(`"${name}" is no weight of the file`);
    const length = sizeOf(tensor.dims.map(Number));
    if (data.length !== length) {
      throw new OnnxFileError(
        `"${name}" has ${length} numbers in the file, and cannot be replaced by ${data.length}`,
      );
    }
    tensor.floatData = [];
    tensor.doubleData = [];
    // raw_data is little-endian, as is every machine Deno runs on.
    tensor.rawData = tensor.dataType === onnx.TensorProto_DataType.DOUBLE
      ? new Uint8Array(Float64Array.from(data).buffer)
      : new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  }
  for (const node of nodesOf(model)) {
    if (node.opType === "BatchNormalization") forPrediction(node);
    // Without its third input it is in inference mode.
    if (node.opType === "Dropout") node.input.splice(2);
  }
  return toBinary(onnx.ModelProtoSchema, model);
}

/** The tensor of a node that is a constant. */
function constant(graph: onnx.GraphProto, name: string): onnx.TensorProto | undefined {
  const node = graph.node.find(({ opType, output }) => opType === "Constant" && output[0] === name);
  return node?.attribute.find((each) => each.name === "value")?.t;
}

/** Gives a vector that was Identity of another one a tensor of its own. */
function untied(
  graph: onnx.GraphProto,
  tensors: ReadonlyMap<string, onnx.TensorProto>,
  name: string,
): onnx.TensorProto | undefined {
  const at = graph.node.findIndex(({ opType, output }) =>
    opType === "Identity" && output[0] === name
  );
  const same = tensors.get(graph.node[at]?.input[0]);
  if (!same) return undefined;
  const { dims, dataType } = same;
  const tensor = create(onnx.TensorProtoSchema, { name, dims, dataType });
  graph.node.splice(at, 1);
  graph.initializer.push(tensor);
  return tensor;
}

function forPrediction(node: onnx.NodeProto): void {
  node.attribute = node.attribute.filter(({ name }) => name !== "training_mode");
  // Statistics come out in training only.
  node.output.splice(1);
}
