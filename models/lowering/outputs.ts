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
  const taken = new Set<Value>();
  for (const [name, value] of [...g.outputs]) {
    const isCopy = !value.producer || COPYING.has(value.producer.op);
    let output = isCopy && isFloat(value.type) ? copied(g, value) : value;
    // The same operator on the same value is the same value again: a third output needs a copy of the copy.
    while (taken.has(output) && isFloat(value.type)) output = copied(g, output);
    taken.add(output);
    g.outputs.set(name, output);
  }
}

/** A copy that a kernel makes: the sum over a new axis, the one that no optimizer removes. */
export function copied(g: Graph, value: Value): Value {
  const last = [value.dims.length];
  return g.sum(g.unsqueeze(value, last), last);
}

/** Operators that copy their first input and then change the copy, where it is an input of the graph. */
export const CHANGING: ReadonlySet<string> = new Set(["ScatterND", "ScatterElements"]);
