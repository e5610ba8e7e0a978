/** Blocked operators in standard ones, for blocks that this machine's engine may not have. */

import type { Graph, Node, Value } from "../../../models/graph.ts";
import { intAttribute } from "../../../models/operator.ts";
import { NCHWC } from "../../../models/ops/layers/blocked.ts";
import { copyNode, rewrite } from "../../../models/rewrite.ts";
import { sizeOf } from "../../../models/tensor.ts";

/** A blocked image, `[batch, channels / size, …image, size]` in memory, as a plain one. */
function plain(g: Graph, x: Value, size: number): Value {
  const [batch, channels, ...image] = x.dims;
  const open = g.reshape(x, [batch, channels / size, ...image, size]);
  return g.reshape(g.transpose(open, [0, 1, 4, 2, 3]), x.dims);
}

/** A plain image as a blocked one. */
function blocked(g: Graph, x: Value, size: number): Value {
  const [batch, channels, ...image] = x.dims;
  const open = g.reshape(x, [batch, channels / size, size, ...image]);
  return g.reshape(g.transpose(open, [0, 1, 3, 4, 2]), x.dims);
}

/**
 * A convolution whose weight lies as MLAS's kernels read it (onnxruntime, mlas/lib/snchwc.cpp): the kernel
 * for one channel a group, the one for plain images of less than a block, and the one for blocks.
 */
function convolution(g: Graph, node: Node, inputs: readonly (Value | null)[], size: number): Value {
  const [x, weight, bias, sum] = inputs as Value[];
  const [filters, channels, ...kernel] = weight.dims, taps = sizeOf(kernel);
  const group = intAttribute(node, "group", 1), depthwise = channels === 1 && filters === group;
  let taken: Value;
  if (depthwise) {
    taken = g.transpose(g.reshape(weight, [filters / size, taps, size]), [0, 2, 1]);
  } else if (channels < size) {
    const open = g.reshape(weight, [filters / size, channels, taps, size]);
    taken = g.transpose(open, [0, 3, 1, 2]);
  } else {
    const open = g.reshape(weight, [filters / size, channels / size, taps, size, size]);
    taken = g.transpose(open, [0, 4, 1, 3, 2]);
  }
  const image = depthwise || channels >= size ? plain(g, x, size) : x;
  const { activation, ...attributes } = node.attributes;
  const terms = [image, g.reshape(taken, weight.dims), ...bias ? [bias] : []];
  let y = g.op("Conv", terms, attributes);
  if (sum) y = g.add(y, plain(g, sum, size));
  return blocked(g, activation === "Relu" ? g.relu(y) : y, size);
}

/** A graph lowered for blocks of `size` channels, in standard operators. */
export function emulateBlocks(lowered: Graph, size: number): Graph {
  return rewrite(lowered, {
    emit(g, node, inputs) {
      const x = inputs[0]!;
      switch (node.op) {
        case `${NCHWC}ReorderInput`:
          return [blocked(g, x, size)];
        case `${NCHWC}ReorderOutput`:
          return [plain(g, x, size)];
        case `${NCHWC}GlobalAveragePool`:
          return [g.mean(plain(g, x, size), [2, 3], true)];
        case `${NCHWC}Conv`:
          return [convolution(g, node, inputs, size)];
      }
      return copyNode(g, node, inputs);
    },
  });
}
