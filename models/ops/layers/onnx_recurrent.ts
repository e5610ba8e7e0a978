/**
 * ONNX's recurrent operators, in terms of celgc.LSTM or of one step after another. Their axes are
 * `[length, batch, features]`, or `[batch, length, features]` with `layout` = 1; their gates are in an
 * order of ONNX's own.
 */

import type { Graph, Value } from "../../graph.ts";
import {
  type Application,
  composite,
  intAttribute,
  OperatorError,
  type Operators,
  required,
  stringAttribute,
  stringsAttribute,
} from "../../operator.ts";
import { product } from "../linear.ts";
import { LSTM_OUTPUTS } from "./recurrent.ts";

/** One direction of a recurrent layer, its time running forward. */
interface Direction {
  /** `[length, batch, features]` */
  x: Value;
  /** `[gates · hidden, features]` */
  weight: Value;
  /** `[gates · hidden, hidden]` */
  recurrent: Value;
  /** `[gates · hidden]`, what is added to the input's part, and to the state's. */
  biases: [input: Value, state: Value] | null;
  /** Each state before the first step, `[batch, hidden]`. */
  states: Value[];
}

/** What a direction gives: each step's hidden state `[length, batch, hidden]`, and the last states. */
interface Outcome {
  steps: Value;
  last: Value[];
}

/** The inputs at the positions ONNX gives them, checked. */
function directionsOf(g: Graph, call: Application, gates: number, states: number): Direction[] {
  const [given, weights, recurrents] = ["input", "weight", "recurrent weight"].map((role, i) =>
    required(call, i, role)
  );
  const [, , , biases, lengths, ...initial] = call.inputs;
  const x = intAttribute(call, "layout", 0) ? g.transpose(given, [1, 0, 2]) : given;
  const [length, batch] = x.dims, [count, , hidden] = recurrents.dims;
  if (weights.dims[1] !== gates * hidden || recurrents.dims[1] !== gates * hidden) {
    throw new OperatorError(call, `the weights must have ${gates} · hidden rows`);
  }
  const all = lengths?.constant && [...lengths.constant.data].every((n) => Number(n) === length);
  if (lengths && !all) {
    throw new OperatorError(call, "sequences of different lengths are not supported; pad them");
  }
  if (call.inputs[7] || call.attributes.clip !== undefined) {
    throw new OperatorError(call, "peepholes and clipping are not supported");
  }
  const direction = stringAttribute(call, "direction", "forward");
  const directions = direction === "bidirectional" ? 2 : 1;
  if (count !== directions || weights.dims[0] !== directions) {
    throw new OperatorError(
      call,
      `the weights must be of ${directions}, as direction "${direction}" says`,
    );
  }
  const one = (value: Value, i: number) => g.squeeze(g.slice(value, [0], [i], [i + 1]), [0]);
  return Array.from({ length: count }, (_, i): Direction => {
    const backward = direction === "reverse" || i === 1;
    const bias = biases && one(biases, i);
    const rows = gates * hidden;
    return {
      x: backward ? g.flip(x, [0]) : x,
      weight: one(weights, i),
      recurrent: one(recurrents, i),
      biases: bias
        ? [g.slice(bias, [0], [0], [rows]), g.slice(bias, [0], [rows], [2 * rows])]
        : null,
      states: Array.from({ length: states }, (_, k) => {
        const first = initial[k];
        if (!first) return g.expand(g.scalar(0, x.type), [batch, hidden]);
        return one(intAttribute(call, "layout", 0) ? g.transpose(first, [1, 0, 2]) : first, i);
      }),
    };
  });
}

/** The input's part of the gates for all steps at once, `[length, batch, gates · hidden]`. */
function inputPart(g: Graph, { x, weight, biases }: Direction, bias = biases?.[0]): Value {
  const [length, batch, features] = x.dims;
  const part = product(g, g.reshape(x, [-1, features]), weight, { transB: true });
  const gates = g.reshape(part, [length, batch, weight.dims[0]]);
  return bias ? g.add(gates, bias) : gates;
}

/** Y, Y_h (and Y_c) from what each direction gave. */
function outputs(g: Graph, call: Application, outcomes: Outcome[]): Value[] {
  const direction = stringAttribute(call, "direction", "forward");
  const steps = outcomes.map(({ steps }, i) => {
    const turned = direction === "reverse" || i === 1 ? g.flip(steps, [0]) : steps;
    return g.unsqueeze(turned, [1]);
  });
  const last = outcomes[0].last.map((_, k) =>
    g.concat(outcomes.map(({ last }) => g.unsqueeze(last[k], [0])), 0)
  );
  const all = [g.concat(steps, 1), ...last];
  if (!intAttribute(call, "layout", 0)) return all;
  return all.map((value, i) => g.transpose(value, i === 0 ? [2, 0, 1, 3] : [1, 0, 2]));
}

