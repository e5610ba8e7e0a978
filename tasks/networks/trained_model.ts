/**
 * Writes trained weights as an ONNX model that runs anywhere.
 *
 * @module
 */

import { encodeModel } from "../../models/mod.ts";
import type { VariableSpec } from "../../runtime/devices/device.ts";
import { sizeOf } from "../../models/tensor.ts";
import { forwardGraph, type GraphShape } from "./graphs.ts";
import { encodeSafetensors } from "./safetensors.ts";
import type { TrainableModel } from "../task.ts";
import { stateDict } from "./state_dict.ts";

/**
 * Encodes a model with its weights inside: input `input` of any batch size, output `logits`. A model
 * from a file stays that file, with other weights. A model of sequences takes one of any length at a time,
 * and its carried state is in the inputs and outputs.
 *
 * @param specs what `flat` holds, in order
 * @param flat the weights and running statistics, one after another
 */
export function encodeTrained(
  model: TrainableModel,
  specs: readonly VariableSpec[],
  flat: Float32Array,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const data = cut(specs, flat);
  const file = model.encode?.(new Map(data.map((values, i) => [specs[i].name, values])));
  if (file) return file;
  // A batch of one is another graph: where axes change places, those of length 1 are passed over.
  const [name, shape, other]: [string, GraphShape, GraphShape] = model.anyLength
    ? ["length", { batchSize: 1, length: 70 }, { batchSize: 1, length: 71 }]
    : ["batch", { batchSize: 2 }, { batchSize: 3 }];
  const { graph } = forwardGraph(model, shape);
  const initializers: Record<string, Float32Array> = {};
  for (const [i, values] of data.entries()) {
    // What only training needs is no input of this graph.
    if (graph.inputs.has(specs[i].name)) initializers[specs[i].name] = values;
  }
  return encodeModel(graph, {
    initializers,
    symbolicBatch: { name, other: forwardGraph(model, other).graph },
    metadata,
  });
}

/** The same weights as PyTorch's state dict, in the safetensors format. */
export function encodeTrainedState(
  model: TrainableModel,
  specs: readonly VariableSpec[],
  flat: Float32Array,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const tensors = stateDict(specs, cut(specs, flat), model.ties);
  return encodeSafetensors({ tensors, metadata: { format: "pt", ...metadata } });
}

/** Each variable's part of the flat form. */
function cut(specs: readonly VariableSpec[], flat: Float32Array): Float32Array[] {
  let offset = 0;
  return specs.map(({ dims }) => flat.slice(offset, offset += sizeOf(dims)));
}
