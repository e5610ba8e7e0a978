/** Batch normalisation of blocked images. */

import type { Value } from "../graph.ts";
import { type Call, integer } from "../operator.ts";
import { sizeOf } from "../tensor.ts";
import type { Blocks } from "./_blocks.ts";
import type { BlockedRules } from "./blocked.ts";

function statistics(blocks: Blocks, x: Value, { attributes }: Call) {
  const g = blocks.g, count = sizeOf(x.dims) / x.dims[1];
  const mean = blocks.mean(x);
  const one = g.constant("float32", [x.dims[1]], 1);
  const centred = blocks.affine(x, one, g.neg(mean));
  const variance = g.mul(blocks.dot(centred, centred), 1 / count);
  const epsilon = Number(attributes.epsilon ?? 1e-5);
  const rsqrt = g.reciprocal(g.sqrt(g.add(variance, epsilon)));
  return { mean, variance, rsqrt, centred, count };
}

/** Rules for normalisations. */
export const blockedNormalization: BlockedRules = {
  "celgc.BatchNormalization"(blocks, call) {
    const [x, scale, bias] = call.inputs as Value[];
    if (!blocks.has(x)) return undefined;
    const { mean, variance, rsqrt, centred } = statistics(blocks, blocks.enter(x), call);
    const y = blocks.affine(centred, blocks.g.mul(scale, rsqrt), bias);
    return [blocks.leave(y), mean, variance];
  },
  "celgc.BatchNormalizationGradient"(blocks, call) {
    const [x, scale, plain] = call.inputs as Value[], g = blocks.g;
    if (!blocks.has(x)) return undefined;
    const { rsqrt, centred, count } = statistics(blocks, blocks.enter(x), call);
    const dy = blocks.enter(plain);
    const level = blocks.mean(dy);
    const dscale = g.mul(blocks.dot(dy, centred), rsqrt);
    const slope = g.mul(scale, rsqrt);
    // dx = slope · (dy − mean(dy) − centred · rsqrt · dscale / count)
    const bend = g.neg(g.mul(g.mul(slope, g.mul(dscale, rsqrt)), 1 / count));
    const rest = blocks.affine(centred, bend, g.neg(g.mul(slope, level)));
    return [blocks.leave(blocks.affine(dy, slope, undefined, rest)), dscale, g.mul(level, count)];
  },
  /** With running statistics: evaluation. */
  BatchNormalization(blocks, call) {
    const [x, scale, bias, mean, variance] = call.inputs as Value[], g = blocks.g;
    if (!blocks.has(x) || integer(call, "training_mode", 0)) return undefined;
    const epsilon = Number(call.attributes.epsilon ?? 1e-5);
    const slope = g.mul(scale, g.reciprocal(g.sqrt(g.add(variance, epsilon))));
    return [blocks.leave(blocks.affine(blocks.enter(x), slope, g.sub(bias, g.mul(mean, slope))))];
  },
};
