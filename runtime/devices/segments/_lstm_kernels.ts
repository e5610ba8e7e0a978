/**
 * The recurrence of an LSTM in WGSL, one dispatch a step of time. The operators are `celgc.LSTM` and
 * `celgc.LSTMGradient` (models/ops/layers/recurrent.ts), whose formulas these are.
 *
 * The weight may hold some of its rows alone (`kept` of 4 · size), with an index and a scale; without them every
 * row is there once.
 */

/** What both kernels are made for. */
export interface LstmShape {
  readonly length: number;
  readonly batch: number;
  readonly size: number;
  /** Rows of the weight: 4 · size, or those that are kept. */
  readonly rows: number;
  /** Whether an index and a scale say which rows. */
  readonly indexed: boolean;
}

/** Mini-batch entries that a workgroup computes at a time. */
export const TILE = 4;
/** Threads of a workgroup of the forward kernel, which share one unit's sums. */
const FORWARD_THREADS = 64;
/** Units of a workgroup of the backward kernel, and the parts into which each one's sum is cut. */
export const UNITS = 32, PARTS = 8;

const GATES = /* wgsl */ `
fn sigmoid(x: f32) -> f32 { return 1.0 / (1.0 + exp(-x)); }
/**
 * tanh that is exact to float32 far from zero too, where the quotient of exponentials is not finite. What is not a
 * number stays so, which clamp() need not leave it, nor drivers' tanh(); told by its bits, since a compiler may take
 * comparisons of floats for those of numbers.
 */
fn bent(x: f32) -> f32 {
  let isNumber = (bitcast<u32>(x) & 0x7fffffffu) <= 0x7f800000u;
  return select(x, tanh(clamp(x, -20.0, 20.0)), isNumber);
}
`;

const constants = ({ length, batch, size, rows }: LstmShape) => /* wgsl */ `
const LENGTH = ${length}u;
const BATCH = ${batch}u;
const SIZE = ${size}u;
const ROWS = ${rows}u;
const TILE = ${TILE}u;
`;

/** Buffers of the forward kernel, in the order of their bindings, which begin at 1. */
export const FORWARD_BUFFERS = [
  "x",
  "weight",
  "hidden",
  "cell",
  "states",
  "cells",
  "gates",
  "positions",
  "scale",
] as const;

/** A workgroup computes one unit for some entries of the mini-batch at step `time`. */
export function forwardKernel(shape: LstmShape): string {
  const { indexed } = shape;
  return /* wgsl */ `${constants(shape)}${GATES}
const THREADS = ${FORWARD_THREADS}u;
@group(0) @binding(0) var<uniform> time: u32;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> hidden: array<f32>;
@group(0) @binding(4) var<storage, read> cell: array<f32>;
@group(0) @binding(5) var<storage, read_write> states: array<f32>;
@group(0) @binding(6) var<storage, read_write> cells: array<f32>;
@group(0) @binding(7) var<storage, read_write> gates: array<f32>;
${
    indexed
      ? `@group(0) @binding(8) var<storage, read> positions: array<i32>;
@group(0) @binding(9) var<storage, read> scale: array<f32>;`
      : ""
  }
var<workgroup> sums: array<vec4f, ${FORWARD_THREADS * TILE}>;

/** The hidden state before this step. */
fn before(entry: u32, k: u32) -> f32 {
  if (time == 0u) { return hidden[entry * SIZE + k]; }
  return states[((time - 1u) * BATCH + entry) * SIZE + k];
}

@compute @workgroup_size(${FORWARD_THREADS})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let unit = group.x;
  let first = group.y * TILE;
  var row: vec4u;
  var factor = vec4f(1.0);
  for (var gate = 0u; gate < 4u; gate++) {
    ${
    indexed
      ? `let position = u32(positions[gate * SIZE + unit]);
    row[gate] = position * SIZE;
    factor[gate] = scale[position];`
      : `row[gate] = (gate * SIZE + unit) * SIZE;`
  }
  }
  var own: array<vec4f, ${TILE}>;
  for (var k = thread; k < SIZE; k += THREADS) {
    let w = vec4f(weight[row.x + k], weight[row.y + k], weight[row.z + k], weight[row.w + k]);
    for (var i = 0u; i < TILE; i++) {
      if (first + i < BATCH) { own[i] += before(first + i, k) * w; }
    }
  }
  for (var i = 0u; i < TILE; i++) { sums[i * THREADS + thread] = own[i]; }
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      for (var i = 0u; i < TILE; i++) {
        sums[i * THREADS + thread] += sums[i * THREADS + thread + half];
      }
    }
  }
  workgroupBarrier();
  let entry = first + thread;
  if (thread >= TILE || entry >= BATCH) { return; }
  let at = (time * BATCH + entry) * SIZE + unit;
  let gate = (time * BATCH + entry) * 4u * SIZE + unit;
  let given = vec4f(x[gate], x[gate + SIZE], x[gate + 2u * SIZE], x[gate + 3u * SIZE]);
  // A row that is not there has a scale of zero; what stands at its place counts for nothing, whatever it is.
  let z = given + select(vec4f(0.0), factor * sums[thread * THREADS], factor != vec4f(0.0));
  var c: f32;
  if (time == 0u) { c = cell[entry * SIZE + unit]; } else { c = cells[at - BATCH * SIZE]; }
  c = sigmoid(z.y) * c + sigmoid(z.x) * bent(z.z);
  gates[gate] = z.x;
  gates[gate + SIZE] = z.y;
  gates[gate + 2u * SIZE] = z.z;
  gates[gate + 3u * SIZE] = z.w;
  cells[at] = c;
  states[at] = sigmoid(z.w) * bent(c);
}
`;
}

