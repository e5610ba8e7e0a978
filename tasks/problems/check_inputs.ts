/**
 * Whether a run's data can be read and the files it takes with it fit its task, asked before it has a folder.
 *
 * @module
 */

import { DataError } from "../data/data_error.ts";
import { checkTextCorpus } from "../data/text/text_corpus.ts";
import { awdLstmOf } from "../networks/awd_lstm.ts";
import { gptOf, vocabularyOf, windowLength } from "../networks/gpt.ts";
import { decodeInitial, startingFrom } from "../networks/initial_weights.ts";
import { imagesOf, windowsOf } from "../networks/data_shape.ts";
import { onnxFileModel } from "../networks/onnx_model.ts";
import { asOptionError } from "../options/as_option_error.ts";
import { OptionError } from "../options/kinds.ts";
import { defaultsOf, kindOf } from "../options/defaults.ts";
import { OPTIONS, type Options } from "../options/table.ts";
import type { InputFiles } from "../run/inputs.ts";
import type { TrainableModel } from "../task.ts";
import { isModelFile } from "../options/network_names.ts";
import { openArrays, ownArraySplits } from "../data/arrays/array_source.ts";
import { ownImageSplits } from "../data/images/image_folders.ts";
import { ownTextSplits } from "../data/text/text_parts.ts";
import type { OwnSplits } from "../data/own_splits.ts";
import { openArrayProblem } from "./array_problem.ts";
import { builtIn } from "./built_in.ts";
import { imageOptions, imageSetOf, imageShapeOf } from "./image_sets.ts";
import { checkOwnText } from "./own_text.ts";
import { textSize } from "./read_text.ts";

/**
 * Refuses files that do not fit what the options say.
 *
 * @throws OptionError when a file does not fit, or data that decide what fits are not as they should be
 */
export async function checkInputs(options: Options, files: InputFiles): Promise<void> {
  if (!files.model && !files.initial) return;
  const model = await refusing(() => modelOf(options, files));
  const { fixedBatch = options.batchSize } = model;
  if (fixedBatch !== options.batchSize) {
    throw new OptionError(
      `--model ${options.model} fixes its batch at ${fixedBatch}: give --batch-size ${fixedBatch}, or ` +
        "export the model with an open batch axis",
    );
  }
  const shape = { batchSize: fixedBatch, length: windowLength(options), mode: "eval" } as const;
  if (files.initial) {
    startingFrom(model, decodeInitial(files.initial), options.weights!).build(shape);
  }
}

/**
 * Refuses a data set on disk that the ranks could not read.
 *
 * @throws OptionError that says what is wrong with it
 */
export async function checkData(options: Options): Promise<void> {
  const { task, data, model } = options;
  if (data === null) return;
  await refusing(async () => {
    if (task === "text") {
      checkFractions(options, await ownTextSplits(data));
      return await checkOwnText(options);
    }
    if (task === "arrays") {
      const source = await openArrays(data);
      checkFractions(options, ownArraySplits(source));
      // What a network's file takes is asked when that is there.
      return isModelFile(model) ? undefined : await openArrayProblem(options, null, { source });
    }
    if (task === "images") {
      checkFractions(options, await ownImageSplits(data, imageOptions(options, null)));
    }
    return await (imageSetOf({ task, data })?.check(imageOptions(options, null)) ??
      checkTextCorpus(data));
  });
}

/** Refuses shares of the data to hold out where the files say what is; what is there anyway is no one's wish. */
function checkFractions(options: Options, own: OwnSplits): void {
  const defaults = defaultsOf(options);
  for (const [name, split] of [["testFraction", "test"], ["validFraction", "valid"]] as const) {
    if (!own[split] || options[name] === defaults[name]) continue;
    throw new OptionError(
      `${OPTIONS[name].flag} ${options[name]} has no effect: ${options.data} has a ${
        split === "test" ? "test" : "validation"
      } set of its own; leave it out`,
    );
  }
}

/** Says of data that are not as they should be what is wrong with them. */
async function refusing<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw error instanceof DataError ? new OptionError(error.message, { cause: error }) : error;
  }
}

/** The model that a run trains, as far as its weights are concerned. */
async function modelOf(options: Options, files: InputFiles): Promise<TrainableModel> {
  const { model, task, bptt } = options, file = files.model;
  if (kindOf(task) === "arrays") return (await openArrayProblem(options, file)).fitting;
  if (kindOf(task) === "images") {
    const shape = imagesOf(await imageShapeOf(options, file));
    return file ? onnxFileModel(file, model, options, shape) : builtIn(options, shape);
  }
  const size = await textSize(options, files);
  if (file) return onnxFileModel(file, model, options, windowsOf(size), bptt);
  const words = asOptionError(`--task ${task}`, () => vocabularyOf(options, size));
  return model === "gpt" ? gptOf(options, words) : awdLstmOf(options, words);
}
