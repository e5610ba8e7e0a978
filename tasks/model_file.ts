/**
 * Writes trained weights as an ONNX model that runs anywhere.
 *
 * @module
 */

import { encodeModel } from "../models/mod.ts";
import type { VariableSpec } from "../runtime/devices/device.ts";
import { sizeOf } from "../models/tensor.ts";
import { forwardGraph } from "./graphs.ts";
import type { Network } from "./task.ts";

/**
 * Encodes a network with its weights inside: input `input` of any batch size, output `logits`.
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
  const initializers: Record<string, Float32Array> = {};
  let offset = 0;
  for (const { name, dims } of specs) {
    initializers[name] = flat.slice(offset, offset += sizeOf(dims));
  }
  return encodeModel(forwardGraph(network, { batchSize: 1 }).graph, {
    initializers,
    symbolicBatch: { name: "batch", other: forwardGraph(network, { batchSize: 2 }).graph },
    metadata,
  });
}
