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
  if (!graph.nodes.some(({ op }) => isKernel(op))) return null;
  const stages = new Stages(graph, isKernel), cutter = new Cutter(graph, stages, suffix);
  const parts: GraphPart[] = [];
  // Backwards: what a stage has to pass on is known once all after it have been made.
  for (let stage = stages.last; stage >= 0; stage--) {
    const kernels = cutter.kernelsAfter(stage);
    if (kernels === null) return null;
    parts.unshift(...cutter.graphOf(stage), ...kernels);
  }
  return { parts, passed: cutter.passed };
}

/** The order of a graph's kernels: a value's stage is the number of those that it needs one after another. */
class Stages {
  readonly #stages = new Map<Value, number>();
  /** That of the last kernels' results. */
  readonly last: number;

  constructor(graph: Graph, readonly isKernel: (op: string) => boolean) {
    let last = 0;
    for (const node of graph.nodes) {
      const isOne = isKernel(node.op), stage = this.before(node) + Number(isOne);
      for (const result of node.results) this.#stages.set(result, stage);
      if (isOne) last = Math.max(last, stage);
    }
    this.last = last;
  }

  /** That of a value. */
  of(value: Value): number {
    return this.#stages.get(value) ?? 0;
  }

  /** That in which all inputs of a node are there. */
  before(node: Node): number {
    return Math.max(0, ...node.inputs.map((input) => input ? this.of(input) : 0));
  }
}

/** Makes a graph's parts, the last stage's first, and finds out on the way what passes between them. */
class Cutter {
  /** What passes between the parts, by name. */
  readonly passed = new Map<string, Value>();
  readonly #graph: Graph;
  readonly #fed: ReadonlySet<Value>;
  readonly #kernels: readonly Node[];
  readonly #stages: Stages;
  readonly #suffix: string;
  /** What the graph of each stage has to pass on. */
  readonly #wanted: readonly Set<Value>[];

  constructor(graph: Graph, stages: Stages, suffix: string) {
    this.#graph = graph;
    this.#fed = new Set(graph.inputs.values());
    this.#kernels = graph.nodes.filter(({ op }) => stages.isKernel(op));
    this.#stages = stages;
    this.#suffix = suffix;
    this.#wanted = Array.from({ length: stages.last + 1 }, () => new Set<Value>());
  }

  /** The kernels between a stage and the next that anybody needs; null if one lacks what cannot be passed to it. */
  kernelsAfter(stage: number): GraphPart[] | null {
    const parts: GraphPart[] = [];
    for (const node of this.#kernels.toReversed()) {
      if (this.#stages.before(node) !== stage) continue;
      if (!node.results.some((result) => this.passed.has(passedName(result)))) continue;
      for (const result of node.results) this.passed.set(passedName(result), result);
      for (const input of node.inputs) {
        if (input && !this.#fed.has(input) && !this.#pass(input)) return null;
      }
      const named = (value: Value) => this.#fed.has(value) ? value.name : passedName(value);
      const inputs = node.inputs.map((input) => input && named(input));
      parts.unshift({ node, inputs, outputs: node.results.map(named) });
    }
    return parts;
  }

  /** The graph of a stage; none if nobody needs anything of it. */
  graphOf(stage: number): GraphPart[] {
    const wanted = [...this.#wanted[stage]];
    const outputName = (value: Value) => passedName(value) + this.#suffix;
    const outputs = new Map(wanted.map((value) => [outputName(value), value]));
    if (stage === this.#stages.last) {
      for (const [name, value] of this.#graph.outputs) outputs.set(name, value);
    }
    if (outputs.size === 0) return [];
    const passes = new Map(wanted.map((value) => [outputName(value), passedName(value)]));
    return [{ graph: this.#computing(outputs, stage), passes }];
  }

  /** Wants a value passed on; says whether that can be. */
  #pass(value: Value): boolean {
    if (value.type !== "float32" || !value.producer) return false;
    this.passed.set(passedName(value), value);
    if (!this.#stages.isKernel(value.producer.op)) this.#wanted[this.#stages.of(value)].add(value);
    return true;
  }

  /** The graph that computes some values of a stage. */
  #computing(outputs: ReadonlyMap<string, Value>, stage: number): Graph {
    const isEarlier = (value: Value, producer: Node) =>
      this.#stages.of(value) < stage || this.#stages.isKernel(producer.op);
    const copy = new Copy((value, producer) => isEarlier(value, producer) && this.#pass(value));
    // Whatever is fed is an input of the last part, until it is known which of them others read.
    if (stage === this.#stages.last) { for (const value of this.#fed) copy.find(value); }
    // In the order of the graph: what is computed by recursion alone would overflow the stack on a deep one.
    const needed = this.#neededBy(outputs.values(), stage);
    for (const node of this.#graph.nodes) if (needed.has(node)) copy.find(node.results[0]);
    copy.graph.scope = "";
    for (const [name, value] of outputs) copy.graph.output(name, copy.find(value));
    return copy.graph;
  }

  /** The nodes of a stage, or copied into it, that values need. */
  #neededBy(values: Iterable<Value>, stage: number): Set<Node> {
    const nodes = new Set<Node>(), open = [...values];
    while (open.length > 0) {
      const value = open.pop()!, { producer } = value;
      const isPassed = value.type === "float32" && this.#stages.of(value) < stage;
      if (!producer || this.#stages.isKernel(producer.op) || isPassed || nodes.has(producer)) {
        continue;
      }
      nodes.add(producer);
      for (const input of producer.inputs) if (input) open.push(input);
    }
    return nodes;
  }
}

/** A graph that computes values of another. */
class Copy {
  readonly graph = new Graph();
  readonly #copies = new Map<Value, Value>();
  readonly #isPassed: (value: Value, producer: Node) => boolean;

  /** @param isPassed whether a value is an input here, because another part passes it on */
  constructor(isPassed: (value: Value, producer: Node) => boolean) {
    this.#isPassed = isPassed;
  }

  /** A value's copy; made with all that it needs if there is none. */
  find(value: Value): Value {
    let found = this.#copies.get(value);
    if (found) return found;
    const { producer, name, type, dims } = value;
    if (value.constant) found = this.graph.tensor(value.constant);
    else if (!producer) found = this.graph.input(name, type, dims);
    else if (this.#isPassed(value, producer)) {
      found = this.graph.input(passedName(value), type, dims);
    } else {
      this.#compute(producer, name.slice(0, name.lastIndexOf("/") + 1));
      found = this.#copies.get(value)!;
    }
    this.#copies.set(value, found);
    return found;
  }

  #compute({ op, inputs: originals, attributes, outputs, results }: Node, scope: string): void {
    this.graph.scope = scope;
    const inputs = originals.map((input) => input && this.find(input));
    const [data] = inputs;
    if (CHANGING.has(op) && data && !data.producer && !data.constant) {
      inputs[0] = copied(this.graph, data);
    }
    const copies = this.graph.opMany(op, inputs, attributes, outputs);
    for (const [i, result] of results.entries()) this.#copies.set(result, copies[i]);
  }
}

/** What a value is called between the parts: no node of theirs has such a name. */
function passedName({ name }: Value): string {
  return `passed/${name}`;
}
