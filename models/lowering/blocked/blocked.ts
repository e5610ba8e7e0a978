/**
 * The form of image networks for CPUs on which onnxruntime has blocked convolutions: they run up to twice
 * as fast as plain ones. onnxruntime itself turns to them only where weights are constants; here the
 * weights are brought into the kernels' order by the graph, at a small part of the convolution's cost.
 */

import type { Graph, Node, Value } from "../../graph.ts";
import type { Application } from "../../operator.ts";
import { NCHWC } from "../../ops/layers/blocked.ts";
import { sameDims } from "../../tensor.ts";
import { type BlockedRule, type BlockedRules, Blocks } from "./_blocks.ts";
import { blockedConvolution } from "./convolution.ts";
import { blockedIndexing } from "./indexing.ts";
import { blockedNormalization } from "./normalization.ts";
import type { LoweringRule } from "../rule.ts";

/** The blocked convolution that computes a plain value, if it could still take on `what`. */
function open(x: Value, what: "sum" | "activation"): Node | undefined {
  if (x.producer?.op !== `${NCHWC}ReorderOutput`) return undefined;
  const conv = x.producer.inputs[0]!.producer;
  if (conv?.op !== `${NCHWC}Conv` || conv.attributes.activation) return undefined;
  return what === "sum" && conv.inputs[3] ? undefined : conv;
}

function elementwise(op: string): BlockedRule {
  return (blocks, { inputs, attributes }) => {
    const values = inputs as Value[];
    if (!values.some((x) => blocks.has(x))) return undefined;
    if (!values.every((x) => blocks.fits(x) && sameDims(x.dims, values[0].dims))) return undefined;
    return [blocks.leave(blocks.g.op(op, values.map((x) => blocks.enter(x)), attributes))];
  };
}

const plainAdd = elementwise("Add"), plainRelu = elementwise("Relu");

const rules: BlockedRules = {
  ...blockedConvolution,
  ...blockedIndexing,
  ...blockedNormalization,
  Sub: elementwise("Sub"),
  Mul: elementwise("Mul"),
  Neg: elementwise("Neg"),
  /** Where one operand is a convolution, it adds the other as it goes. */
  Add(blocks, call) {
    const [a, b] = call.inputs as Value[];
    if (!sameDims(a.dims, b.dims) || !blocks.fits(a)) return undefined;
    for (const [x, other] of [[a, b], [b, a]]) {
      const conv = open(x, "sum");
      if (!conv) continue;
      const [image, weight, bias] = conv.inputs as Value[];
      const extras = { bias, sum: blocks.enter(other) };
      return [blocks.leave(blocks.conv(image, weight, conv.attributes, extras))];
    }
    return plainAdd(blocks, call);
  },
  /** A convolution applies it as it goes. */
  Relu(blocks, call) {
    const conv = open(call.inputs[0]!, "activation");
    if (!conv) return plainRelu(blocks, call);
    const [image, weight, bias, sum] = conv.inputs as Value[];
    const attributes = { ...conv.attributes, activation: "Relu" };
    return [blocks.leave(blocks.conv(image, weight, attributes, { bias, sum }))];
  },
  "celgc.ReluGradient"(blocks, { inputs }) {
    const [dy, y] = inputs as Value[];
    if (!blocks.has(y)) return undefined;
    // 1 where y > 0, in one pass: the slope carries the smallest normal number beyond 1.
    const mask = blocks.g.op("HardSigmoid", [blocks.enter(y)], { alpha: 3e38, beta: 0 });
    return [blocks.leave(blocks.g.mul(blocks.enter(dy), mask))];
  },
  GlobalAveragePool(blocks, { inputs: [x] }) {
    if (!blocks.has(x!)) return undefined;
    return [blocks.g.op(`${NCHWC}GlobalAveragePool`, [blocks.enter(x!)])];
  },
};

/** The rule for an operator on blocked images, if there is one. */
export function blockedRule(op: string, size: number): LoweringRule | undefined {
  const rule = rules[op];
  return rule && ((g: Graph, call: Application) => rule(new Blocks(g, size), call));
}
