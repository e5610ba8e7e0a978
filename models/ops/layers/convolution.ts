/** Convolutions of any number of spatial axes. */

import type { Value } from "../../graph.ts";
import {
  type Application,
  intAttribute,
  intsAttribute,
  OperatorError,
  type Operators,
  required,
} from "../../operator.ts";
import { sizeOf } from "../../tensor.ts";
import { commonType } from "../_common.ts";
import {
  checkSteps,
  explicitPads,
  indices,
  tapped,
  type Window,
  windowAttributes,
  windowOf,
} from "./window.ts";

interface Convolution {
  x: Value;
  weight: Value;
  group: number;
  window: Window;
}

function convolutionOf(call: Application): Convolution {
  const x = required(call, 0, "image"), weight = required(call, 1, "weight");
  const group = intAttribute(call, "group", 1), rank = x.dims.length;
  if (rank < 3 || weight.dims.length !== rank) {
    throw new OperatorError(
      call,
      "the image is [batch, channels, …spatial] and the weight [filters, channels / group, …kernel]",
    );
  }
  const [filters, channels] = weight.dims;
  if (x.dims[1] !== channels * group || filters % group !== 0) {
    throw new OperatorError(
      call,
      `with ${group} group${group > 1 ? "s" : ""} a weight of [${filters}, ${channels}, …] needs ` +
        `${channels * group} image channels and filters divisible by the groups`,
    );
  }
  const window = windowOf(call, x.dims.slice(2), weight.dims.slice(2));
  return { x, weight, group, window };
}

/** Every product of a convolution: offsets into the image, the weight and the result. */
function forEachTap(
  { x, weight, group, window }: Pick<Convolution, "group" | "window"> & {
    x: { dims: readonly number[] };
    weight: { dims: readonly number[] };
  },
  visit: (image: number, weight: number, result: number) => void,
): void {
  const [batch, channels, ...image] = x.dims, [filters, perGroup, ...kernel] = weight.dims;
  const size = sizeOf(image), taps = sizeOf(kernel), positions = sizeOf(window.output);
  const reads: [number, number, number][] = [];
  let p = 0;
  for (const position of indices(window.output)) {
    let t = 0;
    for (const tap of indices(kernel)) {
      const at = tapped(window, image, position, tap);
      if (at !== null) reads.push([at, t, p]);
      t++;
    }
    p++;
  }
  for (let n = 0; n < batch; n++) {
    for (let f = 0; f < filters; f++) {
      const first = Math.floor(f / (filters / group)) * perGroup;
      for (let c = 0; c < perGroup; c++) {
        const imageAt = (n * channels + first + c) * size, weightAt = (f * perGroup + c) * taps;
        const resultAt = (n * filters + f) * positions;
        for (const [at, tap, position] of reads) {
          visit(imageAt + at, weightAt + tap, resultAt + position);
        }
      }
    }
  }
}

