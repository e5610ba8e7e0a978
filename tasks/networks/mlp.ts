/**
 * The multilayer perceptron that a run's options describe.
 *
 * @module
 */

import { type LossName, mlp } from "../../models/mod.ts";
import { sizeOf } from "../../models/tensor.ts";
import { OptionError } from "../options/kinds.ts";
import { parseLoss } from "../options/network_names.ts";
import type { Options } from "../options/values.ts";
import type { TrainableModel } from "../task.ts";
import type { DataShape } from "./data_shape.ts";

/** The options that make the network. */
type MlpNetworkOptions =
  & Pick<Options, "layers" | "width" | "loss">
  & Partial<Pick<Options, "labelSmoothing">>;

/** The loss of a built-in network: the one that is named, else the one that targets of a kind have. */
function lossFor(loss: string | null, targets: DataShape["targets"]): LossName {
  if (loss === null) return targets === "int32" ? "cross-entropy" : "mse";
  const named = parseLoss(loss);
  if (typeof named === "string") return named;
  throw new OptionError(`--loss ${loss} is for a network from a file that computes it`);
}

/**
 * The perceptron for data of a shape.
 *
 * @throws OptionError where the data are not what it takes
 */
export function mlpOf(options: MlpNetworkOptions, data: DataShape): TrainableModel {
  const { layers, width, loss, labelSmoothing = 0 } = options, { classes, targets } = data;
  const inputs = Object.entries(data.inputs(1, 1)), [[, { type, dims }]] = inputs;
  const [, ...target] = data.target(1, 1);
  if (inputs.length > 1 || type !== "float32") {
    throw new OptionError(
      `--model mlp takes one input of floats, not ${
        inputs.map(([name, { type }]) => `${name} of ${type}`).join(", ")
      }: name one with --inputs`,
    );
  }
  if (targets === "int32" && classes === 0) {
    throw new OptionError(
      "--model mlp must know how many classes there are, which a task does not say",
    );
  }
  if (targets === "int32" && target.length > 0) {
    throw new OptionError(
      `--model mlp predicts one class of a sample, and the target has [${target}] of each: take a ` +
        "network from a file",
    );
  }
  return mlp({
    input: dims.slice(1),
    outputs: targets === "int32" ? classes : sizeOf(target),
    target,
    layers,
    width,
    loss: lossFor(loss, targets),
    classes: targets === "int32",
    labelSmoothing,
  });
}
