/** Batch normalisation in training, forward and backward. */

import type { Graph, Value } from "../graph.ts";
import { type Call, integer } from "../operator.ts";
import { allButChannels, perChannel } from "../ops/normalization.ts";
import { sizeOf } from "../tensor.ts";
import type { LoweringRules, Target } from "./rule.ts";

const epsilonOf = ({ attributes }: Pick<Call, "attributes">) => Number(attributes.epsilon ?? 1e-5);

function centre(g: Graph, x: Value, mean: Value): Value {
  return g.sub(x, perChannel(g, mean, x.dims.length));
}

/** y, and the batch's mean and variance, which take two passes: E[x²] − E[x]² loses what a large mean hides. */
function forward(g: Graph, call: Call, target: Target): readonly Value[] {
  const [x, scale, bias] = call.inputs as Value[], axes = allButChannels(x);
  const attributes = { epsilon: epsilonOf(call) };
  if (target === "cpu" || target === "wasm") {
    // One kernel does it all. Running statistics without momentum are the batch's. The kernel writes
    // them over the old ones, even over a constant that others read, so these are nobody else's.
    const running = [g.mul(scale, 0), g.mul(bias, 0)];
    const training = { ...attributes, momentum: 0, training_mode: 1 };
    return g.opMany("BatchNormalization", [x, scale, bias, ...running], training, 3);
  }
  // onnxruntime's WebGPU provider accepts training mode and fails when it runs.
  const mean = g.mean(x, axes);
  const squares = g.reduce("ReduceSumSquare", centre(g, x, mean), axes);
  const variance = g.mul(squares, x.dims[1] / sizeOf(x.dims));
  const inputs = [x, scale, bias, mean, variance];
  return [g.op("BatchNormalization", inputs, attributes), mean, variance];
}

/** Rules for normalisations. */
export const normalizationRules: LoweringRules = {
  "celgc.BatchNormalization": forward,
  "celgc.BatchNormalizationGradient"(g, call) {
    const [x, scale, dy, mean, variance] = call.inputs as Value[], epsilon = epsilonOf(call);
    const rank = x.dims.length, axes = allButChannels(x), share = x.dims[1] / sizeOf(x.dims);
    const rsqrt = g.reciprocal(g.sqrt(g.add(variance, epsilon)));
    const centred = centre(g, x, mean);
    const dbias = g.sum(dy, axes);
    const dscale = g.mul(g.sum(g.mul(dy, centred), axes), rsqrt);
    // dx = scale · rsqrt · (dy − normal · mean(dy · normal) − mean(dy)): the outer part is again a
    // normalisation with given statistics.
    const slope = perChannel(g, g.mul(g.mul(dscale, rsqrt), share), rank);
    const inner = g.sub(dy, g.mul(centred, slope));
    const none = g.constant(x.type, variance.dims, 0);
    const inputs = [inner, scale, none, g.mul(dbias, share), variance];
    return [g.op("BatchNormalization", inputs, { epsilon }), dscale, dbias];
  },
  /** Training mode as ONNX has it. */
  BatchNormalization(g, call, target) {
    if (!integer(call, "training_mode", 0)) return undefined;
    const [x, scale, bias, ...running] = call.inputs as Value[];
    const [y, ...batch] = forward(g, { ...call, inputs: [x, scale, bias] }, target);
    const momentum = Number(call.attributes.momentum ?? 0.9);
    const next = running.map((old, i) =>
      g.add(g.mul(old, momentum), g.mul(batch[i], 1 - momentum))
    );
    return [y, ...next];
  },
};
