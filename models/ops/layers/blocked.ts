/**
 * onnxruntime's blocked image operators (domain com.microsoft.nchwc), which its CPU provider has where
 * the processor's vectors suit them.
 *
 * A blocked image keeps the channels of a block side by side: `[batch, channels / B, …image, B]` in
 * memory, with B the lanes of a vector (8 or 16). Its shape is still written `[batch, channels, …image]`,
 * so only the order of the elements tells the two apart: a blocked value goes to these operators, and to
 * element-wise ones among its like.
 *
 * @module
 */

import {
  type Application,
  intAttribute,
  OperatorError,
  type Operators,
  required,
} from "../../operator.ts";
import { windowOf } from "./window.ts";

/** The domain's name, and a dot. */
export const NCHWC = "com.microsoft.nchwc.";

/** Blocked operators. */
export const blockedOperators: Operators = {
  /** `[x]`: a plain image as a blocked one. */
  [`${NCHWC}ReorderInput`]: {
    infer: (call) => [required(call, 0, "image")],
    simplify: (_g, { inputs: [x] }) =>
      x!.producer?.op === `${NCHWC}ReorderOutput` ? x!.producer.inputs[0]! : undefined,
  },
  /** `[x]`, `channels`: a blocked image as a plain one. */
  [`${NCHWC}ReorderOutput`]: {
    infer: (call) => [required(call, 0, "image")],
    simplify: (_g, { inputs: [x] }) =>
      x!.producer?.op === `${NCHWC}ReorderInput` ? x!.producer.inputs[0]! : undefined,
  },
  /**
   * `[x, weight, bias?, sum?]` and Conv's attributes, with `activation`: a blocked image from one that
   * is blocked, or plain with fewer channels than a block. The weight lies as the kernel reads it.
   */
  [`${NCHWC}Conv`]: {
    infer(call: Application) {
      const x = required(call, 0, "image"), weight = required(call, 1, "weight");
      const group = intAttribute(call, "group", 1);
      if (x.dims[1] !== weight.dims[1] * group) {
        throw new OperatorError(call, `the weight needs ${weight.dims[1] * group} channels`);
      }
      const { output } = windowOf(call, x.dims.slice(2), weight.dims.slice(2));
      return [{ type: x.type, dims: [x.dims[0], weight.dims[0], ...output] }];
    },
  },
  /** `[x]`: the mean over a blocked image, `[batch, channels, 1, …]`, which is plain as well. */
  [`${NCHWC}GlobalAveragePool`]: {
    infer(call) {
      const x = required(call, 0, "image");
      return [{ type: x.type, dims: x.dims.map((dim, axis) => axis < 2 ? dim : 1) }];
    },
  },
};
