/** Every tensor of a file: initializers, and those in attributes, branches and functions. */

import type { onnx } from "../../../deps.ts";

/** Calls `visit` with each graph of a model, branches and bodies included. */
export function eachGraph(model: onnx.ModelProto, visit: (graph: onnx.GraphProto) => void): void {
  const inNodes = (nodes: readonly onnx.NodeProto[]) => {
    for (const { attribute } of nodes) {
      for (const { g, graphs } of attribute) {
        for (const each of g ? [g, ...graphs] : graphs) inGraph(each);
      }
    }
  };
  const inGraph = (graph: onnx.GraphProto) => {
    visit(graph);
    inNodes(graph.node);
  };
  if (model.graph) inGraph(model.graph);
  for (const { node } of model.functions) inNodes(node);
}

/** Every node of a model, those of branches and functions included. */
export function nodesOf(model: onnx.ModelProto): onnx.NodeProto[] {
  const nodes = model.functions.flatMap(({ node }) => node);
  eachGraph(model, (graph) => nodes.push(...graph.node));
  return nodes;
}

/** Every tensor of a model. */
export function tensorsOf(model: onnx.ModelProto): onnx.TensorProto[] {
  const tensors = nodesOf(model).flatMap(({ attribute }) =>
    attribute.flatMap(({ t, tensors }) => t ? [t, ...tensors] : tensors)
  );
  eachGraph(model, ({ initializer }) => tensors.push(...initializer));
  return tensors;
}
