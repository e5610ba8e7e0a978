/**
 * The long short-term memory (Hochreiter and Schmidhuber 1997; forget gate of Gers et al. 2000) over a
 * whole sequence, and its gradient. What the inputs contribute to the gates is computed outside, in one
 * product for all steps; inside is only what must go step by step.
 */

import type { Graph, Value } from "../graph.ts";
import { type Call, OperatorError, type Operators, required } from "../operator.ts";
import { sameDims, type TensorType } from "../tensor.ts";
import { needRank } from "./_common.ts";
import { product } from "./linear.ts";

/** Outputs of celgc.LSTM: hidden states, cell states, and the gates, which its gradient needs. */
export const LSTM_OUTPUTS = 3;

function inferLstm(call: Call): TensorType[] {
  const x = required(call, 0, "gates"), weight = required(call, 1, "recurrent weight");
  const hidden = required(call, 2, "hidden state"), cell = required(call, 3, "cell state");
  needRank(call, x, 3, "[length, batch, 4 · hidden]");
  const [length, batch, four] = x.dims, size = four / 4;
  const rows = call.inputs[4], positions = call.inputs[5];
  const kept = rows ? rows.dims[0] : four;
  const fits = sameDims(weight.dims, [kept, size]) && sameDims(hidden.dims, [batch, size]) &&
    sameDims(cell.dims, [batch, size]) && !rows === !positions &&
    (!positions || sameDims(positions.dims, [four]));
  if (!fits) {
    throw new OperatorError(
      call,
      "inputs are [length, batch, 4 · hidden], [rows, hidden], two states [batch, hidden], and " +
        "indices [rows] and [4 · hidden], or none of both with 4 · hidden rows",
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
   * `[x, R, h, c, rows, positions]` to `[H, C, Z]`, gates in PyTorch's order:
   *
   *     Z_t = [i f g o] = x_t + H_{t−1} Rᵀ
   *     C_t = σ(f) C_{t−1} + σ(i) tanh(g)          H_t = σ(o) tanh(C_t)
   *
   * x `[length, batch, 4 · hidden]` holds what inputs and biases contribute. R is `[4 · hidden, hidden]`,
   * or some of those rows: then `rows` `[k]` says which, `positions` `[4 · hidden]` where each row lies
   * among them, and a row that is missing must point at one that is zero. int32 indices.
   */
  "celgc.LSTM": {
    infer: inferLstm,
    gradient(g, { op, inputs, attributes }, [dh, dc]) {
      const [, weight, hidden, cell, rows = null] = inputs as [Value, Value, Value, Value, Value];
      const [states, cells, gates] = g.opMany(op, inputs, attributes, LSTM_OUTPUTS);
      const [dx, dHidden, dCell] = g.opMany(
        "celgc.LSTMGradient",
        [dh, dc ?? null, weight, cell, cells, gates, rows],
        {},
        3,
      );
      const [kept, size] = weight.dims;
      const dz = rows ? g.op("Gather", [dx, rows], { axis: 2 }) : dx;
      const before = previous(g, hidden, states);
      const dWeight = product(g, g.reshape(dz, [-1, kept]), g.reshape(before, [-1, size]), {
        transA: true,
      });
      return [dx, dWeight, dHidden, dCell];
    },
  },

  /** `[dH, dC, R, c, C, Z, rows]` to `[dx, dh, dc]`; dH or dC may be absent. */
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
