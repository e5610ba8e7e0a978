/** What a graph hands out on WebGPU. */

import type { Graph, Value } from "../graph.ts";
import { isFloat, sizeOf } from "../tensor.ts";

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
    let output = value;
    if (isCopy && isFloat(value.type)) {
      output = value.constant ? computed(g, value) : copied(g, value);
    }
    // The same operator on the same value is the same value again: a third output needs a copy of the copy.
    while (taken.has(output) && isFloat(value.type) && !output.constant) output = copied(g, output);
    taken.add(output);
    g.outputs.set(name, output);
  }
}

/** A constant that a kernel hands out: it and a zero that depends on what is fed. As it is where nothing is. */
function computed(g: Graph, constant: Value): Value {
  const fed = [...g.inputs.values()].find(({ type, dims }) => isFloat(type) && sizeOf(dims) > 0);
  if (!fed) return constant;
  const axes = fed.dims.map((_, axis) => axis);
  const one = g.slice(fed, axes, axes.map(() => 0), axes.map(() => 1));
  const zero = g.cast(g.less(one, one), constant.type); // of a NaN, too
  return g.add(constant, g.reshape(zero, []));
}

/** A copy that a kernel makes: the sum over a new axis, the one that no optimizer removes. */
export function copied(g: Graph, value: Value): Value {
  const last = [value.dims.length];
  return g.sum(g.unsqueeze(value, last), last);
}

/** Operators that copy their first input and then change the copy, where it is an input of the graph. */
export const CHANGING: ReadonlySet<string> = new Set(["ScatterND", "ScatterElements"]);
