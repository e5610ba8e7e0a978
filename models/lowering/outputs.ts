/** What a graph hands out on WebGPU. */

import type { Graph, Value } from "../graph.ts";
import { isFloat } from "../tensor.ts";

/** Operators that do nothing but copy, or copy before they change something. */
const COPYING = new Set([
  "Reshape",
  "Squeeze",
  "Unsqueeze",
  "Flatten",
  "Identity",
  "ScatterND",
  "ScatterElements",
]);

/**
 * Lets a kernel write every output. Commands that onnxruntime records on WebGPU are those of kernels: a
 * copy into an output is missing, and a replay hands out what was there before. Within a graph such
 * operators work in place.
 */
export function computeOutputs(g: Graph): void {
  const seen = new Set<Value>();
  for (const [name, value] of [...g.outputs]) {
    const copied = !value.producer || COPYING.has(value.producer.op) || seen.has(value);
    seen.add(value);
    if (!copied || !isFloat(value.type)) continue;
    // The sum over a new axis is the one kernel that changes nothing and that no optimizer removes.
    const last = [value.dims.length];
    g.outputs.set(name, g.sum(g.unsqueeze(value, last), last));
  }
}
