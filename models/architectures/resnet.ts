/**
 * Residual networks for small images: He, Zhang, Ren, Sun, Deep Residual Learning for Image Recognition,
 * CVPR 2016, section 4.2, with shortcuts of option A (no weights: every second pixel, channels filled up
 * with zeros).
 *
 * @module
 */

import { classifierOutputs, kaimingNormal, LayerBuilder, smoothedCrossEntropy } from "./layers.ts";
import type { Value } from "../graph.ts";
import type { BuildOptions, Model, ModelGraph } from "../model.ts";

/** Depths 6n + 2: n blocks of two convolutions in each of three stages. 8 is for demonstrations. */
export const RESNET_DEPTHS = [8, 20, 32, 44, 56, 110] as const;

/** Options of {@linkcode resnet}. */
export interface ResNetOptions {
  /**
   * Classes to tell apart.
   * @default {10}
   */
  readonly classes?: number;
  /** Width and height of an image, in pixels. @default {32} */
  readonly side?: number;
  /** ε: how much of each label goes to all classes alike in training. @default {0} */
  readonly labelSmoothing?: number;
}

/**
 * The residual network of a depth.
 *
 * Inputs `input` float32 `[batch, 3, side, side]` and `target` int32 `[batch]`; variables named as in PyTorch's
 * usual CIFAR ResNets (`conv1.weight`, `bn1.running_mean`, `layer1.0.conv1.weight`, …, `linear.bias`);
 * outputs those of {@linkcode classifierOutputs}, and in training `<statistic>.next`.
 *
 * @param depth 6n + 2
 * @throws RangeError for another depth
 */
export function resnet(
  depth: number,
  { classes = 10, side = 32, labelSmoothing = 0 }: ResNetOptions = {},
): Model {
  const blocks = (depth - 2) / 6;
  if (!Number.isInteger(blocks) || blocks < 1) {
    throw new RangeError(
      `a CIFAR ResNet has a depth of 6n + 2, such as ${RESNET_DEPTHS.join(", ")}; not ${depth}`,
    );
  }
  return {
    name: `resnet${depth}`,
    build: (options) => build(blocks, { classes, side, labelSmoothing }, options),
  };
}

function build(
  blocks: number,
  { classes, side, labelSmoothing }: Required<ResNetOptions>,
  { batchSize, mode }: BuildOptions,
): ModelGraph {
  const layers = new LayerBuilder(mode), g = layers.graph;
  const input = g.input("input", "float32", [batchSize, 3, side, side]);
  const target = g.input("target", "int32", [batchSize]);
  let x = layers.conv2d("conv1", input, 16, { kernel: 3, pads: 1 });
  x = g.relu(layers.batchNorm("bn1", x));
  for (const stage of [1, 2, 3]) {
    for (let block = 0; block < blocks; block++) {
      const stride = stage > 1 && block === 0 ? 2 : 1;
      x = basicBlock(layers, `layer${stage}.${block}`, x, 8 << stage, stride);
    }
  }
  g.scope = "";
  const features = g.op("Flatten", [g.op("GlobalAveragePool", [x])], { axis: 1 });
  const logits = layers.linear("linear", features, classes, kaimingNormal);
  const smoothing = mode === "train" ? labelSmoothing : 0;
  const losses = smoothedCrossEntropy(g, logits, target, smoothing);
  const outputs = classifierOutputs(g, logits, target, mode, losses);
  return { graph: g, loss: outputs.loss, outputs, variables: layers.variables };
}

/** Two convolutions and a shortcut around them (He et al. 2016, figure 2). */
function basicBlock(
  layers: LayerBuilder,
  name: string,
  x: Value,
  filters: number,
  stride: number,
): Value {
  const g = layers.graph;
  g.scope = `${name}/`;
  let y = layers.conv2d(`${name}.conv1`, x, filters, { kernel: 3, stride, pads: 1 });
  y = g.relu(layers.batchNorm(`${name}.bn1`, y));
  y = layers.conv2d(`${name}.conv2`, y, filters, { kernel: 3, pads: 1 });
  y = layers.batchNorm(`${name}.bn2`, y);
  return g.relu(g.add(y, shortcut(layers, x, filters, stride)));
}

/** Option A: every `stride`-th pixel, new channels zero, half of them before and half after. */
function shortcut({ graph: g }: LayerBuilder, x: Value, filters: number, stride: number): Value {
  const [, channels, height, width] = x.dims;
  if (stride === 1) return x;
  const less = g.slice(x, [2, 3], [0, 0], [height, width], [stride, stride]);
  const before = Math.floor((filters - channels) / 2), after = filters - channels - before;
  return g.pad(less, [0, before, 0, 0], [0, after, 0, 0]);
}
