/** Which of a file's constants are trained, which are statistics, and which stay constants. */

import type { Role } from "../model.ts";
import type { Tensor } from "../tensor.ts";
import { sizeOf } from "../tensor.ts";
import { OnnxGraph, type OnnxModel, type OnnxNode } from "./file/onnx_graph.ts";

/** A tensor of the file that outlives a step. */
export interface FileVariable {
  readonly tensor: Tensor;
  readonly role: Role;
}

/** Names of a trainer's own inputs and outputs, which no weight and no input may have. */
export const RESERVED = new Set([
  ...["input", "target", "loss", "loss_sum", "logits", "prediction", "correct", "count"],
  ...[
    "cross_entropy",
    "squared_error",
    "learning_rate",
    "clip_threshold",
    "grad_norm",
    "average_grad_norm",
  ],
  ...["average_weight", "dampening"],
]);

/** The inputs of an operator that hold weights. Arithmetic is judged by the tensor's shape as well. */
const WEIGHTS: Readonly<Record<string, readonly number[]>> = {
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  Gemm: [0, 1, 2],
  MatMul: [0, 1],
  Einsum: [0, 1, 2],
  Gather: [0],
  BatchNormalization: [1, 2],
  InstanceNormalization: [1, 2],
  GroupNormalization: [1, 2],
  LayerNormalization: [1, 2],
  RMSNormalization: [1],
  LSTM: [1, 2, 3],
  GRU: [1, 2, 3],
  RNN: [1, 2, 3],
  PRelu: [1],
};

/** Most calls of functions that are looked into; the importer refuses a model that has more. */
const MOST_CALLS = 10_000;

/** Operators that add or multiply a weight in; what an array of constants does there, too. */
export const ARITHMETIC = ["Add", "Sub", "Mul", "Div", "Sum", "Concat"];

/** Operators whose result is the same weight in another form: moved about, repeated, or kept in a range. */
const ALIASES = [
  "Identity",
  "Transpose",
  "Reshape",
  "Flatten",
  "Squeeze",
  "Unsqueeze",
  "Slice",
  "Split",
  "Cast",
  "Dropout",
  "Expand",
  "Tile",
  "Pad",
  "Neg",
  "Abs",
  "Exp",
  "Sqrt",
  "Reciprocal",
  "Sigmoid",
  "Tanh",
  "Softplus",
  "Relu",
];

/**
 * Finds the variables among a file's initializers: float32 tensors that reach an operator where weights
 * stand, or are added or multiplied in and no scalar.
 *
 * An exporter keeps equal tensors once and lets Identity give them their other names; vectors (all scales
 * are 1 at first, all means 0) are told apart again, matrices are taken to be tied.
 */
export function findVariables(model: OnnxModel): Map<string, FileVariable> {
  const tensors = new Map(model.graph.initializers), roles = new Map<string, Role>();
  const mark = (name: string, role: Role) => {
    if (tensors.get(name)?.type === "float32" && !roles.has(name)) roles.set(name, role);
  };
  // Some exporters write weights as nodes; what is only added or multiplied in there is a constant.
  const inNodes = constantNodes(model);
  for (const [name, tensor] of inNodes) tensors.set(name, tensor);
  let visited = 0;
  const visit = (nodes: readonly OnnxNode[], alias: Map<string, string>, depth: number): void => {
    for (const { op, inputs, outputs, attributes } of nodes) {
      const roots = inputs.map((name) => alias.get(name) ?? "");
      const first = tensors.get(roots[0]);
      if (op === "Identity" && first && unties(first)) {
        tensors.set(outputs[0], first);
        alias.set(outputs[0], outputs[0]);
      } else if (ALIASES.includes(op) && first) {
        for (const output of outputs) alias.set(output, roots[0]);
      }
      roots.forEach((root, i) => {
        const tensor = tensors.get(root);
        if (!tensor) return;
        if (op === "BatchNormalization" && i >= 3) mark(root, "statistic");
        const added = ARITHMETIC.includes(op) && sizeOf(tensor.dims) > 1 && !inNodes.has(root);
        // Scales of a normalisation without any are written as nodes of ones and zeros.
        const own = WEIGHTS[op]?.includes(i) &&
          !(inNodes.has(root) && op.endsWith("Normalization"));
        if (own || added) mark(root, "parameter");
      });
      const body = model.functions.get(op);
      if (body && depth < 16 && ++visited < MOST_CALLS) {
        const inner = new Map<string, string>();
        body.inputs.forEach((name, i) => roots[i] && inner.set(name, roots[i]));
        visit(body.nodes, inner, depth + 1);
      }
      for (const value of Object.values(attributes)) {
        if (value instanceof OnnxGraph) visit(value.nodes, new Map(alias), depth + 1);
      }
    }
  };
  visit(model.graph.nodes, new Map([...tensors.keys()].map((name) => [name, name])), 0);
  const names = [...tensors.keys()].filter((name) => roles.has(name));
  return new Map(
    names.map((name) => [name, { tensor: tensors.get(name)!, role: roles.get(name)! }]),
  );
}

/** The tensors that nodes of the graph itself hold, by the names of their outputs. */
export function constantNodes({ graph }: OnnxModel): Map<string, Tensor> {
  return new Map(
    graph.nodes.flatMap(({ op, outputs, attributes: { value } }) =>
      op === "Constant" && typeof value === "object" && "data" in value
        ? [[outputs[0], value as Tensor] as const]
        : []
    ),
  );
}

/** Whether Identity of a tensor is a name of its own, not a second name. */
function unties(tensor: Tensor): boolean {
  return tensor.type === "float32" && tensor.dims.length === 1;
}
