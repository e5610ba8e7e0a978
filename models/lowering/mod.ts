/**
 * Lowering: gives each internal operator (domain "celgc"), and each standard one that a device lacks, the
 * form in standard ONNX operators that is best on the device. Every choice that depends on a device is made
 * here, one operator family a file, and nowhere else.
 *
 * @module
 */

import type { Graph } from "../graph.ts";
import { copyNode, rewrite } from "../rewrite.ts";
import { blockedRule } from "./blocked/blocked.ts";
import { joinSmall } from "./joined.ts";
import { computeOutputs } from "./outputs.ts";
import type { Target } from "./rule.ts";
import { loweringRules } from "./rules/mod.ts";

export { executionOrder } from "./order.ts";
export type { Target } from "./rule.ts";

/**
 * The graph for a device: a copy with the same inputs and outputs, in operators that onnxruntime runs
 * there, without the nodes that no output needs.
 *
 * @param channelBlock channels in a block of the device's blocked images, 1 if it has none
 */
export function lower(graph: Graph, target: Target, channelBlock = 1): Graph {
  const lowered = rewrite(graph, {
    emit(g, node, inputs) {
      const { op, attributes, outputs } = node;
      const call = { op, inputs, attributes, outputs };
      const blocked = channelBlock > 1 ? blockedRule(op, channelBlock) : undefined;
      return blocked?.(g, call, target) ?? loweringRules[op]?.(g, call, target) ??
        copyNode(g, node, inputs);
    },
  });
  // Rules may make more than the outputs need, such as all three gradients of a normalisation.
  if (target !== "webgpu") return rewrite(lowered);
  const joined = joinSmall(lowered);
  computeOutputs(joined);
  return rewrite(joined);
}
