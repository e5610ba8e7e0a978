/** Batch normalisation of blocked images. */

import type { Value } from "../../graph.ts";
import { type Application, intAttribute } from "../../operator.ts";
import { sizeOf } from "../../tensor.ts";
import type { BlockedRules, Blocks } from "./_blocks.ts";

const epsilonOf = ({ attributes }: Application) => Number(attributes.epsilon ?? 1e-5);

/** x less its mean: what cancels in E[x²] − E[x]² is out of the way before anything is squared. */
function centre(blocks: Blocks, x: Value, mean: Value): Value {
  const one = blocks.g.constant("float32", [x.dims[1]], 1);
  return blocks.affine(x, one, blocks.g.neg(mean));
}

/** Rules for normalisations. */
export const blockedNormalization: BlockedRules = {
  "celgc.BatchNormalization"(blocks, call) {
    const [x, scale, bias] = call.inputs as Value[];
    if (!blocks.has(x)) return undefined;
    const g = blocks.g, mean = blocks.mean(blocks.enter(x));
    const centred = centre(blocks, blocks.enter(x), mean);
    const variance = g.mul(blocks.dot(centred, centred), x.dims[1] / sizeOf(x.dims));
    const rsqrt = g.reciprocal(g.sqrt(g.add(variance, epsilonOf(call))));
    const y = blocks.affine(centred, g.mul(scale, rsqrt), bias);
    return [blocks.leave(y), mean, variance];
  },
  "celgc.BatchNormalizationGradient"(blocks, call) {
    const [x, scale, plain, mean, variance] = call.inputs as Value[], g = blocks.g;
    if (!blocks.has(x)) return undefined;
    const centred = centre(blocks, blocks.enter(x), mean), count = sizeOf(x.dims) / x.dims[1];
    const rsqrt = g.reciprocal(g.sqrt(g.add(variance, epsilonOf(call))));
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
    if (!blocks.has(x) || intAttribute(call, "training_mode", 0)) return undefined;
    const slope = g.mul(scale, g.reciprocal(g.sqrt(g.add(variance, epsilonOf(call)))));
    return [blocks.leave(blocks.affine(blocks.enter(x), slope, g.sub(bias, g.mul(mean, slope))))];
  },
};
