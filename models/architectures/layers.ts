/**
 * The layers that models are made of: each declares its variables in the graph and keeps a list of them.
 *
 * @module
 */

import { Random } from "../../runtime/base/random.ts";
import { Graph, type Value } from "../graph.ts";
import type { Mode, Role, Variable } from "../model.ts";
import { sizeOf } from "../tensor.ts";

/** How a variable starts: a function of its shape and a stream of random numbers of its own. */
export type Initializer = (dims: readonly number[], random: Random) => Float32Array;

/** All elements equal. */
export function filled(value: number): Initializer {
  return (dims) => new Float32Array(sizeOf(dims)).fill(value);
}

/**
 * Normal with variance 2 / fan-in, which keeps the variance of activations through Relu layers (He et al.
 * 2015, equation 10; PyTorch's kaiming_normal_).
 */
export function kaimingNormal(dims: readonly number[], random: Random): Float32Array {
  const deviation = Math.sqrt(2 / sizeOf(dims.slice(1)));
  return Float32Array.from({ length: sizeOf(dims) }, () => deviation * random.normal());
}

/** Uniform in ±bound. */
export function uniform(bound: number): Initializer {
  return (dims, random) => {
    const data = new Float32Array(sizeOf(dims));
    // A float32 holds no more than 24 of the 32 bits.
    for (let i = 0; i < data.length; i++) data[i] = bound * (random.bits() / 0x80000000 - 1);
    return data;
  };
}

/**
 * The running mean and variance after a batch, as PyTorch has them: `momentum` weighs the batch, whose
 * variance is made unbiased.
 *
 * @param x what was normalised, `[batch, channels, …spatial]`
 * @param running the mean and variance before, `[channels]`
 * @param batch the batch's mean and biased variance, `[channels]`
 */
export function runningStatistics(
  g: Graph,
  x: Value,
  running: readonly Value[],
  batch: readonly Value[],
  momentum: number,
): Value[] {
  const count = sizeOf(x.dims) / x.dims[1], unbiased = count / Math.max(1, count - 1);
  return running.map((old, i) =>
    g.add(g.mul(old, 1 - momentum), g.mul(batch[i], momentum * (i === 0 ? 1 : unbiased)))
  );
}

/** A graph under construction, with the variables its layers declare. */
export class LayerBuilder {
  /** Where the layers' nodes go. */
  readonly graph: Graph = new Graph();
  /** In the order of their declaration. */
  readonly variables: Variable[] = [];

  /** Starts an empty graph for training or evaluation. */
  constructor(readonly mode: Mode) {}

  /** Declares a variable; its random numbers depend on the seed and its name alone. */
  variable(name: string, dims: readonly number[], role: Role, initializer: Initializer): Value {
    const value = this.graph.input(name, "float32", dims);
    const initial = (seed: number) => initializer(dims, new Random(seed, "initial", name));
    this.variables.push({ name, dims, role, value, initial });
    return value;
  }

  /** Sets what a variable becomes after the step. */
  update(value: Value, next: Value): void {
    const at = this.variables.findIndex((variable) => variable.value === value);
    this.variables[at] = { ...this.variables[at], next };
    this.graph.output(`${value.name}.next`, next);
  }

  /**
   * A convolution without bias, weights `<name>.weight`.
   *
   * @param x `[batch, channels, height, width]`
   * @returns `[batch, filters, height / stride, width / stride]` when `pads` is half the kernel
   */
  conv2d(
    name: string,
    x: Value,
    filters: number,
    { kernel, stride = 1, pads = 0 }: { kernel: number; stride?: number; pads?: number },
  ): Value {
    const dims = [filters, x.dims[1], kernel, kernel];
    const weight = this.variable(`${name}.weight`, dims, "parameter", kaimingNormal);
    return this.graph.conv(x, weight, { strides: stride, pads });
  }

  /**
   * Batch normalisation as PyTorch does it: `<name>.weight`, `.bias`, `.running_mean`, `.running_var`. The
   * running variance is the unbiased one, and `momentum` weighs the batch.
   *
   * @param x `[batch, channels, …spatial]`
   */
  batchNorm(name: string, x: Value, { momentum = 0.1, epsilon = 1e-5 } = {}): Value {
    const g = this.graph, dims = [x.dims[1]];
    const scale = this.variable(`${name}.weight`, dims, "parameter", filled(1));
    const bias = this.variable(`${name}.bias`, dims, "parameter", filled(0));
    const mean = this.variable(`${name}.running_mean`, dims, "statistic", filled(0));
    const variance = this.variable(`${name}.running_var`, dims, "statistic", filled(1));
    if (this.mode === "eval") {
      return g.op("BatchNormalization", [x, scale, bias, mean, variance], { epsilon });
    }
    const inputs = [x, scale, bias];
    const [y, ...batch] = g.opMany("celgc.BatchNormalization", inputs, { epsilon }, 3);
    const next = runningStatistics(g, x, [mean, variance], batch, momentum);
    this.update(mean, next[0]);
    this.update(variance, next[1]);
    return y;
  }

