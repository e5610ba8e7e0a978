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
import { sizeOf } from "../../tensor.ts";
import { axisOf } from "../_common.ts";

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
    gradient(g, node, [dy]) {
      const [x, scale, , mean, variance] = node.inputs as Value[];
      const rank = x.dims.length, axes = allButChannels(x);
      const rsqrt = g.reciprocal(g.sqrt(g.add(variance, epsilonOf(node))));
      const normal = g.mul(g.sub(x, perChannel(g, mean, rank)), perChannel(g, rsqrt, rank));
      return [
        g.mul(dy!, perChannel(g, g.mul(scale, rsqrt), rank)),
        g.sum(g.mul(dy!, normal), axes),
        g.sum(dy!, axes),
      ];
    },
  },
  LayerNormalization: {
    infer(call) {
      const x = required(call, 0, "operand"), scale = required(call, 1, "scale");
      const axis = axisOf(call, intAttribute(call, "axis", -1), x.dims.length);
      if (scale.dims.length > x.dims.length - axis) {
        throw new OperatorError(call, `the scale must broadcast to the axes from ${axis} on`);
      }
      return [x].slice(0, call.outputs);
    },
    evaluate([x, scale, bias], call) {
      const axis = axisOf(call, intAttribute(call, "axis", -1), x.dims.length);
      const size = sizeOf(x.dims.slice(axis));
      const result = new Float64Array(x.data.length);
      for (let start = 0; start < result.length; start += size) {
        const row = x.data.subarray(start, start + size);
        const mean = row.reduce((sum, value) => sum + value, 0) / size;
        const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / size;
        const scaled = 1 / Math.sqrt(variance + epsilonOf(call));
        row.forEach((value, i) => {
          const weight = scale.data[i % scale.data.length];
          const shift = bias?.data.length ? bias.data[i % bias.data.length] : 0;
          result[start + i] = (value - mean) * scaled * weight + shift;
        });
      }
      return [result];
    },
    gradient(g, node, [dy]) {
      const [x, scale, bias] = node.inputs as Value[];
      const first = axisOf(node, intAttribute(node, "axis", -1), x.dims.length);
      const axes = x.dims.map((_, axis) => axis).slice(first);
      const centred = g.sub(x, g.mean(x, axes, true));
      const variance = g.mean(g.mul(centred, centred), axes, true);
      const rsqrt = g.reciprocal(g.sqrt(g.add(variance, epsilonOf(node))));
      const normal = g.mul(centred, rsqrt);
      const dn = g.mul(dy!, scale);
      const inner = g.add(
        g.mean(dn, axes, true),
        g.mul(normal, g.mean(g.mul(dn, normal), axes, true)),
      );
      return [
        g.mul(g.sub(dn, inner), rsqrt),
        g.sumTo(g.mul(dy!, normal), scale.dims),
        bias && g.sumTo(dy!, bias.dims),
      ];
    },
  },
  /** Each image and channel by itself (Ulyanov et al. 2016). */
  InstanceNormalization: composite((g, call) => {
    const x = checkChannels(call, ["scale", "bias"]), rank = x.dims.length;
    const normal = normalized(g, x, x.dims.map((_, axis) => axis).slice(2), epsilonOf(call));
    const [, scale, bias] = call.inputs as Value[];
    return [g.add(g.mul(normal, perChannel(g, scale, rank)), perChannel(g, bias, rank))];
  }),
  /** Channels in groups (Wu and He 2018); scale and bias `[channels]` (opset 21) or `[groups]` (18). */
  GroupNormalization: composite((g, call) => {
    const [x, ...affine] = ["image", "scale", "bias"].map((role, i) => required(call, i, role));
    const groups = intAttribute(call, "num_groups", 1), [batch, channels] = x.dims;
    const rank = x.dims.length;
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
    const norm = intAttribute(call, "p", 2) === 1 ? "ReduceL1" : "ReduceL2";
    return [g.div(x, g.reduce(norm, x, [axis], true))];
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
