/** Pooling over windows of spatial axes. */

import type { Graph, Value } from "../../graph.ts";
import {
  type Application,
  composite,
  intAttribute,
  type Operator,
  OperatorError,
  type Operators,
  required,
} from "../../operator.ts";
import { type NumberTensor, sizeOf, type TensorType } from "../../tensor.ts";
import {
  explicitPads,
  indices,
  reaching,
  tapped,
  type Window,
  windowAttributes,
  windowOf,
} from "./window.ts";

/** What is pooled. */
function imageOf(call: Application): Value {
  const x = required(call, 0, "image");
  if (x.dims.length < 3) throw new OperatorError(call, "the image is [batch, channels, …spatial]");
  return x;
}

function poolingOf(call: Application): { x: Value; window: Window } {
  const x = imageOf(call);
  return { x, window: windowOf(call, x.dims.slice(2)) };
}

/** The same without auto_pad; see {@linkcode explicitPads}. */
function paddedSame(g: Graph, call: Application): Value | undefined {
  const attributes = call.outputs === 1 ? explicitPads(call, poolingOf(call).window) : undefined;
  return attributes && g.op(call.op, call.inputs, attributes);
}

/** Applies `f` to the image's elements under each window; taps in the padding are left out. */
function pool(
  x: NumberTensor,
  window: Window,
  f: (elements: number[]) => number,
): Float64Array {
  const image = x.dims.slice(2), size = sizeOf(image);
  const positions = [...indices(window.output)].map((position) =>
    [...indices(window.kernel)].map((tap) => tapped(window, image, position, tap))
      .filter((at): at is number => at !== null)
  );
  const result = new Float64Array(x.dims[0] * x.dims[1] * positions.length);
  for (let i = 0; i < result.length; i++) {
    const base = Math.floor(i / positions.length) * size;
    result[i] = f(positions[i % positions.length].map((at) => x.data[base + at]));
  }
  return result;
}

const infer = (call: Application): TensorType[] => {
  const { x, window } = poolingOf(call);
  const type = { type: x.type, dims: [...x.dims.slice(0, 2), ...window.output] };
  return [type, { type: "int64" as const, dims: type.dims }].slice(0, call.outputs);
};

/** How many elements each window averages, in the order of the output's positions. */
function sizesOf(image: readonly number[], window: Window, padding: boolean): number[] {
  return [...indices(window.output)].map((position) =>
    [...indices(window.kernel)].filter((tap) => {
      if (!padding) return tapped(window, image, position, tap) !== null;
      // The padding counts, but not what ceil_mode adds beyond it.
      return position.every((at, i) =>
        at * window.strides[i] + tap[i] * window.dilations[i] <
          window.before[i] + image[i] + window.after[i]
      );
    }).length
  );
}

/** The same as a constant that broadcasts against the output. */
function counts(g: Graph, { x, window }: { x: Value; window: Window }, padding: boolean): Value {
  const numbers = sizesOf(x.dims.slice(2), window, padding);
  if (numbers.every((count) => count === numbers[0])) return g.scalar(numbers[0], x.type);
  return g.constant(x.type, [1, 1, ...window.output], numbers);
}

/** The sum of the elements under each window, by a convolution of each channel with ones. */
function windowSums(g: Graph, x: Value, window: Window): Value {
  const ones = g.expand(g.scalar(1, x.type), [x.dims[1], 1, ...window.kernel]);
  const attributes = windowAttributes(reaching(window, x.dims.slice(2)));
  return g.op("Conv", [x, ones], { ...attributes, group: x.dims[1] });
}

