/** What a case of differentiation is, and short ways to write one down for each kind of operator. */

import type { Graph, Value } from "../../models/graph.ts";
import { type ElementType, sizeOf } from "../../models/tensor.ts";
import { Random } from "../../runtime/base/random.ts";
import type { Feeds } from "./_evaluate.ts";

export interface GradientInput {
  dims: number[];
  /** Uniform in [from, to); integers below `to`. @default {-1.5 … 1.5} */
  from?: number;
  to?: number;
  values?: number[];
  type?: ElementType;
  /** False for what has no gradient, such as indices. */
  gradient?: boolean;
}

export interface GradientCase {
  name: string;
  inputs: Record<string, GradientInput>;
  build: (g: Graph, ...inputs: Value[]) => Value;
  tolerance?: number;
}

/** Random feeds for a case's inputs, always the same. */
export function draw({ name, inputs }: GradientCase): Feeds {
  const random = new Random(1, name);
  return Object.fromEntries(
    Object.entries(inputs).map(([key, { dims, from = -1.5, to = 1.5, values, type }]) => {
      const next = () => {
        const x = from + (to - from) * random.uniform();
        return type?.startsWith("int") ? Math.floor(x) : Math.fround(x);
      };
      return [key, values ?? Array.from({ length: sizeOf(dims) }, next)];
    }),
  );
}

export const unary = (op: string, from = -1.5, to = 1.5, attributes = {}): GradientCase => ({
  name: op,
  inputs: { x: { dims: [3, 5], from, to } },
  build: (g, x) => g.op(op, [x], attributes),
});

export const binary = (
  op: string,
  a: number[],
  b: number[],
  from = -1.5,
  to = 1.5,
): GradientCase => ({
  name: `${op} of [${a}] and [${b}]`,
  inputs: { a: { dims: a, from, to }, b: { dims: b, from, to } },
  build: (g, x, y) => g.op(op, [x, y]),
});

export const reduce = (op: string, axes: number[] | undefined, keep: boolean, from = -1.5) => ({
  name: `${op} over ${axes ? `axes ${axes}` : "everything"}${keep ? ", kept" : ""}`,
  inputs: { x: { dims: [2, 3, 4], from } },
  build: (g: Graph, x: Value) => g.reduce(op, x, axes, keep),
});

export const on = (
  name: string,
  dims: number[],
  build: GradientCase["build"],
  options: Partial<GradientInput> = {},
): GradientCase => ({ name, inputs: { x: { dims, ...options } }, build });

export const indices = (dims: number[], to: number): GradientInput => ({
  dims,
  from: 0,
  to,
  type: "int32",
  gradient: false,
});

interface ConvCase {
  x: number[];
  w: number[];
  options?: Parameters<Graph["conv"]>[2];
  bias?: boolean;
}

export const conv = (name: string, { x, w, options = {}, bias }: ConvCase): GradientCase => ({
  name: `Conv ${name}`,
  inputs: { x: { dims: x }, w: { dims: w }, ...(bias ? { b: { dims: [w[0]] } } : {}) },
  build: (g, x, w, b) => g.conv(x, w, { ...options, bias: b }),
});

export const convTranspose = (
  name: string,
  x: number[],
  w: number[],
  attributes = {},
): GradientCase => ({
  name: `ConvTranspose ${name}`,
  inputs: {
    x: { dims: x },
    w: { dims: w },
    b: { dims: [w[1] * ((attributes as { group?: number }).group ?? 1)] },
  },
  build: (g, x, w, b) => g.op("ConvTranspose", [x, w, b], attributes),
});

export const pool = (
  op: string,
  name: string,
  dims: number[],
  attributes: Record<string, number | number[]>,
) => on(`${op} ${name}`, dims, (g, x) => g.op(op, [x], attributes));

/** ONNX's recurrent operators: their inputs are [length, batch, features]. */
export const recurrent = (
  op: string,
  gates: number,
  [directions, ...used]: [directions: number, ...outputs: number[]],
  attributes = {},
): GradientCase => ({
  name: `${op}, output ${used} ${
    Deno.inspect(attributes, { compact: true, breakLength: Infinity })
  }`,
  inputs: {
    x: { dims: [3, 2, 4] },
    w: { dims: [directions, gates * 2, 4] },
    r: { dims: [directions, gates * 2, 2] },
    b: { dims: [directions, 2 * gates * 2] },
    h: { dims: [directions, 2, 2] },
    ...(op === "LSTM" ? { c: { dims: [directions, 2, 2] } } : {}),
  },
  build(g, x, w, r, b, ...states) {
    const inputs = [x, w, r, b, null, ...states];
    const results = g.opMany(op, inputs, { hidden_size: 2, ...attributes }, 3);
    return g.concat(used.map((i) => g.reshape(results[i], [-1])), 0);
  },
});

export const einsum = (equation: string, ...dims: number[][]): GradientCase => ({
  name: `Einsum ${equation}`,
  inputs: Object.fromEntries(dims.map((each, i) => [`x${i}`, { dims: each }])),
  build: (g, ...inputs) => g.op("Einsum", inputs, { equation }),
});

export const losses = (op: string, dims: number[], attributes = {}): GradientCase => ({
  name: `${op} of [${dims}] ${Deno.inspect(attributes)}`,
  inputs: {
    x: { dims },
    target: indices([dims[0], ...dims.slice(2)], dims[1]),
    weight: { dims: [dims[1]], from: 0.5, gradient: false },
  },
  build: (g, x, target, weight) => g.op(op, [x, target, weight], attributes),
});
