/**
 * Operators of onnxruntime's own domain, com.microsoft, that its CPU provider computes in one kernel where
 * standard ones take several. Lowering applies them; models do not.
 */

import { intAttribute, OperatorError, type Operators, required } from "../operator.ts";
import { broadcastDims } from "../tensor.ts";

/** The domain's name, and a dot. */
export const MICROSOFT = "com.microsoft.";

/** onnxruntime's own operators. */
export const contribOperators: Operators = {
  /** `[a, b]`: alpha · a · b, either of them with its last two axes changing places (transA, transB). */
  [`${MICROSOFT}FusedMatMul`]: {
    infer(call) {
      const operands = ["A", "B"].map((role, i) => {
        const { type, dims } = required(call, i, role);
        const [rows, columns] = dims.slice(-2), turned = intAttribute(call, `trans${role}`, 0);
        return { type, batch: dims.slice(0, -2), last: turned ? [columns, rows] : [rows, columns] };
      });
      const [a, b] = operands, batch = broadcastDims(a.batch, b.batch);
      if (!batch || a.last[1] !== b.last[0]) {
        throw new OperatorError(
          call,
          "inner dimensions must be equal, and axes before them broadcast",
        );
      }
      return [{ type: a.type, dims: [...batch, a.last[0], b.last[1]] }];
    },
  },
  /** `[x]`: Gelu by tanh. */
  [`${MICROSOFT}FastGelu`]: { infer: (call) => [required(call, 0, "operand")] },
};
