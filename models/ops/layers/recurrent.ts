/**
 * The long short-term memory (Hochreiter and Schmidhuber 1997; forget gate of Gers et al. 2000) over a
 * whole sequence, and its gradient. What the inputs contribute to the gates is computed outside, in one
 * product for all steps; inside is only what must go step by step.
 */

import type { Graph, Value } from "../../graph.ts";
import { type Application, OperatorError, type Operators, required } from "../../operator.ts";
import { sameDims, type TensorType } from "../../tensor.ts";
import { needRank } from "../_common.ts";
import { product } from "../linear.ts";

/** Outputs of celgc.LSTM: hidden states, cell states, and the gates, which its gradient needs. */
export const LSTM_OUTPUTS = 3;

function inferLstm(call: Application): TensorType[] {
  const x = required(call, 0, "gates"), weight = required(call, 1, "recurrent weight");
  const hidden = required(call, 2, "hidden state"), cell = required(call, 3, "cell state");
  needRank(call, x, 3, "[length, batch, 4 · hidden]");
  const [length, batch, four] = x.dims, size = four / 4;
  const [rows, positions, scale] = call.inputs.slice(4);
  const kept = rows ? rows.dims[0] : four;
  const fits = sameDims(weight.dims, [kept, size]) && sameDims(hidden.dims, [batch, size]) &&
    sameDims(cell.dims, [batch, size]) && !rows === !positions && !rows === !scale &&
    (!rows || sameDims(positions!.dims, [four]) && sameDims(scale!.dims, rows.dims));
  if (!fits) {
    throw new OperatorError(
      call,
      "inputs are [length, batch, 4 · hidden], [rows, hidden], two states [batch, hidden], and with " +
        "fewer than 4 · hidden rows the indices [rows] and [4 · hidden] and the scale [rows]",
    );
  }
  const states = { type: x.type, dims: [length, batch, size] };
  return [states, states, { type: x.type, dims: x.dims }];
}

/** Each step's hidden state before it: the first, then all but the last. */
function previous(g: Graph, first: Value, states: Value): Value {
  return g.concat([g.unsqueeze(first, [0]), g.slice(states, [0], [0], [-1])], 0);
}

/** Recurrent operators. */
export const recurrentOperators: Operators = {
  /**
   * `[x, R, h, c, rows, positions, scale]` to `[H, C, Z]`, gates in PyTorch's order:
   *
   *     Z_t = [i f g o] = x_t + H_{t−1} Rᵀ
   *     C_t = σ(f) C_{t−1} + σ(i) tanh(g)          H_t = σ(o) tanh(C_t)
   *
   * x `[length, batch, 4 · hidden]` holds what inputs and biases contribute. R is `[4 · hidden, hidden]`,
   * or holds some of those rows, the others being zero: then `rows` `[k]` says which, `scale` `[k]` what
   * each is multiplied by, and `positions` `[4 · hidden]` where each row lies among them, a missing one at
   * a place whose scale is zero. int32 indices.
   */
  "celgc.LSTM": {
    infer: inferLstm,
    gradient(g, { op, inputs, attributes }, [dh, dc]) {
      const [, weight, hidden, cell, rows, , scale] = inputs as Value[];
      const [states, cells, gates] = g.opMany(op, inputs, attributes, LSTM_OUTPUTS);
      const [dx, dHidden, dCell] = g.opMany(
        "celgc.LSTMGradient",
        [dh, dc ?? null, weight, cell, cells, gates, rows ?? null, scale ?? null],
        {},
        3,
      );
      // The weight's gradient is one product over all steps.
      const dz = g.reshape(dx, [-1, dx.dims[2]]);
      const before = g.reshape(previous(g, hidden, states), [-1, weight.dims[1]]);
      if (!rows) return [dx, product(g, dz, before, { transA: true }), dHidden, dCell];
      const kept = g.op("Gather", [g.transpose(dz), rows], { axis: 0 });
      const dWeight = g.matmul(g.mul(kept, g.unsqueeze(scale, [1])), before);
      return [dx, dWeight, dHidden, dCell];
    },
  },

  /** `[dH, dC, R, c, C, Z, rows, scale]` to `[dx, dh, dc]`; dH or dC may be absent. */
  "celgc.LSTMGradient": {
    infer(call) {
      const states = required(call, 4, "cell states"), [length, batch, size] = states.dims;
      const first = { type: states.type, dims: [batch, size] };
      return [{ type: states.type, dims: [length, batch, 4 * size] }, first, first];
    },
  },

  /**
   * `[x, rows, positions]`: some rows of a matrix. `positions` says where each row of x lies among them;
   * a row that is missing must point at one whose gradient is zero. So the gradient needs no addition.
   */
  "celgc.SelectRows": {
    infer(call) {
      const x = required(call, 0, "matrix"), rows = required(call, 1, "rows");
      required(call, 2, "positions");
      needRank(call, x, 2, "a matrix");
      return [{ type: x.type, dims: [rows.dims[0], x.dims[1]] }];
    },
    gradient: (g, { inputs }, [dy]) => [g.op("Gather", [dy!, inputs[2]], { axis: 0 })],
  },
};
