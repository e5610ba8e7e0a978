/**
 * Copies a graph, node by node, into a new one: what no output needs is left behind, and what the new
 * graph can fold or share, it does.
 *
 * @module
 */

import { Graph, type Node, type Value } from "./graph.ts";

/** Appends to `g` what stands for the node, on inputs already copied; as many values as the node has. */
export type Emit = (g: Graph, node: Node, inputs: readonly (Value | null)[]) => readonly Value[];

/** The node as it is. */
export const copyNode: Emit = (g, { op, attributes, outputs }, inputs) =>
  g.opMany(op, inputs, attributes, outputs);

/** Options of {@linkcode rewrite}. */
export interface RewriteOptions {
  /** What a node becomes. @default {copyNode} */
  readonly emit?: Emit;
  /** The shapes of inputs, where they are to change. */
  readonly dims?: (input: Value) => readonly number[];
  /** Other outputs than the graph's. */
  readonly outputs?: ReadonlyMap<string, Value>;
}

/** The nodes that the outputs need, or others than the graph's, in order. */
export function liveNodes(
  graph: Graph,
  outputs: ReadonlyMap<string, Value> = graph.outputs,
): Node[] {
  const needed = new Set<Value>(outputs.values());
  return graph.nodes.toReversed().filter((node) => {
    if (!node.results.some((result) => needed.has(result))) return false;
    for (const input of node.inputs) if (input) needed.add(input);
    return true;
  }).reverse();
}

/** A copy of the graph with all its inputs and outputs, each node passed through `emit`. */
export function rewrite(graph: Graph, options: RewriteOptions = {}): Graph {
  const { emit = copyNode, dims = (input) => input.dims, outputs = graph.outputs } = options;
  const copy = new Graph();
  const known = new Map<Value, Value>();
  for (const input of graph.inputs.values()) {
    known.set(input, copy.input(input.name, input.type, dims(input)));
  }
  const find = (value: Value): Value => {
    let found = known.get(value);
    if (!found) known.set(value, found = copy.tensor(value.constant!));
    return found;
  };
  for (const node of liveNodes(graph, outputs)) {
    const cut = node.results[0].name.lastIndexOf("/") + 1;
    copy.scope = node.results[0].name.slice(0, cut);
    const results = emit(copy, node, node.inputs.map((input) => input && find(input)));
    for (const [i, result] of node.results.entries()) known.set(result, results[i]);
  }
  copy.scope = "";
  for (const [name, value] of outputs) copy.output(name, find(value));
  return copy;
}
