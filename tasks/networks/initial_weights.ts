/**
 * Models that begin with given weights instead of the seed's.
 *
 * @module
 */

import type { TrainableModel } from "../task.ts";
import { weightsOf } from "./graphs.ts";
import { decodeSafetensors, encodeSafetensors } from "./safetensors.ts";
import { matchWeights, type Weights } from "./state_dict.ts";

/**
 * The same model with other weights at first, whatever the seed. Its `build` throws OptionError if they do
 * not fit.
 *
 * @param model is asked for everything but its first weights
 * @param from what the weights are called in the message
 */
export function startingFrom(
  model: TrainableModel,
  weights: Weights,
  from: string,
): TrainableModel {
  const { name, anyLength, wholeBatches, fixedBatch, logged, ties, decoder } = model;
  const weightName = model.weightName?.bind(model);
  const build: TrainableModel["build"] = (options) => {
    const built = model.build(options);
    const what = `--weights ${from}`;
    const initial = matchWeights(weightsOf(built), weights, { what, ties: ties ?? {}, weightName });
    const variables = built.variables.map((variable) => {
      const data = initial.get(variable.name);
      return data ? { ...variable, initial: () => data } : variable;
    });
    return { ...built, variables };
  };
  // A model may be an object of a class with fields of its own, so its methods stay bound to it.
  const whole: { [Key in keyof Required<TrainableModel>]: TrainableModel[Key] } = {
    name,
    anyLength,
    wholeBatches,
    fixedBatch,
    logged,
    ties,
    decoder,
    weightName,
    build,
    masks: model.masks?.bind(model),
    predict: model.predict?.bind(model),
    encode: model.encode?.bind(model),
  };
  return whole;
}

/** Writes the weights to begin with as a safetensors file. */
export function encodeInitial({ tensors, exact }: Weights): Uint8Array<ArrayBuffer> {
  return encodeSafetensors({ tensors, metadata: { exact: String(exact) } });
}

/** Reads what {@linkcode encodeInitial} wrote. */
export function decodeInitial(bytes: Uint8Array): Weights {
  const { tensors, metadata } = decodeSafetensors(bytes);
  return { tensors, exact: metadata.exact !== "false" };
}
