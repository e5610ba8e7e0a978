/** Losses appended to a model that has none. */

import type { Graph, Value } from "../graph.ts";
import { checkSmoothing, classifierOutputs, oneHot, smoothedCrossEntropy } from "./layers.ts";
import type { Mode } from "../model.ts";
import { formatDims, normalizeAxis, sizeOf } from "../tensor.ts";

/** The losses that can be appended. */
export const LOSSES = ["cross-entropy", "mse", "mae", "binary-cross-entropy"] as const;

/** A loss by name. */
export type LossName = typeof LOSSES[number];

/** Appends a loss: declares the input `target` and the outputs. */
export type AppendLoss = (
  g: Graph,
  prediction: Value,
  mode: Mode,
) => Record<string, Value> & { loss: Value };

/** How a loss is appended. */
export interface LossOptions {
  /** The prediction's axis of classes, for cross entropy. */
  readonly classAxis?: number | undefined;
  /**
   * Whether `target` holds class indices where the loss is one of values: those are then 1 for the class
   * and 0 for the others. @default {false}
   */
  readonly classes?: boolean | undefined;
  /** How much of each label goes to all classes alike in training, ε, for cross entropy. @default {0} */
  readonly labelSmoothing?: number | undefined;
  /** The shape of a target of values, if it is another with as many elements. @default {the prediction's} */
  readonly targetDims?: readonly number[] | undefined;
}

type Elements = (g: Graph, prediction: Value, target: Value) => Value;

/** A target that is this, the largest float32, or beyond counts nowhere in an evaluation. */
export const NO_TARGET = 3.4028234663852886e38;

/**
 * The mean over all elements of a function of prediction and target. In evaluation a sample with a target that
 * is {@linkcode NO_TARGET} counts nowhere, so a last batch can be filled up.
 */
function elementwise(
  f: Elements,
  { classes = false, targetDims }: LossOptions,
): AppendLoss {
  if (classes) return ofClasses(f);
  return (g, prediction, mode): ReturnType<AppendLoss> => {
    const { dims } = prediction, size = sizeOf(dims);
    const fed = g.input(
      "target",
      "float32",
      targetDims && sizeOf(targetDims) === size ? targetDims : dims,
    );
    const target = g.reshape(fed, dims);
    if (mode === "train") return { loss: g.output("loss", g.mean(f(g, prediction, target))) };
    const rows = [dims[0] ?? 1, -1];
    const largest = g.reduce("ReduceMax", g.abs(g.reshape(target, rows)), [1], false);
    const counted = g.less(largest, NO_TARGET);
    const each = g.where(g.unsqueeze(counted, [1]), g.reshape(target, rows), 0);
    const known = g.reshape(each, dims);
    const sumOf = (values: Value) =>
      g.sum(g.where(counted, g.mean(g.reshape(values, rows), [1]), 0));
    const count = g.sum(g.cast(counted, "float32")), lossSum = sumOf(f(g, prediction, known));
    const error = g.sub(prediction, known);
    return {
      loss: g.output("loss", g.div(lossSum, count)),
      prediction: g.output("prediction", prediction),
      loss_sum: g.output("loss_sum", lossSum),
      squared_error: g.output("squared_error", sumOf(g.mul(error, error))),
      count: g.output("count", count),
    };
  };
}

/** The same for predictions `[batch, classes]` and a target of classes. */
function ofClasses(f: Elements): AppendLoss {
  return (g, prediction, mode) => {
    const [batch, classes] = checkRank(prediction, 2).dims;
    const target = g.input("target", "int32", [batch]);
    const losses = g.mean(f(g, prediction, oneHot(g, target, classes)), [1]);
    return classifierOutputs(g, prediction, target, mode, losses);
  };
}

function checkRank(prediction: Value, rank: number): Value {
  if (prediction.dims.length === rank) return prediction;
  throw new RangeError(
    `a loss of classes needs predictions [batch, classes], got ${formatDims(prediction.dims)}`,
  );
}

/**
 * The loss of a name, to be appended.
 *
 * - `cross-entropy`: softmax cross entropy; `target` int32 holds class indices. The classes are the last
 *   axis of predictions of up to 3 axes (`[batch, classes]`, `[batch, length, classes]`), and axis 1 of
 *   images, unless `classAxis` says otherwise.
 * - `mse`, `mae`: mean squared and absolute error; `target` float32 has the prediction's shape. Evaluation
 *   measures the squared error as well, whichever it is, summed over the samples.
 * - `binary-cross-entropy`: of logits, with `target` from 0 to 1.
 */
export function lossNamed(
  name: LossName,
  options: LossOptions = {},
): AppendLoss {
  const { classAxis, labelSmoothing = 0 } = options;
  checkSmoothing(labelSmoothing);
  if (labelSmoothing > 0 && name !== "cross-entropy") {
    throw new RangeError(`labels are smoothed for a cross entropy, not for the loss ${name}`);
  }
  switch (name) {
    case "cross-entropy":
      return (g, prediction, mode) => {
        const rank = prediction.dims.length;
        if (rank < 2) {
          throw new RangeError(
            `cross entropy needs predictions [batch, classes], got ${formatDims(prediction.dims)}`,
          );
        }
        const axis = normalizeAxis(classAxis ?? (rank > 3 ? 1 : -1), rank);
        const order = prediction.dims.map((_, i) => i).toSpliced(axis, 1);
        const target = g.input("target", "int32", order.map((i) => prediction.dims[i]));
        const last = g.transpose(prediction, [...order, axis]);
        const rows = g.reshape(last, [-1, prediction.dims[axis]]);
        const labels = g.reshape(target, [-1]), smoothing = mode === "train" ? labelSmoothing : 0;
        const losses = smoothedCrossEntropy(g, rows, labels, smoothing);
        return classifierOutputs(g, rows, labels, mode, losses);
      };
    case "mse":
      return elementwise((g, prediction, target) => {
        const difference = g.sub(prediction, target);
        return g.mul(difference, difference);
      }, options);
    case "mae":
      return elementwise((g, prediction, target) => g.abs(g.sub(prediction, target)), options);
    case "binary-cross-entropy":
      // max(x, 0) − x t + log(1 + e^−|x|) overflows nowhere. Its slope at 0 is ½ − t, as it is on both sides,
      // if those of max and |·| there are the ones of the same side: 0 and −1, where Abs has 0.
      return elementwise((g, x, target) => {
        const size = g.where(g.greater(x, 0), x, g.neg(x));
        return g.add(g.sub(g.relu(x), g.mul(x, target)), g.op("Softplus", [g.neg(size)]));
      }, options);
    default:
      throw new RangeError(`there is no loss "${name}"; take one of ${LOSSES.join(", ")}`);
  }
}
