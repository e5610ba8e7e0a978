/**
 * Any forward ONNX graph as a model to train: its weights become variables, a loss is appended, dropout and
 * batch normalisation do what they do in training.
 *
 * @module
 */

import { dropoutMask, type FloatTensor, type MaskKey } from "../architectures/dropout.ts";
import type { BuildOptions, Model, ModelGraph } from "../model.ts";
import { batchSymbol, Build, dataInputs, type Drop, lossOutput } from "./_build.ts";
import { type FileVariable, findVariables, RESERVED } from "./_variables.ts";
import type { ForeignModelOptions } from "./options.ts";
import { OnnxFileError, type OnnxInput } from "./file/onnx_graph.ts";
import { readOnnxFile } from "./file/onnx_file.ts";
import { replaceWeights } from "./file/trained_file.ts";

/** A model read from an ONNX file. */
export interface ForeignModel extends Model {
  /** Whether the loss is one that the file computes itself. */
  readonly ownLoss: boolean;
  /**
   * A graph that computes what the file does, under the file's own names of inputs and outputs, so that it
   * can take the file's place. A loss inside the file, and what only it needs, is left out.
   */
  predict(options: Pick<BuildOptions, "batchSize">): Pick<ModelGraph, "graph" | "variables">;
  /** The one batch it can be built for, where the file fixes it; undefined for a file that takes any. */
  readonly fixedBatch: number | undefined;
  /** The file with other weights, by name, for prediction: symbolic axes stay symbolic. */
  encode(weights: ReadonlyMap<string, Float32Array>): Uint8Array;
  /** A mask for each dropout of a training graph, ready to feed; none in a file without dropout. */
  masks(batchSize: number, key: MaskKey): Record<string, FloatTensor>;
}

/**
 * A model from an ONNX file, opset 9 or later.
 *
 * The file's one data input becomes `input`, several keep their names (int64 becomes int32); the first axis is
 * the batch (or the axis whose symbol names a batch). Weights keep the file's names; a graph exported for
 * evaluation trains as well: batch normalisation takes the batch's statistics and updates the running ones as
 * PyTorch does.
 *
 * @param file the bytes of the file
 * @throws OnnxFileError when the file cannot be read; building throws the same where its inputs are not those
 * that are fed, or an OperatorError, at what cannot be trained
 */
export function foreignModel(file: Uint8Array, options: ForeignModelOptions = {}): ForeignModel {
  const model = readOnnxFile(file), variables = findVariables(model);
  const { trained } = options;
  if (trained) {
    for (const [name, tensor] of model.graph.initializers) {
      if (variables.get(name)?.role === "statistic") continue;
      variables.delete(name);
      if (trained(name, tensor)) variables.set(name, { tensor, role: "parameter" });
    }
  }
  const names = ownNames(variables);
  const build = (given: BuildOptions, own = false, trained = variables) => {
    try {
      return new Build(model, { variables: trained, names }, options, given, own);
    } catch (cause) {
      const fixed = batchOf(model.graph.inputs, builds);
      if (fixed === undefined || fixed === given.batchSize) throw cause;
      throw new OnnxFileError(
        `the file fixes its batch at ${fixed}, and cannot be built for one of ${given.batchSize} ` +
          `(${(cause as Error).message})`,
        { cause, fixedBatch: fixed },
      );
    }
  };
  const builds = (batchSize: number) => {
    try {
      new Build(model, { variables, names }, options, { batchSize, mode: "eval" }, false).finish();
      return true;
    } catch {
      return false;
    }
  };
  const known = new Map<number, readonly Drop[]>();
  let fixed: { batch: number | undefined } | undefined;
  return {
    name: options.name ?? "onnx",
    ownLoss: typeof options.loss === "object" ||
      options.loss === undefined && model.graph.outputs.includes("loss"),
    build: (given) => build(given).finish(),
    get fixedBatch() {
      fixed ??= { batch: builds(2) ? undefined : batchOf(model.graph.inputs, builds) };
      return fixed.batch;
    },
    encode(weights) {
      const theirs = new Map([...names].map(([file, own]) => [own, file]));
      return replaceWeights(
        file,
        new Map([...weights].map(([name, data]) => [theirs.get(name) ?? name, data])),
      );
    },
    predict({ batchSize }) {
      const given: BuildOptions = { batchSize, mode: "eval" };
      const trained = new Map(variables);
      for (const name of leftOut(() => build(given))) trained.delete(name);
      return build(given, true, trained).predict();
    },
    masks(batchSize, key) {
      const drops = known.get(batchSize) ?? build({ batchSize, mode: "train" }).drops;
      known.set(batchSize, drops);
      return Object.fromEntries(
        drops.map(({ name, dims, ratio }) => [name, dropoutMask(name, dims, ratio, key)]),
      );
    },
  };
}

/**
 * What a file is fed beside the target of a loss inside it.
 *
 * @throws OnnxFileError when the file cannot be read
 */
export function networkInputs(
  file: Uint8Array,
  options: Pick<ForeignModelOptions, "loss"> = {},
): readonly OnnxInput[] {
  const model = readOnnxFile(file);
  return dataInputs(model, lossOutput(model, options));
}

/** The batch that a file's input says instead of a symbol, if the file can be built for it. */
function batchOf(
  inputs: readonly OnnxInput[],
  builds: (batchSize: number) => boolean,
): number | undefined {
  const batch = inputs[0]?.dims[0];
  if (batchSymbol(inputs) !== undefined || typeof batch !== "number") return undefined;
  return builds(batch) ? batch : undefined;
}

/** The variables, by their names in the file, that a model's loss does not depend on. */
function leftOut(build: () => Build): readonly string[] {
  try {
    const built = build();
    built.finish();
    return built.leftOut;
  } catch {
    return []; // there is no loss of its prediction
  }
}

/** The names of variables, by those in the file: the same, unless that is one of a trainer's own. */
function ownNames(variables: ReadonlyMap<string, FileVariable>): Map<string, string> {
  return new Map([...variables.keys()].map((name) => {
    let own = name;
    while (RESERVED.has(own) || own !== name && variables.has(own)) own += "_";
    return [name, own];
  }));
}
