/**
 * The body of a loop: a graph of its own, carried as an attribute by the node that repeats it.
 *
 * @module
 */

import type { Graph, Value } from "./graph.ts";

/** What a Scan repeats. */
export class Body {
  /**
   * Wraps a graph that is repeated.
   *
   * @param graph its inputs, in order: the loop's state, then slices of the scanned values, then the
   *   captured values; its outputs: the next state, then what is collected
   * @param captured how many of the inputs are not handed over but seen from outside, the same in
   *   every round and never copied; the node's last inputs
   */
  constructor(readonly graph: Graph, readonly captured: number) {}

  /** The nodes and constants as plain data, so that bodies can be compared. */
  toJSON(): unknown {
    const name = (value: Value | null) => value?.constant?.data.toString() ?? value?.name;
    const { nodes, inputs, outputs } = this.graph;
    return {
      inputs: [...inputs.keys()],
      outputs: [...outputs].map(([key, value]) => [key, name(value)]),
      nodes: nodes.map(({ op, inputs, attributes, results }) => [
        op,
        inputs.map(name),
        attributes,
        results.map(name),
      ]),
      captured: this.captured,
    };
  }
}
