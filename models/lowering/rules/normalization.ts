/** Batch normalisation in training, forward and backward. */

import type { Graph, Value } from "../../graph.ts";
import { type Application, intAttribute } from "../../operator.ts";
import { allButChannels, perChannel } from "../../ops/layers/normalization.ts";
import { sizeOf } from "../../tensor.ts";
import { channelMeans } from "./_means.ts";
import { eachSlice, hasLoops, piecesOf } from "./_pieces.ts";
import type { LoweringRules, Target } from "../rule.ts";

const epsilonOf = ({ attributes }: Pick<Application, "attributes">) =>
  Number(attributes.epsilon ?? 1e-5);

function centre(g: Graph, x: Value, mean: Value): Value {
  return g.sub(x, perChannel(g, mean, x.dims.length));
}

/** As rows. */
const flat = (g: Graph, x: Value): Value => g.reshape(x, [-1, x.dims.at(-1)!]);

/** Batch and positions: how many elements each channel has. */
const elements = (x: Value) => sizeOf(x.dims) / x.dims[1];

/** y, and the batch's mean and variance, which take two passes: E[x²] − E[x]² loses what a large mean hides. */
function forward(g: Graph, call: Application, target: Target): readonly Value[] {
  const [x, scale, bias] = call.inputs as Value[];
  const attributes = { epsilon: epsilonOf(call) };
  if (target === "cpu" || target === "wasm") {
    // One kernel does it all. Running statistics without momentum are the batch's. The kernel writes
    // them over the old ones, even over a constant that others read, so these are nobody else's.
    const running = [g.mul(scale, 0), g.mul(bias, 0)];
    const training = { ...attributes, momentum: 0, training_mode: 1 };
    return g.opMany("BatchNormalization", [x, scale, bias, ...running], training, 3);
  }
  // onnxruntime's WebGPU provider accepts training mode and fails when it runs.
  const gpu = target === "webgpu", axes = allButChannels(x);
  const mean = gpu ? channelMeans(g, x) : g.mean(x, axes);
  const centred = gpu ? scaled(g, x, mean, null) : centre(g, x, mean);
  // Not ReduceSumSquare, which adds up one number after another and loses the low ones.
  const squares = g.mul(centred, centred);
  const variance = gpu ? channelMeans(g, squares) : g.mean(squares, axes);
  const inputs = [x, scale, bias, mean, variance];
  return [g.op("BatchNormalization", inputs, attributes), mean, variance];
}

/**
 * (x − mean) · slope by channels, 1 for null. By this kernel, because the engine would turn vectors that
 * are to be broadcast over images round, each in a dispatch of its own.
 */
function scaled(g: Graph, x: Value, mean: Value, slope: Value | null): Value {
  const vector = (value: number) => g.constant(x.type, mean.dims, value);
  const inputs = [x, slope ?? vector(1), vector(0), mean, vector(1)];
  return g.op("BatchNormalization", inputs, { epsilon: 0 });
}

/**
 * The gradients by x, scale and bias. What is done with vectors alone is done for scale and bias last: it
 * can be joined with that of other layers.
 */
function backwardOnGpu(g: Graph, call: Application): readonly Value[] {
  const [x, scale, dy, mean, variance] = call.inputs as Value[], epsilon = epsilonOf(call);
  const count = elements(x), square = g.add(variance, epsilon);
  const average = channelMeans(g, dy);
  const along = channelMeans(g, g.mul(dy, scaled(g, x, mean, null)));
  // dx = scale · rsqrt · (dy − (x − mean) · along / σ² − average): a normalisation with given statistics.
  const inner = g.sub(dy, scaled(g, x, mean, g.div(along, square)));
  const none = g.constant(x.type, variance.dims, 0);
  const dx = g.op("BatchNormalization", [inner, scale, none, average, variance], { epsilon });
  return [dx, g.div(g.mul(along, count), g.sqrt(square)), g.mul(average, count)];
}

/**
 * The gradients by x, scale and bias of rows `[rows, n]` that are normalised each by itself (Ba, Kiros and
 * Hinton 2016).
 */
function rowGradients(g: Graph, x: Value, scale: Value, dy: Value, epsilon: number): Value[] {
  const centred = g.sub(x, g.mean(x, [1], true));
  const variance = g.mean(g.mul(centred, centred), [1], true);
  const rsqrt = g.reciprocal(g.sqrt(g.add(variance, epsilon)));
  const normal = g.mul(centred, rsqrt), dn = g.mul(dy, scale);
  const along = g.mul(normal, g.mean(g.mul(dn, normal), [1], true));
  const dx = g.mul(g.sub(g.sub(dn, g.mean(dn, [1], true)), along), rsqrt);
  return [dx, g.sum(g.mul(dy, normal), [0]), g.sum(dy, [0])];
}

/** Rules for normalisations. */
export const normalizationRules: LoweringRules = {
  "celgc.BatchNormalization": forward,
  "celgc.BatchNormalizationGradient"(g, call, target) {
    if (target === "webgpu") return backwardOnGpu(g, call);
    const [x, scale, dy, mean, variance] = call.inputs as Value[], epsilon = epsilonOf(call);
    const rank = x.dims.length, axes = allButChannels(x), share = 1 / elements(x);
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
  "celgc.LayerNormalizationGradient"(g, call, target) {
    const [x, scale, dy] = call.inputs as Value[], epsilon = epsilonOf(call), n = x.dims.at(-1)!;
    const count = piecesOf(sizeOf(x.dims), n);
    if (!hasLoops(target) || count === 1) {
      const [dx, ...rest] = rowGradients(g, flat(g, x), scale, flat(g, dy), epsilon);
      return [g.reshape(dx, x.dims), ...rest];
    }
    const cut = [x, dy].map((each) => g.reshape(each, [count, sizeOf(x.dims) / n / count, n]));
    const [dx, ...sums] = eachSlice(
      g,
      cut,
      [scale],
      (g, [x, dy], [scale]) => rowGradients(g, x, scale, dy, epsilon),
    );
    return [g.reshape(dx, x.dims), ...sums.map((each) => g.sum(each, [0]))];
  },
  /** Training mode as ONNX has it. */
  BatchNormalization(g, call, target) {
    if (!intAttribute(call, "training_mode", 0)) return undefined;
    const [x, scale, bias, ...running] = call.inputs as Value[];
    const [y, ...batch] = forward(g, { ...call, inputs: [x, scale, bias] }, target);
    const momentum = Number(call.attributes.momentum ?? 0.9);
    const next = running.map((old, i) =>
      g.add(g.mul(old, momentum), g.mul(batch[i], 1 - momentum))
    );
    return [y, ...next];
  },
};
