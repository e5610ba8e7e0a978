/**
 * Lowering: gives each internal operator (domain "celgc"), and each standard one that a device lacks, the
 * form in standard ONNX operators that is best on the device. Every choice that depends on a device is made
 * here, one operator family a file, and nowhere else.
 *
 * @module
 */

import type { KernelOperator } from "../../runtime/devices/segments/segmented_model.ts";
import type { UpdateCall } from "../../runtime/devices/segments/update_call.ts";
import type { Graph, Value } from "../graph.ts";
import { copyNode, rewrite } from "../rewrite.ts";
import { blockedRule } from "./blocked/blocked.ts";
import { joinSmall } from "./joined.ts";
import { computeOutputs } from "./outputs.ts";
import { reshaped } from "./forms.ts";
import { cut, type CutGraph, type GraphPart } from "./segments.ts";
import type { Target } from "./rule.ts";
import { loweringRules } from "./rules/mod.ts";
import { takeUpdate } from "./update.ts";

export { executionOrder } from "./order.ts";
export type { Target } from "./rule.ts";

const UPDATE: KernelOperator = "celgc.Update";

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

/** A graph that a device computes in parts. */
export interface LoweredParts extends CutGraph {
  /** What comes after them. */
  readonly update: UpdateCall | null;
}

/**
 * The graph for WebGPU, cut where operators are that the device has kernels for, and without the update at its end
 * if the device has kernels for that.
 *
 * @param kernels those operators
 * @param suffix what an output has behind its name that is passed from part to part, or left for the update
 * @returns null where the graph needs none of them: it is lowered as a whole then
 */
export function lowerInParts(
  graph: Graph,
  kernels: ReadonlySet<string>,
  suffix: string,
): LoweredParts | null {
  const taken = kernels.has(UPDATE) ? takeUpdate(graph, suffix) : null;
  const { rest, call } = taken ?? { rest: graph, call: null };
  const lowered = joinSmall(lowerNodes(rest, "webgpu", 1, kernels));
  const left = new Set(call?.left.map(({ name }) => name + suffix));
  for (const name of left) lowered.outputs.set(name, uncopied(lowered, name));
  const whole = { parts: [{ graph: lowered, passes: new Map() }], passed: new Map() };
  const parts = cut(lowered, (op) => kernels.has(op), suffix) ?? (call && whole);
  if (parts === null) return null;
  const last = parts.parts.findLastIndex((part) => "graph" in part);
  const dims = new Map<string, readonly number[]>();
  const finished = parts.parts.flatMap((part, i): GraphPart[] => {
    if ("node" in part) return [part];
    computeOutputs(part.graph);
    const graph = rewrite(part.graph);
    if (i !== last) return [{ ...part, graph }];
    for (const name of left) dims.set(name, graph.outputs.get(name)!.dims);
    const passes = new Map(part.passes);
    for (const name of left) passes.set(name, name.slice(0, -suffix.length));
    return graph.outputs.size > 0 ? [{ graph, passes }] : [];
  });
  const update = call &&
    { ...call, left: call.left.map(({ name }) => ({ name, dims: dims.get(name + suffix)! })) };
  dropUnread(finished, call?.inputs.map(({ name }) => name) ?? []);
  return { passed: parts.passed, parts: finished, update };
}

/**
 * Leaves each graph the inputs that it reads, and the last one those that nobody reads. What no node reads of what a
 * run is given on the GPU, onnxruntime takes to the host, one wait for each, unless it replays a recording.
 *
 * @param elsewhere inputs that are read after the parts
 */
function dropUnread(parts: readonly GraphPart[], elsewhere: readonly string[]): void {
  const graphs = parts.flatMap((part) => "graph" in part ? [part.graph] : []);
  const own = graphs.map(({ nodes, inputs, outputs }) => {
    const values = new Set([...nodes.flatMap((node) => node.inputs), ...outputs.values()]);
    return new Set([...inputs].flatMap(([name, value]) => values.has(value) ? name : []));
  });
  const byKernels = parts.flatMap((part) => "node" in part ? part.inputs : []);
  const read = new Set([...own.flatMap((names) => [...names]), ...byKernels, ...elsewhere]);
  for (const [i, { inputs }] of graphs.entries()) {
    for (const name of [...inputs.keys()]) {
      if (read.has(name) && !own[i].has(name)) inputs.delete(name);
    }
  }
}

/** What an output's elements are before they are given its shape, in which nobody is interested. */
function uncopied({ outputs }: Graph, name: string): Value {
  const value = outputs.get(name)!, before = reshaped(value);
  const isTaken = [...outputs.values()].includes(before);
  return before.producer && !isTaken ? before : value;
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
