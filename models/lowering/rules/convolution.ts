/** Backward passes of convolutions. */

import type { Graph, Value } from "../../graph.ts";
import { type Application, intAttribute } from "../../operator.ts";
import { indices, type Window, windowAttributes, windowOf } from "../../ops/layers/window.ts";
import { sizeOf, stridesOf } from "../../tensor.ts";
import { gatherTap, padded } from "./_taps.ts";
import type { LoweringRules, Target } from "../rule.ts";

/** Most elements of a kernel that is turned by a table of places, which is as large as itself. */
const MOST_TURNED = 1 << 16;

/**
 * The gradient by the image. At stride 1 it is a convolution with the flipped kernel, filters and channels
 * exchanged, which runtimes do better than a transposed convolution.
 */
function inputGradient(g: Graph, call: Application, target: Target): Value {
  const [dy, weight] = call.inputs as Value[];
  const dims = call.attributes.dims as readonly number[], image = dims.slice(2);
  const window = windowOf(call, image, weight.dims.slice(2));
  const { kernel, strides, dilations, before, after, output } = window;
  const group = intAttribute(call, "group", 1);
  const span = kernel.map((size, i) => (size - 1) * dilations[i] + 1);
  const pads = [before, after].flatMap((side) => side.map((count, i) => span[i] - 1 - count));
  if (strides.every((stride) => stride === 1) && pads.every((count) => count >= 0)) {
    if (target === "webgpu" && sizeOf(kernel) > 1 && sizeOf(weight.dims) <= MOST_TURNED) {
      return g.conv(dy, turned(g, weight, group), { pads, dilations, group });
    }
    const [filters, channels] = weight.dims;
    const spatial = kernel.map((_, i) => i);
    const grouped = g.reshape(weight, [group, filters / group, channels, ...kernel]);
    const swapped = g.transpose(grouped, [0, 2, 1, ...spatial.map((i) => i + 3)]);
    const exchanged = g.reshape(swapped, [group * channels, filters / group, ...kernel]);
    const flipped = g.flip(exchanged, spatial.map((i) => i + 2));
    return g.conv(dy, flipped, { pads, dilations, group });
  }
  const reached = output.map((count, i) =>
    strides[i] * (count - 1) + span[i] - before[i] - after[i]
  );
  return g.op("ConvTranspose", [dy, weight], {
    ...windowAttributes(window),
    group,
    output_padding: image.map((size, i) => size - reached[i]),
  });
}

/** The kernel flipped, filters and channels exchanged within each group, in one Gather. */
function turned(g: Graph, weight: Value, group: number): Value {
  const [filters, channels, ...kernel] = weight.dims, taps = sizeOf(kernel);
  const own = filters / group, places = [];
  for (let to = 0; to < group * channels; to++) {
    const first = Math.floor(to / channels) * own, channel = to % channels;
    for (let filter = first; filter < first + own; filter++) {
      const start = (filter * channels + channel) * taps;
      for (let tap = taps - 1; tap >= 0; tap--) places.push(start + tap);
    }
  }
  const dims = [group * channels, own, ...kernel];
  const flat = g.reshape(weight, [sizeOf(weight.dims)]);
  return g.op("Gather", [flat, g.constant("int32", dims, places)], { axis: 0 });
}

/**
 * The gradient by the weight: for each tap of the kernel, the image as the tap sees it times the output's
 * gradient, batched over the images and then added up: batching splits the long sum over positions, which
 * is what a GPU's many cores want. (One convolution with batch and channels exchanged says the same, and
 * is the slowest way where runtimes are tuned for small kernels.)
 */
function weightGradient(g: Graph, call: Application, target: Target): Value {
  const [x, dy] = call.inputs as Value[];
  const dims = call.attributes.dims as readonly number[];
  const [filters, channels, ...kernel] = dims, group = intAttribute(call, "group", 1);
  const window = windowOf(call, x.dims.slice(2), kernel);
  const batch = x.dims[0], positions = sizeOf(window.output);
  if (target === "webgpu" && group === 1 && sizeOf(kernel) > 1) {
    const seen = columns(g, x, window);
    const rows = g.reshape(dy, [batch, filters, positions]);
    const sum = g.reshape(g.sum(g.matmul(rows, seen), [0]), [filters, ...kernel, channels]);
    return g.transpose(sum, [0, kernel.length + 1, ...kernel.map((_, i) => i + 1)]);
  }
  const grouped = g.reshape(dy, [batch, group, filters / group, positions]);
  const columnsOfDy = g.transpose(grouped);
  const taps = [...indices(kernel)].map((tap) => {
    const seen = g.reshape(gatherTap(g, x, window, tap), [batch, group, channels, positions]);
    return g.sum(g.matmul(seen, columnsOfDy), [0], true);
  });
  // [tap, group, channel, filter of the group] → [filter, channel, tap]
  const stacked = g.transpose(g.concat(taps, 0), [1, 3, 2, 0]);
  return g.reshape(stacked, dims);
}

/**
 * What each position of the window sees, `[batch, positions, taps · channels]` (im2col), in one Gather: a
 * dispatch each for slices of every tap and their concatenation would cost more than they move.
 */
function columns(g: Graph, x: Value, window: Window): Value {
  const image = padded(g, x, window), [batch, channels, ...room] = image.dims;
  const strides = stridesOf(room);
  const places = [...indices(window.output)].flatMap((position) =>
    [...indices(window.kernel)].map((tap) =>
      tap.reduce(
        (at, index, i) =>
          at + (position[i] * window.strides[i] + index * window.dilations[i]) * strides[i],
        0,
      )
    )
  );
  const last = g.transpose(image, [0, ...room.map((_, i) => i + 2), 1]);
  const pixels = g.reshape(last, [batch, sizeOf(room), channels]);
  const taken = g.op("Gather", [pixels, g.constant("int32", [places.length], places)], { axis: 1 });
  return g.reshape(taken, [batch, sizeOf(window.output), sizeOf(window.kernel) * channels]);
}

/** Rules for convolutions. */
export const convolutionRules: LoweringRules = {
  "celgc.ConvInputGradient": (g, call, target) => [inputGradient(g, call, target)],
  "celgc.ConvWeightGradient": (g, call, target) => [weightGradient(g, call, target)],
};