  /**
   * A fully connected layer x · Wᵀ + b: `<name>.weight` `[outputs, inputs]`, `<name>.bias`.
   *
   * @param x `[batch, inputs]`
   */
  linear(name: string, x: Value, outputs: number, initializer: Initializer): Value {
    const inputs = x.dims[1];
    const weight = this.variable(`${name}.weight`, [outputs, inputs], "parameter", initializer);
    const bound = 1 / Math.sqrt(inputs);
    const bias = this.variable(`${name}.bias`, [outputs], "parameter", uniform(bound));
    return this.graph.op("Gemm", [x, weight, bias], { alpha: 1, beta: 1, transA: 0, transB: 1 });
  }
}

/**
 * The outputs of a classifier: `loss`, the mean cross entropy, and for evaluation also `logits`,
 * `loss_sum`, and `correct`, how many samples have their largest logit at the target (a tie counts in
 * part). In evaluation a sample whose target is negative counts nowhere, so a last batch can be filled up.
 *
 * @param logits `[batch, classes]`
 * @param target int32 `[batch]`
 * @param losses `[batch]`, where the loss is not the cross entropy
 */
export function classifierOutputs(
  g: Graph,
  logits: Value,
  target: Value,
  mode: Mode,
  losses: Value = g.softmaxCrossEntropy(logits, target),
): Record<string, Value> & { loss: Value } {
  if (mode === "train") return { loss: g.output("loss", g.mean(losses)) };
  const [, classes] = logits.dims;
  const counted = g.cast(g.op("GreaterOrEqual", [target, g.scalar(0, "int32")]), "float32");
  const lossSum = g.sum(g.mul(losses, counted));
  const chosen = oneHot(g, target, classes);
  const largest = g.cast(g.equal(logits, g.reduce("ReduceMax", logits, [1], true)), "float32");
  const hits = g.div(g.sum(g.mul(chosen, largest), [1]), g.sum(largest, [1]));
  return {
    loss: g.output("loss", g.div(lossSum, g.sum(counted))),
    logits: g.output("logits", logits),
    loss_sum: g.output("loss_sum", lossSum),
    correct: g.output("correct", g.sum(hits)),
  };
}

/**
 * The cross entropy of labels that are smoothed: a share ε of each goes to all classes alike.
 *
 *     (1 − ε) · −log p_t + ε/K · Σ_k −log p_k  =  −log p_t + ε (z_t − mean z)
 *
 * Szegedy et al., Rethinking the Inception Architecture, CVPR 2016, section 7; as PyTorch's `label_smoothing`.
 *
 * @param logits z, `[batch, classes]`
 * @param target int32 `[batch]`
 * @param smoothing ε, from 0 up to 1
 * @returns `[batch]`
 */
export function smoothedCrossEntropy(
  g: Graph,
  logits: Value,
  target: Value,
  smoothing: number,
): Value {
  const losses = g.softmaxCrossEntropy(logits, target);
  if (smoothing === 0) return losses;
  const chosen = g.sum(g.mul(oneHot(g, target, logits.dims[1]), logits), [1]);
  return g.add(losses, g.mul(g.sub(chosen, g.mean(logits, [1])), smoothing));
}

/** Throws RangeError unless a label's share for all classes, ε, is from 0 up to 1. */
export function checkSmoothing(smoothing: number): void {
  if (smoothing >= 0 && smoothing < 1) return;
  throw new RangeError(`label smoothing is a number from 0 up to 1, not ${smoothing}`);
}

/** Classes as vectors: float32 `[batch, classes]` of int32 `[batch]`, all 0 for a negative one. */
export function oneHot(g: Graph, target: Value, classes: number): Value {
  const labels = g.constant("int32", [classes], Array.from({ length: classes }, (_, i) => i));
  return g.cast(g.equal(g.unsqueeze(target, [1]), labels), "float32");
}
