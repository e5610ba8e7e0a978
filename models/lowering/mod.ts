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
import { cut, type CutGraph } from "./segments.ts";
import type { Target } from "./rule.ts";
import { loweringRules } from "./rules/mod.ts";

export { executionOrder } from "./order.ts";
export type { CutGraph } from "./segments.ts";
export type { Target } from "./rule.ts";

/**
 * The graph for a device: a copy with the same inputs and outputs, in operators that onnxruntime runs
 * there, without the nodes that no output needs.
 *
 * @param channelBlock channels in a block of the device's blocked images, 1 if it has none
 */
export function lower(graph: Graph, target: Target, channelBlock = 1): Graph {
  const lowered = lowerNodes(graph, target, channelBlock);
  // Rules may make more than the outputs need, such as all three gradients of a normalisation.
  if (target !== "webgpu") return rewrite(lowered);
  const joined = joinSmall(lowered);
  computeOutputs(joined);
  return rewrite(joined);
}

/**
 * The graph for WebGPU, cut where operators are that the device has kernels for.
 *
 * @param kernels those operators
 * @param suffix what an output has behind its name that is passed from part to part
 * @returns null where the graph needs none of them: it is lowered as a whole then
 */
export function lowerInParts(
  graph: Graph,
  kernels: ReadonlySet<string>,
  suffix: string,
): CutGraph | null {
  const lowered = joinSmall(lowerNodes(graph, "webgpu", 1, kernels));
  const parts = cut(lowered, (op) => kernels.has(op), suffix);
  if (parts === null) return null;
  return {
    passed: parts.passed,
    parts: parts.parts.map((part) => {
      if ("node" in part) return part;
      computeOutputs(part.graph);
      return { ...part, graph: rewrite(part.graph) };
    }),
  };
}

function lowerNodes(
  graph: Graph,
  target: Target,
  channelBlock: number,
  left: ReadonlySet<string> = new Set(),
): Graph {
  return rewrite(graph, {
    emit(g, node, inputs) {
      const { op, attributes, outputs } = node;
      if (left.has(op)) return copyNode(g, node, inputs);
      const call = { op, inputs, attributes, outputs };
      const blocked = channelBlock > 1 ? blockedRule(op, channelBlock) : undefined;
      return blocked?.(g, call, target) ?? loweringRules[op]?.(g, call, target) ??
        copyNode(g, node, inputs);
    },
  });
}