/** Convolutions. */
export const convolutionOperators: Operators = {
  Conv: {
    infer(call) {
      const { x, weight, window } = convolutionOf(call);
      const bias = call.inputs[2];
      if (bias && String(bias.dims) !== String([weight.dims[0]])) {
        throw new OperatorError(call, `the bias must be [${weight.dims[0]}]`);
      }
      return [{ type: commonType(call).type, dims: [x.dims[0], weight.dims[0], ...window.output] }];
    },
    simplify(g, call) {
      const attributes = explicitPads(call, convolutionOf(call).window);
      return attributes && g.op(call.op, call.inputs, attributes);
    },
    evaluate([x, weight, bias], call, [{ dims }]) {
      const result = new Float64Array(sizeOf(dims)), size = sizeOf(dims.slice(2));
      if (bias?.data.length) {
        for (let i = 0; i < result.length; i++) {
          result[i] = bias.data[Math.floor(i / size) % bias.data.length];
        }
      }
      forEachTap({ ...convolutionOf(call), x, weight }, (i, w, r) => {
        result[r] += x.data[i] * weight.data[w];
      });
      return [result];
    },
    gradient(g, node, [dy]) {
      const { x, weight, group, window } = convolutionOf(node);
      const attributes = { ...windowAttributes(window), group };
      const spatial = x.dims.slice(2).map((_, i) => i + 2);
      return [
        g.op("celgc.ConvInputGradient", [dy!, weight], { ...attributes, dims: x.dims }),
        g.op("celgc.ConvWeightGradient", [x, dy!], { ...attributes, dims: weight.dims }),
        node.inputs[2] && g.sum(dy!, [0, ...spatial]),
      ];
    },
  },
  ConvTranspose: {
    infer(call) {
      const x = required(call, 0, "image"), weight = required(call, 1, "weight");
      const { group, before, after, output } = transposedWindow(call, x, weight);
      const bias = call.inputs[2];
      const filters = weight.dims[1] * group;
      if (x.dims[1] !== weight.dims[0] || x.dims[1] % group !== 0) {
        throw new OperatorError(
          call,
          `the weight is [channels, filters / group, …kernel]; the image has ${x.dims[1]} channels`,
        );
      }
      if (bias && String(bias.dims) !== String([filters])) {
        throw new OperatorError(call, `the bias must be [${filters}]`);
      }
      if (output.some((size) => size < 1)) {
        throw new OperatorError(
          call,
          `nothing is left of the image after cropping ${before} ${after}`,
        );
      }
      return [{ type: commonType(call).type, dims: [x.dims[0], filters, ...output] }];
    },
    /**
     * Runtimes refuse an output that is larger than they reach, and for auto_pad give a smaller one; what is beyond is
     * the bias alone.
     */
    simplify(g, call) {
      const [x, weight, bias] = call.inputs as Value[];
      const { before, after, extra, window: { strides } } = transposedWindow(call, x, weight);
      const { output_shape: shape, auto_pad: pad, output_padding: _, ...attributes } =
        call.attributes;
      const ends = after.map((count, i) => count - extra[i]);
      const beyond = String(pad).startsWith("SAME") && !shape
        ? extra.map((count, i) => count > 0 || ends[i] < 0)
        : extra.map((count, i) => Math.max(count, shape ? -ends[i] : 0) >= strides[i]);
      if (!beyond.includes(true)) return undefined;
      const reached = g.op("ConvTranspose", [x, weight], {
        ...attributes,
        pads: [...before, ...ends.map((count) => Math.max(0, count))],
      });
      const none = reached.dims.map(() => 0);
      const y = g.pad(reached, none, [0, 0, ...ends.map((count) => Math.max(0, -count))]);
      const spread = [...new Array<number>(x.dims.length - 2).fill(1)];
      return bias ? g.add(y, g.reshape(bias, [-1, ...spread])) : y;
    },
    evaluate([x, weight, bias], call, [{ dims }]) {
      const result = new Float64Array(sizeOf(dims)), size = sizeOf(dims.slice(2));
      if (bias?.data.length) {
        for (let i = 0; i < result.length; i++) {
          result[i] = bias.data[Math.floor(i / size) % bias.data.length];
        }
      }
      const { window, group } = transposedWindow(call, x, weight);
      // A transposed convolution is the data gradient of the convolution that has its output as image.
      forEachTap({ x: { dims }, weight, group, window }, (i, w, r) => {
        result[i] += x.data[r] * weight.data[w];
      });
      return [result];
    },
    gradient(g, node, [dy]) {
      const [x, weight, bias] = node.inputs as Value[];
      const { window, group } = transposedWindow(node, x, weight), { before, after } = window;
      // What output_shape asks for beyond the image gets nothing from it.
      const least = (counts: readonly number[]) => counts.map((count) => Math.min(0, count));
      const seen = g.pad(dy!, [0, 0, ...least(before)], [0, 0, ...least(after)]);
      const most = (counts: readonly number[]) => counts.map((count) => Math.max(0, count));
      const inside = { ...window, before: most(before), after: most(after) };
      const attributes = { ...windowAttributes(inside), group };
      const spatial = x.dims.slice(2).map((_, i) => i + 2);
      return [
        g.op("Conv", [seen, weight], attributes),
        g.op("celgc.ConvWeightGradient", [seen, x], { ...attributes, dims: weight.dims }),
        bias && g.sum(dy!, [0, ...spatial]),
      ];
    },
  },

  /** `[dy, weight]`, Conv's attributes and `dims`: the gradient by the image, of shape `dims`. */
  "celgc.ConvInputGradient": {
    infer(call) {
      const { type } = required(call, 0, "gradient");
      return [{ type, dims: call.attributes.dims as readonly number[] }];
    },
  },
  /** `[x, dy]`, Conv's attributes and `dims`: the gradient by the weight, of shape `dims`. */
  "celgc.ConvWeightGradient": {
    infer(call) {
      const { type } = required(call, 0, "image");
      return [{ type, dims: call.attributes.dims as readonly number[] }];
    },
  },
};

/** ConvTranspose's output, and the window of the convolution it is the transpose of. */
function transposedWindow(
  call: Application,
  x: { dims: readonly number[] },
  weight: { dims: readonly number[] },
) {
  const image = x.dims.slice(2), ones = image.map(() => 1), zeros = image.map(() => 0);
  const kernel = weight.dims.slice(2);
  const strides = intsAttribute(call, "strides", ones),
    dilations = intsAttribute(call, "dilations", ones);
  checkSteps(call, image.length, { strides, dilations });
  const extra = intsAttribute(call, "output_padding", zeros);
  const full = image.map((size, i) =>
    strides[i] * (size - 1) + extra[i] + (kernel[i] - 1) * dilations[i] + 1
  );
  let pads = intsAttribute(call, "pads", [...zeros, ...zeros]);
  const isGiven = call.attributes.output_shape !== undefined;
  const wanted = isGiven ? intsAttribute(call, "output_shape", []) : undefined;
  const autoPad = call.attributes.auto_pad;
  if (wanted || autoPad === "SAME_UPPER" || autoPad === "SAME_LOWER") {
    const spatial = wanted?.slice(-image.length) ?? image.map((size, i) => size * strides[i]);
    const total = full.map((size, i) => size - spatial[i]);
    // An image that is smaller than asked for stands at the beginning, as in onnxruntime.
    const upper = autoPad === "SAME_UPPER";
    const first = total.map((count) =>
      Math.max(0, upper ? Math.floor(count / 2) : Math.ceil(count / 2))
    );
    pads = [...first, ...total.map((count, i) => count - first[i])];
  }
  const before = pads.slice(0, image.length), after = pads.slice(image.length);
  const output = full.map((size, i) => size - before[i] - after[i]);
  const window: Window = { kernel, strides, dilations, before, after, output: image };
  return { window, before, after, extra, output, group: intAttribute(call, "group", 1) };
}
