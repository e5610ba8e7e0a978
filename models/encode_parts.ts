import {
  encodeSegmented,
  type KernelOperator,
  OUTPUT_SUFFIX,
} from "../runtime/devices/segments/segmented_model.ts";
import { encodeLowered, encodeModel } from "./encode.ts";
import type { Graph } from "./graph.ts";
import { lowerInParts } from "./lowering/mod.ts";

/**
 * Encodes a graph for a device that has kernels of its own: as ONNX models with those between them, or, where
 * the graph has none of their operators, as {@linkcode encodeModel} does for WebGPU.
 *
 * @param kernels the device's
 */
export function encodeInParts(graph: Graph, kernels: ReadonlySet<KernelOperator>): Uint8Array {
  const parts = lowerInParts(graph, kernels, OUTPUT_SUFFIX);
  if (parts === null) return encodeModel(graph, { target: "webgpu" });
  return encodeSegmented({
    passed: [...parts.passed].map(([name, { dims }]) => ({ name, dims })),
    parts: parts.parts.map((part) =>
      "node" in part
        ? {
          kernel: {
            operator: part.node.op as KernelOperator,
            inputs: part.inputs,
            inputDims: part.node.inputs.map((input) => input?.dims ?? []),
            outputs: part.outputs,
          },
        }
        : { graph: encodeLowered(part.graph), updates: [...part.passes.values()] }
    ),
  });
}
