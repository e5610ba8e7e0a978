/** Softmax and the losses built on it. */

import type { Graph, Value } from "../../graph.ts";
import {
  type Application,
  composite,
  intAttribute,
  OperatorError,
  type Operators,
  required,
  stringAttribute,
} from "../../operator.ts";
import { isFloat, type NumberTensor, sizeOf } from "../../tensor.ts";
import { axisOf } from "../_common.ts";

const axisAttribute = (call: Application) =>
  axisOf(call, intAttribute(call, "axis", -1), required(call, 0, "operand").dims.length);

/** Calls `f` with each row along an axis; what it returns replaces the row. */
function rows(x: NumberTensor, axis: number, f: (row: Float64Array) => Float64Array): Float64Array {
  const result = new Float64Array(x.data.length), length = x.dims[axis];
  const inner = sizeOf(x.dims.slice(axis + 1));
  for (let start = 0; start < result.length / length; start++) {
    const base = Math.floor(start / inner) * inner * length + start % inner;
    const row = f(Float64Array.from({ length }, (_, i) => x.data[base + i * inner]));
    row.forEach((value, i) => result[base + i * inner] = value);
  }
  return result;
}

function logSoftmax(row: Float64Array): Float64Array {
  const top = row.reduce((a, b) => Math.max(a, b), -Infinity);
  const rest = Math.log(row.reduce((sum, value) => sum + Math.exp(value - top), 0));
  return row.map((value) => value - top - rest);
}

function inferLoss(call: Application, gradient: boolean) {
  const logits = required(call, 0, "logits"), target = required(call, 1, "target");
  const fits = logits.dims.length >= 1 &&
    String(logits.dims.slice(0, -1)) === String(target.dims);
  if (!fits || !isFloat(logits.type) || !["int32", "int64"].includes(target.type)) {
    throw new OperatorError(
      call,
      "logits are [\u2026, classes] floats and targets [\u2026] int32 or int64 class indices",
    );
  }
  return [{ type: logits.type, dims: gradient ? logits.dims : target.dims }];
}

/** The loss of ONNX's two loss operators; see PyTorch's nll_loss. */
function likelihoodLoss(g: Graph, call: Application, logarithms: Value): Value {
  const target = g.cast(required(call, 1, "target"), "int32"), weight = call.inputs[2];
  const { type, dims: [, classes] } = logarithms, rank = logarithms.dims.length;
  if (rank < 2) throw new OperatorError(call, `${logarithms.name} must be [batch, classes, …]`);
  const labels = g.constant(
    "int32",
    [classes, ...new Array<number>(rank - 2).fill(1)],
    Array.from({ length: classes }, (_, i) => i),
  );
  let hit = g.equal(g.unsqueeze(target, [1]), labels);
  // A sample to be ignored may bear a label that is no class; it counts nowhere.
  const ignored = call.attributes.ignore_index;
  if (ignored !== undefined) {
    const here = g.unsqueeze(g.equal(target, Number(ignored)), [1]);
    hit = g.op("And", [hit, g.op("Not", [here])]);
  }
  let share = g.cast(hit, type);
  if (weight) share = g.mul(share, g.reshape(weight, labels.dims));
  // Chosen, not multiplied: the logarithm of another class's probability may be −∞.
  const chosen = g.where(hit, logarithms, 0);
  const losses = g.neg(g.sum(weight ? g.mul(chosen, share) : chosen, [1]));
  switch (stringAttribute(call, "reduction", "mean")) {
    case "none":
      return losses;
    case "sum":
      return g.sum(losses);
    default:
      return g.div(g.sum(losses), g.sum(share));
  }
}

/** Softmax and its losses. */
export const softmaxOperators: Operators = {
  Softmax: {
    infer: (call) => (axisAttribute(call), [call.inputs[0]!]),
    evaluate: ([x], call) => [rows(x, axisAttribute(call), (row) => logSoftmax(row).map(Math.exp))],
    gradient(g, node, [dy]) {
      const y = node.results[0], weighted = g.mul(dy!, y);
      return [g.sub(weighted, g.mul(y, g.sum(weighted, [axisAttribute(node)], true)))];
    },
  },
  LogSoftmax: {
    infer: (call) => (axisAttribute(call), [call.inputs[0]!]),
    evaluate: ([x], call) => [rows(x, axisAttribute(call), logSoftmax)],
    gradient(g, node, [dy]) {
      const total = g.sum(dy!, [axisAttribute(node)], true);
      return [g.sub(dy!, g.mul(g.exp(node.results[0]), total))];
    },
  },

  /** `[logits [batch, classes, …], target [batch, …], weight [classes]?]`, and log softmax as output 1. */
  SoftmaxCrossEntropyLoss: composite((g, call) => {
    const logits = required(call, 0, "logits");
    const probabilities = g.op("LogSoftmax", [logits], { axis: 1 });
    return [likelihoodLoss(g, call, probabilities), probabilities];
  }),
  /** `[log probabilities [batch, classes, …], target [batch, …], weight [classes]?]`. */
  NegativeLogLikelihoodLoss: composite((g, call) => [
    likelihoodLoss(g, call, required(call, 0, "log probabilities")),
  ]),

  /** `[logits […, classes], target […]]`: −log softmax(logits)[target], `[…]`. */
  "celgc.SoftmaxCrossEntropy": {
    infer: (call) => inferLoss(call, false),
    gradient(g, { inputs }, [dy]) {
      const [logits, target] = inputs as Value[];
      return [g.op("celgc.SoftmaxCrossEntropyGradient", [logits, target, dy!])];
    },
  },
  /** `[logits, target, dy]`: (softmax(logits) − onehot(target)) · dy. */
  "celgc.SoftmaxCrossEntropyGradient": { infer: (call) => inferLoss(call, true) },
};
