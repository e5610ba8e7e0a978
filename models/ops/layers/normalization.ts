/** Normalisations. */

import type { Graph, Value } from "../../graph.ts";
import {
  type Application,
  composite,
  intAttribute,
  OperatorError,
  type Operators,
  required,
} from "../../operator.ts";
import { broadcastDims, type NumberTensor, sameDims, sizeOf } from "../../tensor.ts";
import { axisOf, broadcastTo } from "../_common.ts";

const epsilonOf = (call: Pick<Application, "attributes">) =>
  Number(call.attributes.epsilon ?? 1e-5);

function checkChannels(call: Application, roles: readonly string[]): Value {
  const x = required(call, 0, "image");
  for (const [i, role] of roles.entries()) {
    const value = required(call, i + 1, role);
    if (x.dims.length < 2 || String(value.dims) !== String([x.dims[1]])) {
      throw new OperatorError(call, `the image is [batch, channels, …], the ${role} [channels]`);
    }
  }
  return x;
}

/** A shape without axes of 1 before its last `rank`, which say nothing where it broadcasts to so many. */
function withinRank(dims: readonly number[], rank: number): readonly number[] {
  const before = dims.length - rank;
  return before > 0 && dims.slice(0, before).every((dim) => dim === 1) ? dims.slice(before) : dims;
}

/** A vector over channels, shaped to broadcast against `[batch, channels, …spatial]`. */
export function perChannel(g: Graph, vector: Value, rank: number): Value {
  return g.reshape(vector, [-1, ...new Array<number>(rank - 2).fill(1)]);
}

/** All axes but the channels'. */
export function allButChannels(x: Value): number[] {
  return x.dims.map((_, axis) => axis).filter((axis) => axis !== 1);
}

/** x with mean 0 and variance 1 over some axes. */
function normalized(g: Graph, x: Value, axes: readonly number[], epsilon: number): Value {
  const centred = g.sub(x, g.mean(x, axes, true));
  const variance = g.mean(g.mul(centred, centred), axes, true);
  return g.mul(centred, g.reciprocal(g.sqrt(g.add(variance, epsilon))));
}

