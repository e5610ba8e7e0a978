/** The order of a graph's nodes: exporters should list them as they are computed, and not all do. */

import { OnnxFileError, OnnxGraph, type OnnxNode } from "./onnx_graph.ts";

/** What a node reads: its inputs, and what its branches see of the graph around them. */
function readsOf(node: OnnxNode): string[] {
  const inner = Object.values(node.attributes).filter((value) => value instanceof OnnxGraph);
  return [...node.inputs, ...inner.flatMap((graph) => graph.nodes.flatMap(readsOf))];
}

/**
 * The nodes, each behind those whose results it reads; as they are listed, where that is such an order.
 *
 * @throws OnnxFileError when nodes wait for each other
 */
export function inOrder(nodes: readonly OnnxNode[]): OnnxNode[] {
  const producers = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node])));
  const order: OnnxNode[] = [], state = new Map<OnnxNode, "begun" | "done">();
  for (const root of nodes) {
    const stack = [root];
    while (stack.length > 0) {
      const node = stack.at(-1)!;
      if (!state.has(node)) {
        state.set(node, "begun");
        const waits = readsOf(node).map((name) => producers.get(name))
          .filter((each) => each !== undefined && state.get(each) !== "done") as OnnxNode[];
        const circle = waits.find((each) => state.has(each));
        if (circle) {
          throw new OnnxFileError(
            `the nodes "${node.name}" and "${circle.name}" wait for each other`,
          );
        }
        // The first to be computed on top.
        stack.push(...waits.reverse());
        continue;
      }
      stack.pop();
      if (state.get(node) === "done") continue;
      state.set(node, "done");
      order.push(node);
    }
  }
  return order;
}
