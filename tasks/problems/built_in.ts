/**
 * The built-in network for samples of a shape.
 *
 * @module
 */

import { formatDims } from "../../models/tensor.ts";
import type { DataShape } from "../networks/data_shape.ts";
import { findModel } from "../networks/graphs.ts";
import { mlpOf } from "../networks/mlp.ts";
import { OptionError } from "../options/kinds.ts";
import type { Options } from "../options/values.ts";
import type { TrainableModel } from "../task.ts";

/**
 * The network that `--model` names, for data of a shape; a name is one of a ResNet or of the perceptron.
 *
 * @throws OptionError where it does not take the data
 */
export function builtIn(
  options: Pick<Options, "model" | "layers" | "width" | "loss" | "labelSmoothing">,
  data: DataShape,
): TrainableModel {
  const { model, labelSmoothing } = options;
  if (model === "mlp") return mlpOf(options, data);
  const { input } = data.inputs(1, 1), [, channels, height, width] = input?.dims ?? [];
  const isImage = input?.type === "float32" && input.dims.length === 4 && channels === 3 &&
    height === width;
  if (!isImage || data.targets !== "int32") {
    throw new OptionError(
      `--model ${model} learns classes from float32 images [batch, 3, side, side], and ${data.name} are ` +
        `${input?.type ?? "several"} ${formatDims(input?.dims.slice(1) ?? [])} a sample with ${
          data.targets === "int32" ? "classes" : "amounts"
        }: take --model mlp, or a network from a file`,
    );
  }
  return findModel(model, {
    side: height,
    labelSmoothing,
    ...data.classes > 0 ? { classes: data.classes } : {},
  });
}
