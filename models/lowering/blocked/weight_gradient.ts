/**
 * The gradient of a convolution by its weight, for blocked images.
 *
 * It is a convolution itself: the images' channels are its images, the batch its channels, the output's
 * gradient its kernel, and what comes out is the weight's kernel. Plain, that is the slowest form of all,
 * for its kernels are as large as images; a blocked kernel takes them in its stride, so that the way
 * there costs half as much again and is still a third of the next best.
 */

import type { Value } from "../../graph.ts";
import type { Application } from "../../operator.ts";
import { type Window, windowOf } from "../../ops/layers/window.ts";
import { sizeOf } from "../../tensor.ts";
import type { Blocks } from "./_blocks.ts";

/**
 * The gradient by a weight of `call.attributes.dims`, its filters whole blocks.
 *
 * @param x `[batch, channels, height, width]`
 */
export function weightGradient(blocks: Blocks, x: Value, dy: Value, call: Application): Value {
  const dims = call.attributes.dims as readonly number[], [filters, , ...kernel] = dims;
  const window = windowOf(call, x.dims.slice(2), kernel), { strides, dilations, output } = window;
  // Zeros around the images, and what no tap reaches cut off, so that exactly the kernel comes out.
  const after = kernel.map((taps, i) =>
    (taps - 1) * dilations[i] + (output[i] - 1) * strides[i] + 1 - x.dims[2 + i] -
    window.before[i]
  );
  [x, dy] = [x, dy].map((value) => fillBatch(blocks, value));
  // With two blocks of filters the kernel waits for its own sums, which hides that the plain one loads
  // more; with more blocks its loads would show, and cost more than what moves less.
  const blocked = x.dims[0] % blocks.size === 0 && filters > 2 * blocks.size;
  const form = blocked ? wholeBatch : byImages;
  return blocks.g.transpose(blocks.leave(form(blocks, x, dy, { ...window, after })), [1, 0, 2, 3]);
}

/** The batch as channels that a blocked kernel takes: whole blocks or less than one, with images of zeros. */
function fillBatch(blocks: Blocks, x: Value): Value {
  const [batch] = x.dims, size = blocks.size;
  if (batch < size || batch % size === 0) return x;
  const fill = (image: Value) => blocks.g.pad(image, [0, 0, 0, 0], [size - batch % size, 0, 0, 0]);
  return blocks.has(x) ? blocks.leave(fill(blocks.enter(x))) : fill(x);
}

/** The batch in blocks: `[channels, filters, …kernel]`, blocked. */
function wholeBatch(blocks: Blocks, x: Value, dy: Value, window: Window): Value {
  const { g, size } = blocks, { before, after, output, strides, dilations } = window;
  const [batch, channels, height, width] = x.dims, filters = dy.dims[1];
  // [batch, channels, image] → [batch / size, channels, image, size] → [channels, batch / size, …]
  const column = blocks.enter(g.reshape(x, [1, batch, channels * height, width]));
  const rows = g.reshape(column, [batch / size, channels, height, width * size]);
  const padded = g.pad(
    g.transpose(rows, [1, 0, 2, 3]),
    [0, 0, before[0], before[1] * size],
    [0, 0, after[0], after[1] * size],
  );
  const [high, wide] = [height + before[0] + after[0], width + before[1] + after[1]];
  const images = g.reshape(padded, [channels, batch, high, wide]);
  // [batch, filters / size, image, size] → [filters / size, batch / size, image, size, size]
  const split = [batch / size, size, filters / size, sizeOf(output), size];
  const kernels = g.transpose(g.reshape(blocks.enter(dy), split), [2, 0, 3, 1, 4]);
  return blocks.conv(images, g.reshape(kernels, [filters, batch, ...output]), {
    strides: dilations,
    dilations: strides,
  });
}

/**
 * A few images at a time, in groups of less than a block, which the kernel reads plain: the gradient's
 * blocks move whole, or stay where they are. The groups' results are added up.
 */
function byImages(blocks: Blocks, x: Value, dy: Value, window: Window): Value {
  const { g, size } = blocks, { before, after, output, kernel, strides, dilations } = window;
  const [batch, channels, height] = x.dims, filters = dy.dims[1];
  let few = Math.min(size / 2, batch);
  while (batch % few) few--;
  const groups = batch / few, block = filters / size;
  // Rows that are missing the convolution supplies; columns it would take one by one.
  const [crop, rest] = [Math.min(0, after[0]), Math.max(0, after[0])];
  const wide = padColumns(blocks, x, before[1], after[1]);
  const cropped = g.slice(wide, [2], [0], [height + crop]);
  const images = g.transpose(cropped, [1, 0, 2, 3]);
  const apart = g.reshape(blocks.enter(dy), [groups, few, block, sizeOf(output) * size]);
  const kernels = few === 1 ? apart : g.transpose(apart, [0, 2, 1, 3]);
  const sums = blocks.conv(images, g.reshape(kernels, [groups * filters, few, ...output]), {
    pads: [before[0], 0, rest, 0],
    strides: dilations,
    dilations: strides,
    group: groups,
  });
  const total = g.sum(g.reshape(sums, [channels, groups, filters * sizeOf(kernel)]), [1]);
  return g.reshape(total, [channels, filters, ...kernel]);
}

/** A plain image with columns of zeros, or without its last; padded in blocks, which is faster. */
function padColumns(blocks: Blocks, x: Value, before: number, after: number): Value {
  const { g, size } = blocks, [batch, channels, height, width] = x.dims;
  if (!blocks.has(x)) return g.pad(x, [0, 0, 0, before], [0, 0, 0, after]);
  const rows = g.reshape(blocks.enter(x), [batch, channels / size, height, width * size]);
  const padded = g.pad(rows, [0, 0, 0, before * size], [0, 0, 0, after * size]);
  return blocks.leave(g.reshape(padded, [batch, channels, height, width + before + after]));
}
