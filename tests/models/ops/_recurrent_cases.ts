/** The ways in which recurrent operators are differentiated; see _gradient_case.ts. */

import type { Graph, Value } from "../../../models/graph.ts";
import { LSTM_OUTPUTS } from "../../../models/ops/layers/recurrent.ts";
import type { GradientCase, GradientInput } from "../_gradient_case.ts";

const lstm = (g: Graph, inputs: readonly Value[]) =>
  g.opMany("celgc.LSTM", inputs, {}, LSTM_OUTPUTS);

const inputs = (length: number): Record<string, GradientInput> => ({
  x: { dims: [length, 2, 12] },
  weight: { dims: [12, 3] },
  hidden: { dims: [2, 3] },
  cell: { dims: [2, 3] },
});

const index = (values: number[]): GradientInput => ({
  dims: [values.length],
  values,
  type: "int32",
  gradient: false,
});

export const recurrentCases: GradientCase[] = [
  {
    name: "LSTM's hidden states",
    inputs: inputs(4),
    build: (g, ...all) => lstm(g, all)[0],
  },
  {
    name: "LSTM's cell states",
    inputs: inputs(3),
    build: (g, ...all) => lstm(g, all)[1],
  },
  {
    name: "LSTM's hidden and cell states together",
    inputs: inputs(3),
    build: (g, ...all) => g.concat(lstm(g, all).slice(0, 2), 0),
  },
  {
    name: "LSTM over a single step",
    inputs: inputs(1),
    build: (g, ...all) => lstm(g, all)[0],
  },
  {
    name: "LSTM with some rows of its weights dropped",
    inputs: {
      ...inputs(4),
      rows: index([1, 2, 5, 6, 9, 11, 0, 0]),
      positions: index([7, 0, 1, 7, 7, 2, 3, 7, 7, 4, 7, 5]),
      scale: { dims: [8], values: [2, 2, 2, 2, 2, 2, 0, 0], gradient: false },
    },
    build(g, x, weight, hidden, cell, rows, positions, scale) {
      const kept = g.op("celgc.SelectRows", [weight, rows, positions]);
      return lstm(g, [x, kept, hidden, cell, rows, positions, scale])[0];
    },
  },
];
