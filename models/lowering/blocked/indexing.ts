/** Parts of blocked images: what leaves blocks of channels whole moves them as they are. */

import type { Value } from "../../graph.ts";
import { type Application, constantInput, stringAttribute } from "../../operator.ts";
import type { BlockedRules, Blocks } from "./_blocks.ts";

/** A list over `[batch, channels, height, width]` as one over a blocked image's axes in memory. */
function inMemory(blocks: Blocks, [batch, channels, ...image]: readonly number[]): number[] {
  return [batch, channels / blocks.size, ...image, 0];
}

/** Adds or crops, at the start and end of each axis; undefined where that would part a block. */
function pad(
  blocks: Blocks,
  x: Value,
  before: readonly number[],
  after: readonly number[],
): Value | undefined {
  if (before[1] % blocks.size || after[1] % blocks.size) return undefined;
  const padded = blocks.g.pad(
    blocks.open(x),
    inMemory(blocks, before),
    inMemory(blocks, after),
  );
  return blocks.g.reshape(padded, x.dims.map((dim, axis) => before[axis] + dim + after[axis]));
}

/** An input that lists a number for some axes, as one for every axis. */
function forAxes(call: Application, index: number, otherwise: number): number[] {
  const axes = constantInput(call, 3, "axes") ?? [0, 1, 2, 3];
  const list = constantInput(call, index, "list");
  const all = [0, 1, 2, 3].map(() => otherwise);
  axes.forEach((axis, i) => all[(axis + 4) % 4] = list?.[i] ?? otherwise);
  return all;
}

/** Rules for indexing. */
export const blockedIndexing: BlockedRules = {
  Pad(blocks, call) {
    const x = call.inputs[0]!, value = call.inputs[2];
    if (
      !blocks.has(x) || call.inputs[3] || stringAttribute(call, "mode", "constant") !== "constant"
    ) {
      return undefined;
    }
    if (value && value.constant?.data[0] !== 0) return undefined;
    const pads = constantInput(call, 1, "pads")!;
    const padded = pad(blocks, blocks.enter(x), pads.slice(0, 4), pads.slice(4));
    return padded && [blocks.leave(padded)];
  },
  /** Forward, and of whole blocks. */
  Slice(blocks, call) {
    const x = call.inputs[0]!, g = blocks.g, size = blocks.size;
    if (!blocks.has(x)) return undefined;
    const steps = forAxes(call, 4, 1);
    const within = (index: number, axis: number) =>
      Math.max(0, Math.min(x.dims[axis], index < 0 ? index + x.dims[axis] : index));
    const starts = forAxes(call, 1, 0).map(within),
      ends = forAxes(call, 2, 2 ** 31 - 1).map(within);
    if (steps[1] !== 1 || starts[1] % size || ends[1] % size) return undefined;
    if (steps.some((step) => step < 1)) return undefined;
    starts[1] /= size;
    ends[1] /= size;
    const part = g.slice(blocks.open(blocks.enter(x)), [0, 1, 2, 3], starts, ends, steps);
    const [batch, channels, ...image] = part.dims.slice(0, 4);
    return [blocks.leave(g.reshape(part, [batch, channels * size, ...image]))];
  },
  "celgc.SliceGradient"(blocks, { inputs: [dy], attributes }) {
    const [dims, starts, steps] = ["dims", "starts", "steps"].map((name) =>
      attributes[name] as readonly number[]
    );
    const g = blocks.g, size = blocks.size;
    if (!blocks.has(dy!) || steps[0] !== 1 || steps[1] !== 1) return undefined;
    const [batch, channels, height, width] = dy!.dims, [, , down, across] = steps;
    // A column of blocks is padded to the columns of its step, a row to the rows of its step.
    const rows = g.reshape(blocks.enter(dy!), [batch * channels / size * height, 1, width, size]);
    const apart = g.pad(rows, [0, 0, 0, 0], [0, down - 1, 0, (across - 1) * size]);
    const spread = g.reshape(apart, [batch, channels, height * down, width * across]);
    const after = dims.map((dim, axis) => dim - starts[axis] - spread.dims[axis]);
    const placed = pad(blocks, spread, starts, after);
    return placed && [blocks.leave(placed)];
  },
};