/** Normalisations. */
export const normalizationOperators: Operators = {
  /**
   * Standard ONNX. With `training_mode` = 1 it normalises with the batch's own statistics and returns
   * running statistics as ONNX defines them (population variance, `momentum` weighs the old value).
   */
  BatchNormalization: {
    infer(call) {
      const x = checkChannels(call, ["scale", "bias", "mean", "variance"]);
      const statistic = { type: x.type, dims: [x.dims[1]] };
      return [x, statistic, statistic].slice(0, call.outputs);
    },
    simplify(g, call) {
      if (!intAttribute(call, "training_mode", 0)) return undefined;
      if (call.outputs > 1) return undefined;
      const [x, scale, bias] = call.inputs as Value[];
      return g.op("celgc.BatchNormalization", [x, scale, bias], { epsilon: epsilonOf(call) });
    },
    evaluate([x, scale, bias, mean, variance], call) {
      if (intAttribute(call, "training_mode", 0)) {
        throw new Error("training mode is evaluated lowered");
      }
      const size = sizeOf(x.dims.slice(2)), channels = x.dims[1], epsilon = epsilonOf(call);
      return [
        x.data.map((value, i) => {
          const c = Math.floor(i / size) % channels;
          const normal = (value - mean.data[c]) / Math.sqrt(variance.data[c] + epsilon);
          return normal * scale.data[c] + bias.data[c];
        }),
      ];
    },
    gradient(g, node, [dy, ...statistics]) {
      if (intAttribute(node, "training_mode", 0)) {
        if (statistics.some((each) => each)) {
          throw new OperatorError(node, "no gradient passes through its running statistics");
        }
        const [x, scale, bias] = node.inputs as Value[], epsilon = epsilonOf(node);
        const same = [x, scale, bias],
          [, mean, variance] = g.opMany(
            "celgc.BatchNormalization",
            same,
            { epsilon },
            3,
          );
        const inputs = [x, scale, dy!, mean, variance];
        return [...g.opMany("celgc.BatchNormalizationGradient", inputs, { epsilon }, 3)];
      }
      const [x, scale, , mean, variance] = node.inputs as Value[];
      const rank = x.dims.length, axes = allButChannels(x);
      const rsqrt = g.reciprocal(g.sqrt(g.add(variance, epsilonOf(node))));
      const normal = g.mul(g.sub(x, perChannel(g, mean, rank)), perChannel(g, rsqrt, rank));
      const slope = g.mul(scale, rsqrt), dScale = g.sum(g.mul(dy!, normal), axes);
      const dBias = g.sum(dy!, axes);
      return [
        g.mul(dy!, perChannel(g, slope, rank)),
        dScale,
        dBias,
        // Statistics that are computed pass it on, too.
        mean.constant ? null : g.neg(g.mul(dBias, slope)),
        variance.constant ? null : g.mul(g.mul(g.mul(dScale, slope), rsqrt), -0.5),
      ];
    },
  },
  LayerNormalization: {
    infer(call) {
      const x = required(call, 0, "operand"), scale = required(call, 1, "scale");
      const axis = axisOf(call, intAttribute(call, "axis", -1), x.dims.length);
      const rest = x.dims.slice(axis);
      for (const [role, vector] of Object.entries({ scale, bias: call.inputs[2] })) {
        const whole = vector && broadcastDims(withinRank(vector.dims, rest.length), rest);
        if (vector && (!whole || !sameDims(whole, rest) || vector.dims.length > x.dims.length)) {
          throw new OperatorError(call, `the ${role} must broadcast to the axes from ${axis} on`);
        }
      }
      const row = { type: x.type, dims: x.dims.map((dim, i) => i < axis ? dim : 1) };
      return [x, row, row].slice(0, call.outputs);
    },
    evaluate([x, scale, bias], call) {
      const axis = axisOf(call, intAttribute(call, "axis", -1), x.dims.length);
      const rest = x.dims.slice(axis), size = sizeOf(rest);
      const overRest = ({ data, dims }: NumberTensor) =>
        broadcastTo(data, withinRank(dims, rest.length), rest);
      const weights = overRest(scale), shifts = bias?.data.length ? overRest(bias) : null;
      const result = new Float64Array(x.data.length);
      const means: number[] = [], scales: number[] = [];
      for (let start = 0; start < result.length; start += size) {
        const row = x.data.subarray(start, start + size);
        const mean = row.reduce((sum, value) => sum + value, 0) / size;
        const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / size;
        const scaled = 1 / Math.sqrt(variance + epsilonOf(call));
        means.push(mean);
        scales.push(scaled);
        row.forEach((value, i) => {
          result[start + i] = (value - mean) * scaled * weights[i] + (shifts?.[i] ?? 0);
        });
      }
      return [result, Float64Array.from(means), Float64Array.from(scales)].slice(0, call.outputs);
    },
    gradient(g, node, [dy, dMean, dScale]) {
      const [x, scale, bias] = node.inputs as Value[];
      const first = axisOf(node, intAttribute(node, "axis", -1), x.dims.length);
      const axes = x.dims.map((_, axis) => axis).slice(first);
      if (dy && !dMean && !dScale && axes.length === 1 && sameDims(scale.dims, x.dims.slice(-1))) {
        const attributes = { epsilon: epsilonOf(node) };
        const op = "celgc.LayerNormalizationGradient";
        const [dx, dWeight, dBias] = g.opMany(op, [x, scale, dy], attributes, 3);
        return [dx, dWeight, bias && dBias];
      }
      const centred = g.sub(x, g.mean(x, axes, true));
      const variance = g.mean(g.mul(centred, centred), axes, true);
      const rsqrt = g.reciprocal(g.sqrt(g.add(variance, epsilonOf(node))));
      const normal = g.mul(centred, rsqrt), size = sizeOf(axes.map((axis) => x.dims[axis]));
      // What the mean and 1/√variance pass back, where they are read.
      const parts: Value[] = [];
      if (dMean) parts.push(g.expand(g.div(dMean, size), x.dims));
      if (dScale) {
        const square = g.mul(rsqrt, rsqrt);
        parts.push(g.neg(g.mul(normal, g.mul(g.div(dScale, size), square))));
      }
      if (!dy) return [parts.reduce((sum, part) => g.add(sum, part))];
      const dn = g.mul(dy, scale);
      const inner = g.add(
        g.mean(dn, axes, true),
        g.mul(normal, g.mean(g.mul(dn, normal), axes, true)),
      );
      return [
        parts.reduce((sum, part) => g.add(sum, part), g.mul(g.sub(dn, inner), rsqrt)),
        g.sumTo(g.mul(dy, normal), scale.dims),
        bias && g.sumTo(dy, bias.dims),
      ];
    },
  },
  /** `[x […, n], scale [n], dy]` → the gradients by x, scale and bias, normalised over the last axis. */
  "celgc.LayerNormalizationGradient": {
    infer(call) {
      const x = required(call, 0, "operand"), scale = required(call, 1, "scale");
      return [x, scale, scale];
    },
  },
  /** Each image and channel by itself (Ulyanov et al. 2016). */
  InstanceNormalization: composite((g, call) => {
    const x = checkChannels(call, ["scale", "bias"]), rank = x.dims.length;
    if (rank < 3) throw new OperatorError(call, "the image is [batch, channels, …spatial]");
    const normal = normalized(g, x, x.dims.map((_, axis) => axis).slice(2), epsilonOf(call));
    const [, scale, bias] = call.inputs as Value[];
    return [g.add(g.mul(normal, perChannel(g, scale, rank)), perChannel(g, bias, rank))];
  }),
  /** Channels in groups (Wu and He 2018); scale and bias `[channels]` (opset 21) or `[groups]` (18). */
  GroupNormalization: composite((g, call) => {
    const [x, ...affine] = ["image", "scale", "bias"].map((role, i) => required(call, i, role));
    const groups = intAttribute(call, "num_groups", 1), [batch, channels] = x.dims;
    const rank = x.dims.length;
    if (groups < 1 || channels % groups !== 0) {
      throw new OperatorError(call, `${channels} channels do not split into ${groups} groups`);
    }
    const grouped = g.reshape(x, [batch, groups, -1]);
    const normal = g.reshape(normalized(g, grouped, [2], epsilonOf(call)), x.dims);
    const [scale, bias] = affine.map((vector) => {
      const each = g.expand(g.unsqueeze(vector, [1]), [vector.dims[0], channels / vector.dims[0]]);
      return perChannel(g, g.reshape(each, [channels]), rank);
    });
    return [g.add(g.mul(normal, scale), bias)];
  }),
  LpNormalization: composite((g, call) => {
    const x = required(call, 0, "operand"), axis = intAttribute(call, "axis", -1);
    const p = intAttribute(call, "p", 2), reduction = ["ReduceL1", "ReduceL2"][p - 1];
    if (!reduction) throw new OperatorError(call, `p must be 1 or 2, not ${p}`);
    const norm = g.reduce(reduction, x, [axis], true);
    // Zeros stay zeros.
    return [g.div(x, g.where(g.greater(norm, 0), norm, 1))];
  }),
  /** Zhang and Sennrich 2019: by the root of the mean square over the axes from `axis` on. */
  RMSNormalization: composite((g, call) => {
    const x = required(call, 0, "operand"), scale = required(call, 1, "scale");
    const axis = axisOf(call, intAttribute(call, "axis", -1), x.dims.length);
    const axes = x.dims.map((_, i) => i).slice(axis);
    const square = g.add(g.mean(g.mul(x, x), axes, true), epsilonOf(call));
    return [g.mul(g.mul(x, g.reciprocal(g.sqrt(square))), scale)];
  }),
  /** Krizhevsky et al. 2012: x / (bias + alpha · mean square over neighbouring channels)^beta. */
  LRN: composite((g, call) => {
    const x = required(call, 0, "image"), size = intAttribute(call, "size", 1);
    const [batch, channels] = x.dims, before = Math.floor((size - 1) / 2);
    const image = g.reshape(g.mul(x, x), [batch, 1, channels, sizeOf(x.dims.slice(2))]);
    const mean = g.op("AveragePool", [image], {
      kernel_shape: [size, 1],
      pads: [before, 0, size - 1 - before, 0],
      strides: [1, 1],
      count_include_pad: 1, // ONNX divides by the size at the edges too
    });
    const { alpha = 1e-4, beta = 0.75, bias = 1 } = call.attributes;
    const base = g.add(g.mul(g.reshape(mean, x.dims), Number(alpha)), Number(bias));
    return [g.mul(x, g.pow(base, -Number(beta)))];
  }),

  /**
   * Training: `[x, scale, bias]` → y = (x − mean) / √(variance + ε) · scale + bias, and the batch's mean
   * and biased variance per channel (Ioffe and Szegedy 2015, Algorithm 1). The statistics carry no gradient.
   */
  "celgc.BatchNormalization": {
    infer(call) {
      const x = checkChannels(call, ["scale", "bias"]);
      const statistic = { type: x.type, dims: [x.dims[1]] };
      return [x, statistic, statistic];
    },
    gradient(g, node, [dy]) {
      if (!dy) return [];
      const [x, scale] = node.inputs as Value[];
      const [, mean, variance] = g.opMany(node.op, node.inputs, node.attributes, 3);
      const inputs = [x, scale, dy, mean, variance];
      return [...g.opMany("celgc.BatchNormalizationGradient", inputs, node.attributes, 3)];
    },
  },
  /** `[x, scale, dy, mean, variance]` → celgc.BatchNormalization's gradients by x, scale and bias. */
  "celgc.BatchNormalizationGradient": {
    infer(call) {
      const x = checkChannels(call, ["scale"]);
      const vector = { type: x.type, dims: [x.dims[1]] };
      return [x, vector, vector];
    },
  },
};
