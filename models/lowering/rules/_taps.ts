/** What one tap of a sliding window sees of an image, and the way back. */

import type { Graph, Value } from "../../graph.ts";
import { reaching, type Window } from "../../ops/layers/window.ts";

/** The image padded as the window wants it. */
export function padded(g: Graph, x: Value, window: Window, value = 0): Value {
  return g.pad(x, [0, 0, ...window.before], [0, 0, ...window.after], value);
}

/** The elements of `[batch, channels, …image]` under one tap: `[batch, channels, …positions]`. */
export function gatherTap(
  g: Graph,
  x: Value,
  window: Window,
  tap: readonly number[],
  padding = 0,
): Value {
  const { strides, dilations, output } = window;
  const image = padded(g, x, reaching(window, x.dims.slice(2)), padding);
  const starts = tap.map((index, i) => index * dilations[i]);
  const ends = starts.map((start, i) => start + (output[i] - 1) * strides[i] + 1);
  return g.slice(image, tap.map((_, i) => 2 + i), starts, ends, strides);
}

/** The transpose of {@linkcode gatherTap}: elements put back where the tap took them, zeros elsewhere. */
export function spreadTap(
  g: Graph,
  dy: Value,
  window: Window,
  tap: readonly number[],
  image: readonly number[],
): Value {
  const { strides, dilations, output, before } = window;
  let x = dy;
  if (strides.some((stride) => stride > 1)) {
    const lead = dy.dims.slice(0, 2);
    x = g.reshape(x, [...lead, ...output.flatMap((count) => [count, 1])]);
    const after = [0, 0, ...strides.flatMap((stride) => [0, stride - 1])];
    x = g.pad(x, after.map(() => 0), after);
    x = g.reshape(x, [...lead, ...output.map((count, i) => count * strides[i])]);
  }
  const first = tap.map((index, i) => index * dilations[i] - before[i]);
  const rest = image.map((size, i) => size - first[i] - x.dims[2 + i]);
  return g.pad(x, [0, 0, ...first], [0, 0, ...rest]);
}
