/**
 * The order in which a file lists its nodes.
 *
 * onnxruntime does not keep to it: it goes from the outputs back to what each node needs, depth first, the
 * input whose node stands latest in the file before the others. Left to itself it so computes all weights'
 * gradients after the last image's, and every mask of the backward pass in the forward one, and keeps
 * what they need until then.
 */

import type { Node } from "../graph.ts";

/**
 * The nodes in the order that lets onnxruntime compute them much as they were listed. It is made from its
 * end: of the nodes that nothing left over reads, the one listed first comes last. What was listed early
 * stands late, as far as its readers let it, and of two inputs is computed first.
 *
 * @param nodes in an order in which they can be computed, as is the result
 */
export function executionOrder(nodes: readonly Node[]): Node[] {
  const places = new Map(nodes.map((node, index) => [node, index]));
  const inputs = nodes.map((node) => {
    const producers = node.inputs.flatMap((input) => input?.producer ?? []);
    return [...new Set(producers)].map((producer) => places.get(producer)!);
  });
  const readers = nodes.map(() => 0);
  for (const index of inputs.flat()) readers[index]++;
  const free: number[] = []; // descending
  const insert = (index: number) => {
    let at = free.length;
    while (at > 0 && free[at - 1] < index) at--;
    free.splice(at, 0, index);
  };
  readers.forEach((count, index) => count === 0 && insert(index));
  const order: Node[] = [];
  while (free.length > 0) {
    const index = free.pop()!;
    order.push(nodes[index]);
    for (const input of inputs[index]) {
      if (--readers[input] === 0) insert(input);
    }
  }
  return order.reverse();
}
