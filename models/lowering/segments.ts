/**
 * A lowered graph in parts, cut where operators are that the device computes by kernels of its own.
 *
 * A node belongs to the first part after every kernel that it depends on. What a later part needs of an earlier
 * one is passed on if it is float32, and computed again if it is not: those are comparisons and indices, which
 * cost little. All outputs of the graph come from the last part, so that nothing has changed before everything
 * has been read.
 */

import { Graph, type Node, type Value } from "../graph.ts";
import { CHANGING, copied } from "./outputs.ts";

/** A part of a graph: a graph of its own, or one of its nodes. */
export type GraphPart =
  | {
    readonly graph: Graph;
    /** Outputs of that graph by what they are called where it passes them on. */
    readonly passes: ReadonlyMap<string, string>;
  }
  | {
    readonly node: Node;
    /** What its inputs are called where they are passed on, or in the graph; null for one that is absent. */
    readonly inputs: readonly (string | null)[];
    readonly outputs: readonly string[];
  };

/** A graph in parts. */
export interface CutGraph {
  readonly parts: readonly GraphPart[];
  /** What passes between the parts, by name. */
  readonly passed: ReadonlyMap<string, Value>;
}

/**
 * Cuts a graph at the operators that `isKernel` names.
 *
 * @param suffix what an output has behind its name that is passed on
 * @returns null if there are none, or if one of them needs what cannot be passed to it
 */
export function cut(
  graph: Graph,
  isKernel: (op: string) => boolean,
  suffix: string,
): CutGraph | null {
  const kernels = graph.nodes.filter(({ op }) => isKernel(op));
  if (kernels.length === 0) return null;
  const stages = new Map<Value, number>();
  const stageOf = (value: Value) => stages.get(value) ?? 0;
  const after = (node: Node) =>
    Math.max(0, ...node.inputs.map((input) => input ? stageOf(input) : 0));
  for (const node of graph.nodes) {
    const stage = after(node) + Number(isKernel(node.op));
    for (const result of node.results) stages.set(result, stage);
  }
  const last = Math.max(...kernels.map((node) => after(node) + 1));
  const fed = new Set(graph.inputs.values());
  const passed = new Map<string, Value>();
  const wanted = Array.from({ length: last + 1 }, () => new Set<Value>());
  /** Wants a value passed on; says whether that can be. */
  const pass = (value: Value): boolean => {
    if (value.type !== "float32" || !value.producer) return false;
    passed.set(passedName(value), value);
    if (!isKernel(value.producer.op)) wanted[stageOf(value)].add(value);
    return true;
  };

  const parts: GraphPart[] = [];
  for (let stage = last; stage >= 0; stage--) {
    for (const node of kernels.filter((node) => after(node) === stage).reverse()) {
      if (!node.results.some((result) => passed.has(passedName(result)))) continue;
      for (const result of node.results) passed.set(passedName(result), result);
      for (const input of node.inputs) {
        if (input && !fed.has(input) && !pass(input)) return null;
      }
      const named = (value: Value) => fed.has(value) ? value.name : passedName(value);
      const inputs = node.inputs.map((input) => input && named(input));
      parts.unshift({ node, inputs, outputs: node.results.map(named) });
    }
    const outputs = new Map([...wanted[stage]].map((value) => [passedName(value) + suffix, value]));
    if (stage === last) { for (const [name, value] of graph.outputs) outputs.set(name, value); }
    if (outputs.size === 0) continue;
    const passes = new Map(
      [...wanted[stage]].map((value) => [passedName(value) + suffix, passedName(value)]),
    );
    parts.unshift({ graph: part(outputs, stage), passes });
  }
  return { parts, passed };

  /** The graph that computes some values of a stage. */
  function part(outputs: ReadonlyMap<string, Value>, stage: number): Graph {
    const own = new Graph(), known = new Map<Value, Value>();
    const find = (value: Value): Value => {
      let found = known.get(value);
      if (found) return found;
      const { producer, name, type, dims } = value;
      if (value.constant) found = own.tensor(value.constant);
      else if (!producer) found = own.input(name, type, dims);
      else if ((stageOf(value) < stage || isKernel(producer.op)) && pass(value)) {
        found = own.input(passedName(value), type, dims);
      } else {
        own.scope = name.slice(0, name.lastIndexOf("/") + 1);
        const inputs = producer.inputs.map((input) => input && find(input));
        const [data] = inputs;
        if (CHANGING.has(producer.op) && data && !data.producer && !data.constant) {
          inputs[0] = copied(own, data);
        }
        const results = own.opMany(producer.op, inputs, producer.attributes, producer.outputs);
        for (const [i, result] of producer.results.entries()) known.set(result, results[i]);
        found = known.get(value)!;
      }
      known.set(value, found);
      return found;
    };
    // Whatever is fed is an input of the last part, as it is one of the graph, whether it is used or not.
    if (stage === last) { for (const value of fed) find(value); }
    // In the order of the graph: what is computed by recursion alone would overflow the stack on a deep one.
    const needed = neededBy(outputs.values(), stage);
    for (const node of graph.nodes) if (needed.has(node)) find(node.results[0]);
    own.scope = "";
    for (const [name, value] of outputs) own.output(name, find(value));
    return own;
  }

  /** The nodes of a stage, or copied into it, that values need. */
  function neededBy(values: Iterable<Value>, stage: number): Set<Node> {
    const nodes = new Set<Node>(), open = [...values];
    while (open.length > 0) {
      const value = open.pop()!, { producer } = value;
      const isPassed = value.type === "float32" && stageOf(value) < stage;
      if (!producer || isKernel(producer.op) || isPassed || nodes.has(producer)) continue;
      nodes.add(producer);
      for (const input of producer.inputs) if (input) open.push(input);
    }
    return nodes;
  }
}

/** What a value is called between the parts: no node of theirs has such a name. */
function passedName({ name }: Value): string {
  return `passed/${name}`;
}
