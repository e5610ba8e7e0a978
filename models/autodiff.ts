/**
 * Reverse-mode differentiation of a graph, as more nodes of the same graph (Griewank and Walther 2008,
 * chapter 3). The rules are the operators' own, in ops/; this is only the order in which they run.
 *
 * @module
 */

import type { Graph, Node, Value } from "./graph.ts";
import { OperatorError } from "./operator.ts";
import { findOperator } from "./ops/mod.ts";
import { formatDims, isFloat, sizeOf } from "./tensor.ts";

/**
 * Appends the backward pass to a graph.
 *
 * @param graph the graph that computes the loss
 * @param loss the value to differentiate; one element
 * @param wrt the values to differentiate by: inputs or any intermediate values, float
 * @returns ∂loss/∂value for each of `wrt`, of its type and shape
 * @throws OperatorError when an operator between `wrt` and the loss has no gradient rule
 * @throws RangeError when the loss is no scalar or does not depend on one of `wrt`
 *
 * @example
 * ```ts
 * import { Graph } from "./graph.ts";
 * import { differentiate } from "./autodiff.ts";
 * const g = new Graph();
 * const x = g.input("x", "float32", [3]);
 * const [dx] = differentiate(g, g.sum(g.mul(x, x)), [x]);
 * console.assert(dx.dims[0] === 3);
 * ```
 */
export function differentiate(graph: Graph, loss: Value, wrt: readonly Value[]): Value[] {
  if (sizeOf(loss.dims) !== 1 || !isFloat(loss.type)) {
    throw new RangeError(
      `cannot differentiate ${loss.name}: a loss is one floating-point number, not ${loss.type}` +
        `${formatDims(loss.dims)}; take its sum or mean`,
    );
  }
  const path = nodesBetween(graph, loss, wrt);
  const gradients = new Map<Value, Value>();
  const accumulate = (value: Value, gradient: Value) => {
    const sum = gradients.get(value);
    gradients.set(value, sum ? graph.add(sum, gradient) : gradient);
  };
  accumulate(loss, graph.constant(loss.type, loss.dims, 1));
  for (const node of path.toReversed()) {
    const dy = node.results.map((result) => gradients.get(result) ?? null);
    if (dy.every((each) => each === null)) continue;
    const rule = findOperator(node.op).gradient;
    if (!rule) {
      throw new OperatorError(
        node,
        "it has no gradient rule; add one to its family in models/ops/, or take the gradient by " +
          "values that do not pass through it",
      );
    }
    for (const [i, gradient] of rule(graph, node, dy).entries()) {
      if (gradient) accumulate(node.inputs[i]!, gradient);
    }
  }
  return wrt.map((value) => {
    const gradient = gradients.get(value);
    if (gradient) return gradient;
    throw new RangeError(
      `cannot differentiate ${loss.name} by ${value.name}: it does not depend on it`,
    );
  });
}

/** The nodes that lie on a way from `wrt` to the loss, in order. */
function nodesBetween(graph: Graph, loss: Value, wrt: readonly Value[]): Node[] {
  const reached = new Set<Value>(wrt);
  const forward = graph.nodes.filter((node) => {
    if (!node.inputs.some((input) => input && reached.has(input))) return false;
    for (const result of node.results) if (isFloat(result.type)) reached.add(result);
    return true;
  });
  const needed = new Set<Value>([loss]);
  return forward.toReversed().filter((node) => {
    if (!node.results.some((result) => needed.has(result))) return false;
    for (const input of node.inputs) if (input && reached.has(input)) needed.add(input);
    return true;
  }).reverse();
}
