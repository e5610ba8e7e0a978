/** Batch normalisation in training, forward and backward. */

import type { Graph, Value } from "../graph.ts";
import { type Call, integer } from "../operator.ts";
import { allButChannels, perChannel } from "../ops/normalization.ts";
import { sizeOf } from "../tensor.ts";
import type { LoweringRules } from "./rule.ts";

interface Statistics {
  /** `[channels]` */
  mean: Value;
  variance: Value;
  /** 1 / √(variance + ε) */
  rsqrt: Value;
  /** x − mean */
  centred: Value;
  /** elements of one channel */
  count: number;
}

/** The batch's statistics per channel, in two passes: E[x²] − E[x]² loses what a large mean hides. */
function statistics(g: Graph, x: Value, { attributes }: Call): Statistics {
  const axes = allButChannels(x), rank = x.dims.length;
  const mean = g.mean(x, axes);
  const centred = g.sub(x, perChannel(g, mean, rank));
  const variance = g.mean(g.mul(centred, centred), axes);
  const epsilon = Number(attributes.epsilon ?? 1e-5);
  const rsqrt = g.reciprocal(g.sqrt(g.add(variance, epsilon)));
  return { mean, variance, rsqrt, centred, count: sizeOf(x.dims) / x.dims[1] };
}

function forward(g: Graph, call: Call): [Value, Value, Value] {
  const [x, scale, bias] = call.inputs as Value[], rank = x.dims.length;
  const { mean, variance, rsqrt, centred } = statistics(g, x, call);
  const scaled = g.mul(centred, perChannel(g, g.mul(scale, rsqrt), rank));
  return [g.add(scaled, perChannel(g, bias, rank)), mean, variance];
}

/** Rules for normalisations. */
export const normalizationRules: LoweringRules = {
  "celgc.BatchNormalization": forward,
  "celgc.BatchNormalizationGradient"(g, call) {
    const [x, scale, dy] = call.inputs as Value[], rank = x.dims.length, axes = allButChannels(x);
    const { rsqrt, centred, count } = statistics(g, x, call);
    const dbias = g.sum(dy, axes);
    const dscale = g.mul(g.sum(g.mul(dy, centred), axes), rsqrt);
    // dx = scale · rsqrt · (dy − mean(dy) − normal · mean(dy · normal))
    const slope = perChannel(g, g.div(g.mul(dscale, rsqrt), count), rank);
    const level = perChannel(g, g.div(dbias, count), rank);
    const inner = g.sub(g.sub(dy, level), g.mul(centred, slope));
    return [g.mul(inner, perChannel(g, g.mul(scale, rsqrt), rank)), dscale, dbias];
  },
  /** Training mode as ONNX has it: onnxruntime's WebGPU provider accepts it and fails when it runs. */
  BatchNormalization(g, call) {
    if (!integer(call, "training_mode", 0)) return undefined;
    const [x, scale, bias, ...running] = call.inputs as Value[];
    const [y, ...batch] = forward(g, { ...call, inputs: [x, scale, bias] });
    const momentum = Number(call.attributes.momentum ?? 0.9);
    const next = running.map((old, i) =>
      g.add(g.mul(old, momentum), g.mul(batch[i], 1 - momentum))
    );
    return [y, ...next];
  },
};