const globalPool = (f: (row: Float64Array) => number, reduce: string): Operator => ({
  infer(call) {
    const x = imageOf(call);
    return [{ type: x.type, dims: x.dims.map((dim, axis) => axis < 2 ? dim : 1) }];
  },
  evaluate([x]) {
    const size = sizeOf(x.dims.slice(2));
    const at = (_: unknown, i: number) => f(x.data.subarray(i * size, (i + 1) * size));
    return [Float64Array.from({ length: x.dims[0] * x.dims[1] }, at)];
  },
  gradient(g, { inputs: [x], results: [y] }, [dy]) {
    if (reduce === "ReduceMean") {
      return [g.expand(g.div(dy!, sizeOf(x!.dims.slice(2))), x!.dims)];
    }
    // The first of the largest, as MaxPool has it. Places are floats, since WebGPU has no int64.
    const image = x!.dims.slice(2), size = sizeOf(image);
    const places = Array.from({ length: size }, (_, i) => i);
    const at = g.where(g.equal(x!, y), g.constant(x!.type, [1, 1, ...image], places), size);
    const first = g.reduce("ReduceMin", at, image.map((_, i) => i + 2), true);
    const chosen = g.cast(g.equal(at, first), x!.type);
    return [g.mul(chosen, dy!)];
  },
});

/** Pooling. */
export const poolingOperators: Operators = {
  MaxPool: {
    infer,
    simplify: paddedSame,
    evaluate: ([x], call) => [pool(x, poolingOf(call).window, (all) => Math.max(...all))],
    gradient(g, node, [dy]) {
      const inputs = [node.inputs[0]!, node.results[0], dy!];
      return [g.op("celgc.MaxPoolGradient", inputs, node.attributes)];
    },
  },
  AveragePool: {
    infer,
    /** With holes (opset 19): a convolution with ones, which runtimes of older operator sets know. */
    simplify(g, call) {
      const pooling = poolingOf(call), { window, x } = pooling;
      const { dilations, ...attributes } = call.attributes;
      if (window.dilations.every((step) => step === 1)) {
        return dilations ? g.op(call.op, call.inputs, attributes) : paddedSame(g, call);
      }
      const padding = intAttribute(call, "count_include_pad", 0) !== 0;
      return g.div(windowSums(g, x, window), counts(g, pooling, padding));
    },
    evaluate([x], call) {
      const { window } = poolingOf(call);
      const padding = intAttribute(call, "count_include_pad", 0) !== 0;
      const sums = pool(x, window, (all) => all.reduce((a, b) => a + b, 0));
      const sizes = sizesOf(x.dims.slice(2), window, padding);
      return [sums.map((sum, i) => sum / sizes[i % sizes.length])];
    },
    gradient(g, node, [dy]) {
      // The transpose of a convolution with ones, channel by channel.
      const pooling = poolingOf(node), { x, window } = pooling, channels = x.dims[1];
      const share = g.div(
        dy!,
        counts(g, pooling, intAttribute(node, "count_include_pad", 0) !== 0),
      );
      const ones = g.expand(g.scalar(1, x.type), [channels, 1, ...window.kernel]);
      const reached = windowAttributes(reaching(window, x.dims.slice(2)));
      const attributes = { ...reached, group: channels, dims: x.dims };
      return [g.op("celgc.ConvInputGradient", [share, ones], attributes)];
    },
  },
  GlobalAveragePool: globalPool(
    (row) => row.reduce((a, b) => a + b, 0) / row.length,
    "ReduceMean",
  ),
  /** (Σ |x|^p)^(1/p) over each window; 0, and no gradient, where all of it is 0. */
  LpPool: composite((g, call) => {
    const { x, window } = poolingOf(call), p = intAttribute(call, "p", 2);
    const sums = windowSums(g, g.pow(g.abs(x), p), window), some = g.greater(sums, 0);
    return [g.where(some, g.pow(g.where(some, sums, 1), 1 / p), 0)];
  }),
  GlobalMaxPool: globalPool((row) => row.reduce((a, b) => Math.max(a, b)), "ReduceMax"),

  /** `[x, y, dy]`: dy at the first largest element under each window of MaxPool, added up. */
  "celgc.MaxPoolGradient": { infer: (call) => [required(call, 0, "image")] },
};
