/**
 * The arithmetic of a graph in float64, operator by operator, on the host. It is slow and exact: the
 * reference that tests compare devices with.
 *
 * @module
 */

import type { Graph, Value } from "./graph.ts";
import { OperatorError } from "./operator.ts";
import { findOperator } from "./ops/mod.ts";
import { type NumberTensor, toNumbers } from "./tensor.ts";

const ABSENT: NumberTensor = { type: "float32", dims: [0], data: new Float64Array(0) };

/**
 * Computes values of a graph.
 *
 * @param known the elements of the graph's inputs; those of all that is computed are added
 * @param results the values to return
 * @throws OperatorError when an operator has no arithmetic of its own, or its inputs do not fit it
 */
export function evaluateGraph(
  graph: Graph,
  known: Map<Value, NumberTensor>,
  results: readonly Value[],
): NumberTensor[] {
  const find = (value: Value | null): NumberTensor => {
    if (!value) return ABSENT;
    let tensor = known.get(value);
    if (!tensor) known.set(value, tensor = toNumbers(value.constant!));
    return tensor;
  };
  for (const node of graph.nodes) {
    const { infer, evaluate } = findOperator(node.op);
    if (!evaluate) throw new OperatorError(node, "it has no arithmetic of its own");
    const types = infer(node);
    evaluate(node.inputs.map(find), node, types, evaluateGraph)
      .forEach((data, i) => known.set(node.results[i], { ...types[i], data }));
  }
  return results.map(find);
}