/** Rows of a weight, gate by gate, in another order. */
function reorder(g: Graph, weight: Value, gates: readonly number[]): Value {
  const hidden = weight.dims[0] / gates.length;
  const at = (order: readonly number[]) =>
    g.constant(
      "int32",
      [weight.dims[0]],
      order.flatMap((gate) => Array.from({ length: hidden }, (_, i) => gate * hidden + i)),
    );
  const inverse = gates.map((_, i) => gates.indexOf(i));
  return g.op("celgc.SelectRows", [weight, at(gates), at(inverse)]);
}

/** Refuses activations other than the usual ones. */
function usualActivations(call: Application, usual: readonly string[]): void {
  const given = stringsAttribute(call, "activations", usual);
  if (given.some((name, i) => name !== usual[i % usual.length])) {
    throw new OperatorError(call, `activations must be ${usual}, not ${given}`);
  }
}

/** Steps one after another; `step` gives the next hidden state. */
function unroll(
  g: Graph,
  parts: Value,
  first: Value,
  step: (part: Value, state: Value) => Value,
): Outcome {
  let state = first;
  const states = Array.from({ length: parts.dims[0] }, (_, t) => {
    state = step(g.squeeze(g.slice(parts, [0], [t], [t + 1]), [0]), state);
    return g.unsqueeze(state, [0]);
  });
  return { steps: g.concat(states, 0), last: [state] };
}

/** ONNX's recurrent operators. */
export const onnxRecurrentOperators: Operators = {
  LSTM: composite((g, call) => {
    usualActivations(call, ["Sigmoid", "Tanh", "Tanh"]);
    if (intAttribute(call, "input_forget", 0)) {
      throw new OperatorError(call, "input_forget = 1 is not supported");
    }
    const outcomes = directionsOf(g, call, 4, 2).map((direction): Outcome => {
      // ONNX: input, output, forget, cell. celgc.LSTM: input, forget, cell, output.
      const order = [0, 2, 3, 1];
      const columns = ({ biases }: Direction) => {
        if (!biases) return undefined;
        const sum = g.unsqueeze(g.add(...biases), [1]);
        return g.squeeze(reorder(g, sum, order), [1]);
      };
      const turned = { ...direction, weight: reorder(g, direction.weight, order) };
      const [h, c] = direction.states;
      const inputs = [
        inputPart(g, turned, columns(direction)),
        reorder(g, direction.recurrent, order),
      ];
      const [steps, cells] = g.opMany("celgc.LSTM", [...inputs, h, c], {}, LSTM_OUTPUTS);
      const last = [steps, cells].map((all) => g.squeeze(g.slice(all, [0], [-1], [2 ** 31]), [0]));
      return { steps, last };
    });
    return outputs(g, call, outcomes);
  }),
  GRU: composite((g, call) => {
    usualActivations(call, ["Sigmoid", "Tanh"]);
    const resetAfter = intAttribute(call, "linear_before_reset", 0) !== 0;
    const outcomes = directionsOf(g, call, 3, 1).map((direction) => {
      const { recurrent, biases, states: [first] } = direction, hidden = first.dims[1];
      const columns = (x: Value, from: number, to: number) =>
        g.slice(x, [x.dims.length - 1], [from * hidden], [to * hidden]);
      const rows = (from: number, to: number) =>
        g.slice(recurrent, [0], [from * hidden], [to * hidden]);
      const affine = (state: Value, weight: Value, bias?: Value) => {
        const part = product(g, state, weight, { transB: true });
        return bias ? g.add(part, bias) : part;
      };
      return unroll(g, inputPart(g, direction), first, (part, state) => {
        const gates = affine(state, rows(0, 2), biases ? columns(biases[1], 0, 2) : undefined);
        const [update, reset] = [0, 1].map((i) =>
          g.sigmoid(g.add(columns(part, i, i + 1), columns(gates, i, i + 1)))
        );
        const bias = biases ? columns(biases[1], 2, 3) : undefined;
        const memory = resetAfter
          ? g.mul(reset, affine(state, rows(2, 3), bias))
          : affine(g.mul(reset, state), rows(2, 3), bias);
        const candidate = g.tanh(g.add(columns(part, 2, 3), memory));
        return g.add(candidate, g.mul(update, g.sub(state, candidate)));
      });
    });
    return outputs(g, call, outcomes);
  }),
  RNN: composite((g, call) => {
    const activations = stringsAttribute(call, "activations", []);
    const outcomes = directionsOf(g, call, 1, 1).map((direction, i) => {
      const { recurrent, biases, states: [first] } = direction;
      const activation = activations[i] ?? "Tanh";
      if (activation !== "Tanh" && activation !== "Relu") {
        throw new OperatorError(call, `the activation must be Tanh or Relu, not ${activation}`);
      }
      const bias = biases && g.add(...biases);
      return unroll(g, inputPart(g, direction, bias ?? undefined), first, (part, state) => {
        const sum = g.add(part, product(g, state, recurrent, { transB: true }));
        return g.op(activation, [sum]);
      });
    });
    return outputs(g, call, outcomes);
  }),
};