/** Buffers of the backward kernel, in the order of their bindings, which begin at 1. */
export const BACKWARD_BUFFERS = [
  "weight",
  "cell",
  "cells",
  "gates",
  "dx",
  "dHidden",
  "dCell",
  "dStates",
  "dCells",
  "rows",
  "scale",
] as const;

/** Which of the gradients by what the recurrence gave there are. */
export interface GradientShape extends LstmShape {
  readonly byStates: boolean;
  readonly byCells: boolean;
}

/**
 * A workgroup computes some units for some entries of the mini-batch at step `time`, which counts down; `LENGTH`
 * itself stands for the gradient by the first hidden state, after step 0.
 */
export function backwardKernel(shape: GradientShape): string {
  const { indexed, byStates, byCells } = shape;
  return /* wgsl */ `${constants(shape)}${GATES}
const UNITS = ${UNITS}u;
const PARTS = ${PARTS}u;
@group(0) @binding(0) var<uniform> time: u32;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> cell: array<f32>;
@group(0) @binding(3) var<storage, read> cells: array<f32>;
@group(0) @binding(4) var<storage, read> gates: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;
@group(0) @binding(6) var<storage, read_write> dHidden: array<f32>;
@group(0) @binding(7) var<storage, read_write> dCell: array<f32>;
${byStates ? "@group(0) @binding(8) var<storage, read> dStates: array<f32>;" : ""}
${byCells ? "@group(0) @binding(9) var<storage, read> dCells: array<f32>;" : ""}
${
    indexed
      ? `@group(0) @binding(10) var<storage, read> rows: array<i32>;
@group(0) @binding(11) var<storage, read> scale: array<f32>;`
      : ""
  }
var<workgroup> sums: array<f32, ${UNITS * PARTS * TILE}>;

@compute @workgroup_size(${UNITS * PARTS})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let column = thread % UNITS;
  let part = thread / UNITS;
  let first = group.y * TILE;
  let k = group.x * UNITS + column;
  // The step after this one, whose gates' gradients come back through the weight.
  let after = select(time + 1u, 0u, time == LENGTH);
  var own: array<f32, ${TILE}>;
  if (after < LENGTH && k < SIZE) {
    for (var p = part; p < ROWS; p += PARTS) {
      ${
    indexed
      ? `let factor = scale[p];
      if (factor == 0.0) { continue; }
      let row = u32(rows[p]);
      let w = factor * weight[p * SIZE + k];`
      : `let row = p;
      let w = weight[p * SIZE + k];`
  }
      for (var i = 0u; i < TILE; i++) {
        if (first + i < BATCH) { own[i] += w * dx[(after * BATCH + first + i) * 4u * SIZE + row]; }
      }
    }
  }
  for (var i = 0u; i < TILE; i++) { sums[(i * PARTS + part) * UNITS + column] = own[i]; }
  workgroupBarrier();
  let entry = first + part;
  if (part >= TILE || entry >= BATCH || k >= SIZE) { return; }
  var dh = 0.0;
  for (var i = 0u; i < PARTS; i++) { dh += sums[(part * PARTS + i) * UNITS + column]; }
  let here = entry * SIZE + k;
  if (time == LENGTH) {
    dHidden[here] = dh;
    return;
  }
  let at = time * BATCH * SIZE + here;
  let gate = (time * BATCH + entry) * 4u * SIZE + k;
  ${byStates ? "dh += dStates[at];" : ""}
  let i = sigmoid(gates[gate]);
  let f = sigmoid(gates[gate + SIZE]);
  let n = bent(gates[gate + 2u * SIZE]);
  let o = sigmoid(gates[gate + 3u * SIZE]);
  let top = bent(cells[at]);
  var c: f32;
  if (time == 0u) { c = cell[here]; } else { c = cells[at - BATCH * SIZE]; }
  var dc = dh * o * (1.0 - top * top);
  if (time + 1u < LENGTH) { dc += dCell[here]; }
  ${byCells ? "dc += dCells[at];" : ""}
  dx[gate] = dc * n * i * (1.0 - i);
  dx[gate + SIZE] = dc * c * f * (1.0 - f);
  dx[gate + 2u * SIZE] = dc * i * (1.0 - n * n);
  dx[gate + 3u * SIZE] = dh * top * o * (1.0 - o);
  dCell[here] = dc * f;
}
`;
}
