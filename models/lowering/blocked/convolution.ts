/** Convolutions of blocked images and their backward passes. */

import type { Value } from "../../graph.ts";
import { type Application, intAttribute } from "../../operator.ts";
import { type Window, windowAttributes, windowOf } from "../../ops/layers/window.ts";
import { sizeOf } from "../../tensor.ts";
import type { BlockedRules, Blocks } from "./_blocks.ts";
import { weightGradient } from "./weight_gradient.ts";

/** Whether a convolution from `channels` to `filters` has a blocked kernel. */
function suits(blocks: Blocks, channels: number, filters: number): boolean {
  return filters % blocks.size === 0 && (channels < blocks.size || channels % blocks.size === 0);
}

/** An image as a convolution reads it: blocked, or plain where its channels do not fill a block. */
function image(blocks: Blocks, x: Value): Value {
  return x.dims[1] < blocks.size ? x : blocks.enter(x);
}

/** Stride 1: a convolution with the flipped kernel, filters and channels exchanged. */
function flippedConvolution(blocks: Blocks, dy: Value, weight: Value, window: Window): Value {
  const g = blocks.g, size = blocks.size, [filters, channels, ...kernel] = weight.dims;
  const taps = sizeOf(kernel), backwards = Array.from({ length: taps }, (_, i) => taps - 1 - i);
  // Both axes of a kernel turned are its taps in reverse order. What moves stays a block wide, and the
  // Gather between the two keeps onnxruntime from making one slow Transpose of them.
  const wide = g.transpose(g.reshape(weight, [filters * channels / size, size, taps]));
  const turned = g.op("Gather", [wide, g.ints(backwards)], { axis: 1 });
  const split = g.reshape(turned, [filters / size, size, channels / size, taps, size]);
  const flipped = g.reshape(g.transpose(split, [2, 0, 3, 1, 4]), [channels, filters, ...kernel]);
  const { before, after, dilations } = window;
  const pads = [before, after].flatMap((side) =>
    side.map((count, i) => (kernel[i] - 1) * dilations[i] - count)
  );
  return blocks.conv(blocks.enter(dy), flipped, { pads, dilations });
}

/** For one axis: which tap of the kernel each phase of the stride meets at each offset. */
interface Phases {
  /** `[phase][offset]`; the kernel's length where there is no tap */
  readonly taps: readonly number[][];
  readonly first: number;
  readonly last: number;
}

/** Where a pixel u of the image meets the output: at (u + before − tap · dilation) / stride, if whole. */
function phasesOf({ kernel, strides, dilations, before }: Window, axis: number): Phases {
  const stride = strides[axis], meets: [number, number, number][] = [];
  for (let phase = 0; phase < stride; phase++) {
    for (let tap = 0; tap < kernel[axis]; tap++) {
      const at = phase + before[axis] - tap * dilations[axis];
      if (at % stride === 0) meets.push([phase, tap, at / stride]);
    }
  }
  const offsets = meets.map(([, , offset]) => offset);
  const first = Math.min(...offsets), last = Math.max(...offsets);
  const taps = Array.from(
    { length: stride },
    () => new Array<number>(last - first + 1).fill(kernel[axis]),
  );
  for (const [phase, tap, offset] of meets) taps[phase][offset - first] = tap;
  return { taps, first, last };
}

/**
 * Any stride: pixels that lie alike in the stride's raster, its phases, meet the same taps. One
 * convolution computes all phases as channels, which then are put in their places.
 */
function phasedConvolution(
  blocks: Blocks,
  dy: Value,
  weight: Value,
  window: Window,
  [height, width]: readonly number[],
): Value | undefined {
  const g = blocks.g, [filters, channels] = weight.dims;
  const [down, across] = window.strides, size = blocks.size;
  if (height % down || width % across) return undefined;
  const rows = phasesOf(window, 0), columns = phasesOf(window, 1);
  const [m, n] = [height / down, width / across];
  const pads = [
    -rows.first,
    -columns.first,
    m - 1 + rows.last - (dy.dims[2] - 1),
    n - 1 + columns.last - (dy.dims[3] - 1),
  ];
  if (pads.some((count) => count < 0)) return undefined;
  // A row and a column of zeros stand for the taps that are not there.
  let taps = g.pad(weight, [0, 0, 0, 0], [0, 0, 1, 1]);
  taps = g.op("Gather", [taps, g.ints(rows.taps.flat())], { axis: 2 });
  taps = g.op("Gather", [taps, g.ints(columns.taps.flat())], { axis: 3 });
  const [high, wide] = [rows.taps[0].length, columns.taps[0].length];
  taps = g.reshape(taps, [filters, channels, down, high, across, wide]);
  taps = g.reshape(g.transpose(taps, [2, 4, 1, 0, 3, 5]), [
    down * across * channels,
    filters,
    high,
    wide,
  ]);
  const phases = blocks.conv(image(blocks, dy), blocks.filters(taps), { pads });
  const batch = dy.dims[0], block = channels / size;
  const apart = g.reshape(phases, [batch, down, across, block, m, n, size]);
  const placed = g.transpose(apart, [0, 3, 4, 1, 5, 2, 6]);
  return g.reshape(placed, [batch, channels, height, width]);
}

/** The window of a convolution of two axes in one group. */
function twoAxes(
  call: Application,
  x: readonly number[],
  weight: readonly number[],
): Window | undefined {
  if (intAttribute(call, "group", 1) !== 1 || x.length !== 4) return undefined;
  return windowOf(call, x.slice(2), weight.slice(2));
}

/** Rules for convolutions. */
export const blockedConvolution: BlockedRules = {
  Conv(blocks, call) {
    const [x, weight, bias] = call.inputs as Value[];
    const window = twoAxes(call, x.dims, weight.dims);
    if (!window || x.type !== "float32" || !suits(blocks, weight.dims[1], weight.dims[0])) {
      return undefined;
    }
    const filters = blocks.filters(weight);
    return [
      blocks.leave(
        blocks.conv(image(blocks, x), filters, windowAttributes(window), { bias }),
      ),
    ];
  },
  "celgc.ConvInputGradient"(blocks, call) {
    const [dy, weight] = call.inputs as Value[], dims = call.attributes.dims as readonly number[];
    const window = twoAxes(call, dims, weight.dims);
    const [filters, channels] = weight.dims;
    if (!window || dy.type !== "float32" || channels % blocks.size || filters % blocks.size) {
      return undefined;
    }
    const { kernel, strides, dilations, before, after } = window;
    const span = kernel.map((taps, i) => (taps - 1) * dilations[i]);
    const fits = span.every((reach, i) => reach >= before[i] && reach >= after[i]);
    const dx = strides.every((stride) => stride === 1) && fits
      ? flippedConvolution(blocks, dy, weight, window)
      : phasedConvolution(blocks, dy, weight, window, dims.slice(2));
    return dx && [blocks.leave(dx)];
  },
  "celgc.ConvWeightGradient"(blocks, call) {
    const [x, dy] = call.inputs as Value[], dims = call.attributes.dims as readonly number[];
    if (!twoAxes(call, x.dims, dims) || x.type !== "float32") return undefined;
    if (dims[0] % blocks.size) return undefined;
    return [weightGradient(blocks, x, dy, call)];
  },
};
