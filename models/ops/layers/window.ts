/** The geometry of windows that slide over spatial axes: convolution and pooling. */

import {
  type Application,
  type Attributes,
  intAttribute,
  intsAttribute,
  OperatorError,
  stringAttribute,
} from "../../operator.ts";

/** How windows lie on the spatial axes; every list has one entry per axis. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Zeros before each axis, and after. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** Positions of the window along each axis. */
  readonly output: readonly number[];
}

/** Reads kernel_shape, strides, dilations, pads, auto_pad and ceil_mode against an image's axes. */
export function windowOf(
  call: Application,
  image: readonly number[],
  shape?: readonly number[],
): Window {
  const rank = image.length, ones = image.map(() => 1);
  const kernel = intsAttribute(call, "kernel_shape", shape ?? []);
  if (kernel.length !== rank || shape && kernel.some((size, i) => size !== shape[i])) {
    throw new OperatorError(call, `kernel_shape [${kernel}] does not fit ${rank} spatial axes`);
  }
  const strides = intsAttribute(call, "strides", ones),
    dilations = intsAttribute(call, "dilations", ones);
  checkSteps(call, rank, { kernel_shape: kernel, strides, dilations });
  const span = kernel.map((size, i) => (size - 1) * dilations[i] + 1);
  const autoPad = stringAttribute(call, "auto_pad", "NOTSET");
  let before: readonly number[], after: readonly number[];
  if (autoPad === "SAME_UPPER" || autoPad === "SAME_LOWER") {
    const total = image.map((size, i) =>
      Math.max(0, (Math.ceil(size / strides[i]) - 1) * strides[i] + span[i] - size)
    );
    const round = autoPad === "SAME_UPPER" ? Math.floor : Math.ceil;
    before = total.map((count) => round(count / 2));
    after = total.map((count, i) => count - before[i]);
  } else {
    const pads = intsAttribute(call, "pads", [...ones, ...ones].map(() => 0));
    if (pads.length !== 2 * rank) {
      throw new OperatorError(call, `pads [${pads}] must have two entries for each spatial axis`);
    }
    before = pads.slice(0, rank);
    after = pads.slice(rank);
  }
  const round = intAttribute(call, "ceil_mode", 0) ? Math.ceil : Math.floor;
  const output = image.map((size, i) => {
    const room = size + before[i] + after[i] - span[i];
    let count = round(room / strides[i]) + 1;
    // A window that starts in the padding after the image is no window (as in PyTorch).
    if (round === Math.ceil && (count - 1) * strides[i] >= size + before[i]) count--;
    return count;
  });
  if (output.some((size) => size < 1)) {
    throw new OperatorError(
      call,
      `a window spanning [${span}] does not fit an image of [${image}] padded by ` +
        `[${before}] before and [${after}] after`,
    );
  }
  return { kernel, strides, dilations, before, after, output };
}

/** Checks lists of sizes or steps: one for each spatial axis, all of them from 1. */
export function checkSteps(
  call: Application,
  rank: number,
  lists: Readonly<Record<string, readonly number[]>>,
): void {
  for (const [name, list] of Object.entries(lists)) {
    if (list.length === rank && list.every((each) => Number.isSafeInteger(each) && each >= 1)) {
      continue;
    }
    throw new OperatorError(
      call,
      `${name} [${list}] must have a whole number from 1 for each of ${rank} spatial axes`,
    );
  }
}

/**
 * The same window with at least so much padding after the image as its last position reads: ceil_mode lets
 * it reach beyond what the pads say, which other operators do not know.
 */
export function reaching(window: Window, image: readonly number[]): Window {
  const { kernel, strides, dilations, before, after, output } = window;
  const room = output.map((count, i) =>
    (count - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 - before[i] - image[i]
  );
  return { ...window, after: after.map((count, i) => Math.max(count, room[i])) };
}

/** Attributes that say the same window without auto_pad. */
export function windowAttributes(window: Window): Attributes {
  return {
    kernel_shape: window.kernel,
    strides: window.strides,
    dilations: window.dilations,
    pads: [...window.before, ...window.after],
  };
}

/**
 * Attributes that say an auto_pad by pads: for windows with holes, or that leave some of the image out, runtimes
 * read it otherwise than ONNX does, or not at all. Undefined where there is none.
 */
export function explicitPads(
  { attributes }: Application,
  { before, after }: Window,
): Attributes | undefined {
  const { auto_pad: pad, ...rest } = attributes;
  return String(pad).startsWith("SAME") ? { ...rest, pads: [...before, ...after] } : undefined;
}

/** Every index of a shape, in row-major order. */
export function* indices(dims: readonly number[]): Generator<number[]> {
  const index = dims.map(() => 0);
  if (dims.some((dim) => dim === 0)) return;
  for (;;) {
    yield [...index];
    let axis = dims.length - 1;
    while (axis >= 0 && ++index[axis] === dims[axis]) index[axis--] = 0;
    if (axis < 0) return;
  }
}

/** Where in the image the window at `position` reads with its tap at `tap`; null in the padding. */
export function tapped(
  window: Window,
  image: readonly number[],
  position: readonly number[],
  tap: readonly number[],
): number | null {
  let at = 0;
  for (let i = 0; i < image.length; i++) {
    const index = position[i] * window.strides[i] - window.before[i] + tap[i] * window.dilations[i];
    if (index < 0 || index >= image[i]) return null;
    at = at * image[i] + index;
  }
  return at;
}
