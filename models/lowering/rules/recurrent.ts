/**
 * The recurrence of an LSTM, forward and backward. On the CPU it is a loop (Scan): a few nodes whatever the
 * length, which need not even be known. WebGPU has no loops, so there each step has nodes of its own.
 */

import { Body } from "../../body.ts";
import { Graph, type Value } from "../../graph.ts";
import type { LoweringRules, Target } from "../rule.ts";

/**
 * What a step sees that is the same in every step: the weight, and where it holds only some of the rows
 * also an index and the scale. Forward the index is the operator's `positions`, backward its `rows`.
 */
interface Fixed {
  readonly weight: Value;
  readonly index?: Value;
  readonly scale?: Value;
}

/** One step: from the states before it and its slices, to the states after it and what is collected. */
type Step = (
  g: Graph,
  states: readonly Value[],
  slices: readonly Value[],
  fixed: Fixed,
) => { states: Value[]; collected: Value[] };

const transposed = { alpha: 1, beta: 1, transA: 0, transB: 1 };

/** Some columns of a matrix. Gathering rows moves many elements at once, columns one by one. */
function columns(g: Graph, x: Value, index: Value): Value {
  return g.transpose(g.op("Gather", [g.transpose(x), index], { axis: 0 }));
}

/** The gates' values `[…, size]` each, from what goes into them, `[…, 4 · size]`. */
function gatesOf(g: Graph, z: Value) {
  const axis = z.dims.length - 1, size = z.dims[axis] / 4;
  const part = (x: Value, i: number) => g.slice(x, [axis], [i * size], [(i + 1) * size]);
  const open = g.sigmoid(z);
  return { i: part(open, 0), f: part(open, 1), n: g.tanh(part(z, 2)), o: part(open, 3) };
}

const forward: Step = (g, [h, c], [x], { weight, index, scale }) => {
  const z = index && scale
    ? g.add(x, columns(g, g.mul(g.op("Gemm", [h, weight], transposed), scale), index))
    : g.op("Gemm", [h, weight, x], transposed);
  const { i, f, n, o } = gatesOf(g, z);
  const cell = g.add(g.mul(f, c), g.mul(i, n));
  const hidden = g.mul(o, g.tanh(cell));
  return { states: [hidden, cell], collected: [hidden, cell, z] };
};

/**
 * Slices: σ(f), the derivative of H by C, those of C, C, C and H by the gates, then what flows in from
 * outside to C or H.
 */
const backward: Step = (g, [dh, dc], [f, slope, slopes, ...outside], fixed) => {
  const { weight, index, scale } = fixed, [byHidden, byCell] = outside;
  const h = byHidden ? g.add(dh, byHidden) : dh;
  let c = g.add(dc, g.mul(h, slope));
  if (byCell) c = g.add(c, byCell);
  const dz = g.mul(g.concat([c, c, c, h], 1), slopes);
  const kept = index && scale ? g.mul(columns(g, dz, index), scale) : dz;
  return { states: [g.matmul(kept, weight), g.mul(c, f)], collected: [dz] };
};

/** The steps one after another, in either direction: the last states, then what each step gave, stacked. */
function repeat(
  g: Graph,
  target: Target,
  step: Step,
  states: readonly Value[],
  scanned: readonly Value[],
  fixed: Fixed,
  reverse = false,
): Value[] {
  return target === "webgpu"
    ? unroll(g, step, states, scanned, fixed, reverse)
    : loop(g, step, states, scanned, fixed, reverse);
}

function loop(
  g: Graph,
  step: Step,
  states: readonly Value[],
  scanned: readonly Value[],
  fixed: Fixed,
  reverse: boolean,
): Value[] {
  const inner = new Graph();
  const declare = (prefix: string, drop: number) => ({ type, dims }: Value, i: number) =>
    inner.input(`${prefix}${i}`, type, dims.slice(drop));
  const before = states.map(declare("state", 0)), slices = scanned.map(declare("slice", 1));
  const { weight, index, scale } = fixed;
  const captured = index && scale ? [weight, index, scale] : [weight];
  const [ownWeight, ownIndex, ownScale] = captured.map(declare("captured", 0));
  const after = step(inner, before, slices, {
    weight: ownWeight,
    index: ownIndex,
    scale: ownScale,
  });
  after.states.forEach((value, i) => inner.output(`next${i}`, value));
  after.collected.forEach((value, i) => inner.output(`collected${i}`, value));
  const direction = Number(reverse);
  return [...g.opMany("Scan", [...states, ...scanned, ...captured], {
    body: new Body(inner, captured.length),
    num_scan_inputs: scanned.length,
    scan_input_directions: scanned.map(() => direction),
    scan_output_directions: after.collected.map(() => direction),
  }, after.states.length + after.collected.length)];
}

function unroll(
  g: Graph,
  step: Step,
  states: readonly Value[],
  scanned: readonly Value[],
  fixed: Fixed,
  reverse: boolean,
): Value[] {
  const length = scanned[0].dims[0];
  const collected: Value[][] = [];
  for (let i = 0; i < length; i++) {
    const t = reverse ? length - 1 - i : i;
    const slices = scanned.map((x) => g.squeeze(g.slice(x, [0], [t], [t + 1]), [0]));
    const after = step(g, states, slices, fixed);
    states = after.states;
    after.collected.forEach((value, j) => (collected[j] ??= [])[t] = g.unsqueeze(value, [0]));
  }
  return [...states, ...collected.map((values) => g.concat(values, 0))];
}

/** Rules for recurrent operators. */
export const recurrentRules: LoweringRules = {
  "celgc.LSTM"(g, { inputs }, target) {
    const [x, weight, h, c, , index, scale] = inputs as Value[];
    return repeat(g, target, forward, [h, c], [x], { weight, index, scale }).slice(2);
  },

  "celgc.LSTMGradient"(g, { inputs }, target) {
    const [dh, dc, weight, first, cells, z, index, scale] = inputs as Value[];
    const before = g.concat([g.unsqueeze(first, [0]), g.slice(cells, [0], [0], [-1])], 0);
    const { i, f, n, o } = gatesOf(g, z);
    const top = g.tanh(cells);
    const slope = (y: Value) => g.mul(y, g.sub(1, y)),
      slopeOfTanh = (y: Value) => g.sub(1, g.mul(y, y));
    const slopes = [
      g.mul(n, slope(i)),
      g.mul(before, slope(f)),
      g.mul(i, slopeOfTanh(n)),
      g.mul(top, slope(o)),
    ];
    const scanned = [f, g.mul(o, slopeOfTanh(top)), g.concat(slopes, 2)];
    const zeros = g.expand(g.scalar(0, first.type), first.dims);
    const outside = dc ? [dh ?? g.mul(cells, 0), dc] : [dh];
    const [dHidden, dCell, dx] = repeat(
      g,
      target,
      backward,
      [zeros, zeros],
      [...scanned, ...outside],
      { weight, index, scale },
      true,
    );
    return [dx, dHidden, dCell];
  },

  "celgc.SelectRows": (g, { inputs }) => [g.op("Gather", [inputs[0], inputs[1]], { axis: 0 })],
};
