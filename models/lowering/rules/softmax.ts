/** Softmax cross entropy, forward and backward. */

import type { Graph, Value } from "../../graph.ts";
import { intAttribute } from "../../operator.ts";
import type { LoweringRules } from "../rule.ts";

interface Parts {
  /** logits − their maximum, so that no exponential overflows */
  shifted: Value;
  exponentials: Value;
  /** sum of the exponentials, `[…, 1]` */
  total: Value;
  /** whether it is the target, bool */
  chosen: Value;
}

function parts(g: Graph, logits: Value, target: Value): Parts {
  const classes = logits.dims.at(-1)!, last = [-1];
  const shifted = g.sub(logits, g.reduce("ReduceMax", logits, last, true));
  const exponentials = g.exp(shifted);
  const total = g.sum(exponentials, last, true);
  // WebGPU compares int32; OneHot and int64 would fall back to the CPU there.
  const labels = g.constant("int32", [classes], Array.from({ length: classes }, (_, i) => i));
  const chosen = g.equal(g.unsqueeze(g.cast(target, "int32"), last), labels);
  return { shifted, exponentials, total, chosen };
}

/** Rules for softmax and its losses. */
export const softmaxRules: LoweringRules = {
  "celgc.SoftmaxCrossEntropy"(g, { inputs }) {
    const [logits, target] = inputs as Value[];
    const { shifted, total, chosen } = parts(g, logits, target);
    const log = g.squeeze(g.log(total), [-1]);
    // Not multiplied: the logit of another class may be −∞.
    return [g.sub(log, g.sum(g.where(chosen, shifted, 0), [-1]))];
  },
  "celgc.SoftmaxCrossEntropyGradient"(g, { inputs }) {
    const [logits, target, dy] = inputs as Value[];
    const { exponentials, total, chosen } = parts(g, logits, target);
    const difference = g.sub(g.div(exponentials, total), g.cast(chosen, logits.type));
    return [g.mul(difference, g.unsqueeze(dy, [-1]))];
  },
  /** onnxruntime's WebGPU provider has no LogSoftmax. */
  LogSoftmax(g, call, target) {
    if (target !== "webgpu") return undefined;
    const x = call.inputs[0]!, axis = [intAttribute(call, "axis", -1)];
    const shifted = g.sub(x, g.reduce("ReduceMax", x, axis, true));
    return [g.sub(shifted, g.log(g.sum(g.exp(shifted), axis, true)))];
  },
};
