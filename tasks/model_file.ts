/**
 * Writes trained weights as an ONNX model that runs anywhere.
 *
 * @module
 */

import { encodeModel } from "../models/mod.ts";
import type { VariableSpec } from "../runtime/devices/device.ts";
import { sizeOf } from "../models/tensor.ts";
import { forwardGraph, type GraphShape } from "./graphs.ts";
import type { Network } from "./task.ts";

/**
 * Encodes a network with its weights inside: input `input` of any batch size, output `logits`. A network
 * of sequences takes one of any length at a time, and its carried state is in the inputs and outputs.
 *
 * @param specs what `flat` holds, in order
 * @param flat the weights and running statistics, one after another
 */
export function encodeTrained(
  network: Network,
  specs: readonly VariableSpec[],
  flat: Float32Array,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const [name, shape, other]: [string, GraphShape, GraphShape] = network.anyLength
    ? ["length", { batchSize: 1, length: 70 }, { batchSize: 1, length: 71 }]
    : ["batch", { batchSize: 1 }, { batchSize: 2 }];
  const { graph } = forwardGraph(network, shape);
  const initializers: Record<string, Float32Array> = {};
  let offset = 0;
  for (const { name, dims } of specs) {
    const data = flat.slice(offset, offset += sizeOf(dims));
    // What only training needs is no input of this graph.
    if (graph.inputs.has(name)) initializers[name] = data;
  }
  return encodeModel(graph, {
    initializers,
    symbolicBatch: { name, other: forwardGraph(network, other).graph },
    metadata,
  });
}
