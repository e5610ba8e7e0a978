/**
 * Networks that are ONNX files: telling them from built-in ones, reading them, and making them fit a task.
 *
 * @module
 */

import { dirname, join, relative } from "node:path";
import { systemReason } from "../../runtime/base/system_error.ts";
import {
  externalFiles,
  type ForeignModel,
  foreignModel,
  type ForeignModelOptions,
  OnnxFileError,
  parametersOf,
  withDataInside,
} from "../../models/mod.ts";
import { formatDims } from "../../models/tensor.ts";
import { counted } from "../../runtime/base/words.ts";
import { asOptionError } from "../options/as_option_error.ts";
import { OptionError } from "../options/kinds.ts";
import { isUrl, modelName, parseDims, parseLoss } from "../options/network_names.ts";
import type { TrainableModel } from "../task.ts";
import type { DataShape } from "./data_shape.ts";
import { METADATA } from "./safetensors.ts";

/** Longest time in which a file must have come from the network, in ms. */
const FETCH_TIMEOUT = 300_000;

/**
 * Reads a file from a path or a URL (`https:`, `http:`, `file:`).
 *
 * @param flag the option that named it, for the message
 * @throws OptionError when it is not to be had
 */
export async function readLocation(
  location: string,
  flag: string,
): Promise<Uint8Array<ArrayBuffer>> {
  try {
    if (!isUrl(location)) {
      // A pipe would be waited for, and a device may never end.
      if (!(await Deno.stat(location)).isFile) throw new Error("it is no regular file");
      return await Deno.readFile(location);
    }
    const response = await fetch(location, { signal: AbortSignal.timeout(FETCH_TIMEOUT) });
    if (response.ok) return await response.bytes();
    await response.body?.cancel();
    throw new Error(`the server answered ${response.status} ${response.statusText}`.trim());
  } catch (cause) {
    throw new OptionError(`${flag} ${location} cannot be read: ${systemReason(cause)}`, {
      cause,
    });
  }
}

/**
 * Reads a model's file, with the tensors that it keeps in other files beside it.
 *
 * @throws OptionError when it or one of those is not to be had
 */
export async function readModelFile(
  location: string,
  flag: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const what = `${flag} ${location}`, file = await readLocation(location, flag);
  const names = asOptionError(what, () => externalFiles(file));
  if (names.length === 0) return file;
  const files = new Map<string, Uint8Array>();
  for (const name of names) {
    const beside = isUrl(location)
      ? new URL(name.split(/[/\\]/).map(encodeURIComponent).join("/"), location).href
      : join(dirname(location), name);
    const data = await readLocation(beside, `${what} keeps weights in`);
    if (!isUrl(location)) await checkInside(beside, location, what);
    files.set(name, data);
  }
  return asOptionError(what, () => withDataInside(file, files));
}

/** Throws OptionError unless a file lies in the folder of a model's, with all links followed. */
async function checkInside(path: string, model: string, what: string): Promise<void> {
  const real = await Deno.realPath(path);
  const folders = [
    await Deno.realPath(dirname(model)),
    // A cache may keep every file elsewhere, under links beside each other.
    dirname(await Deno.realPath(model)),
  ];
  if (folders.some((folder) => !relative(folder, real).startsWith(".."))) return;
  throw new OptionError(
    `${what} keeps weights in ${path}, a link out of the model's folder to ${real}: copy the file there`,
  );
}

/** What the options of a run say of a model's file. */
export interface FileOptions {
  /** A loss by name, `output:NAME`, or null: the file's own, else cross entropy. */
  readonly loss: string | null;
  /** Lengths of the file's symbolic dimensions, `name=n,name=n`; null: none. */
  readonly dims: string | null;
  /** How labels are smoothed, ε. @default {0} */
  readonly labelSmoothing?: number;
}

/** The options as the importer takes them. Throws RangeError for a text that is none. */
export function importOptions(
  { loss, dims, labelSmoothing = 0 }: FileOptions,
): ForeignModelOptions {
  return {
    ...(labelSmoothing === 0 ? {} : { labelSmoothing }),
    ...(dims === null ? {} : { dims: parseDims(dims) }),
    ...(loss === null ? {} : { loss: parseLoss(loss) }),
  };
}

/** A model from a file. */
export interface OnnxFileModel extends TrainableModel {
  predict: NonNullable<TrainableModel["predict"]>;
}

/**
 * The model of a file, as the trainer takes it. Symbolic lengths that are not given are those of the
 * task's data.
 *
 * @param name as the options have it
 * @param data what it is to be fed; null if nothing is, and all open lengths are given
 * @param length steps of a sequence in a batch, `--bptt`, for data that has them
 * @throws OptionError when the file cannot be read or trained, or does not take what the task gives
 */
export function onnxFileModel(
  file: Uint8Array,
  name: string,
  options: FileOptions,
  data: DataShape | null,
  length = 1,
): OnnxFileModel {
  const byLength = new Map<number, ForeignModel>();
  const fileOptions = importOptions(options);
  const at = (length: number) => {
    const model = byLength.get(length) ?? foreignModel(file, {
      ...fileOptions,
      name: modelName(name),
      ...data && {
        classes: data.targets === "int32",
        shapes: { input: fedShapes(data, length), target: data.target(1, length) },
      },
    });
    byLength.set(length, model);
    return model;
  };
  const fromFile = asOptionError(`--model ${name}`, () => at(length));
  const model: OnnxFileModel = {
    name: modelName(name),
    wholeBatches: fromFile.ownLoss,
    ...fromFile.fixedBatch === undefined ? {} : { fixedBatch: fromFile.fixedBatch },
    build: ({ length, ...rest }) => at(length).build(rest),
    encode: (weights) => at(length).encode(weights),
    predict: ({ batchSize, length = 1 }) => at(length).predict({ batchSize }),
    masks: (batchSize, key, steps = length) => at(steps).masks(batchSize, key),
  };
  asOptionError(`--model ${name}`, () => checkFit(model, data, length));
  return model;
}

/** Shapes of what is fed to one sample. */
function fedShapes(data: DataShape, length: number) {
  const inputs = data.inputs(1, length), names = Object.keys(inputs);
  return names.length === 1
    ? inputs[names[0]].dims
    : Object.fromEntries(names.map((name) => [name, inputs[name].dims]));
}

/** Throws OnnxFileError unless the model can be built and takes what the task gives. */
function checkFit(model: TrainableModel, data: DataShape | null, length: number): void {
  const { fixedBatch: batchSize = 2 } = model;
  const { graph, variables } = model.build({ batchSize, length, mode: "eval" });
  const reserved = variables.find(({ name }) => name === METADATA);
  if (reserved) {
    throw new OnnxFileError(
      `it has a weight named "${reserved.name}", a name that files of weights keep for their text: rename it`,
    );
  }
  if (parametersOf({ variables }).length === 0) throw new OnnxFileError("nothing in it is trained");
  if (!data) return;
  const expected = {
    ...data.inputs(batchSize, length),
    target: { type: data.targets, dims: data.target(batchSize, length) },
  };
  for (const [name, { type, dims }] of Object.entries(expected)) {
    const actual = graph.inputs.get(name);
    if (actual && actual.type === type && `${actual.dims}` === `${dims}`) continue;
    throw new OnnxFileError(
      `for a batch of ${batchSize} its ${name} is ${actual?.type} ${
        formatDims(actual?.dims ?? [])
      }, ` +
        `but ${data.name} are ${type} ${formatDims(dims)}`,
    );
  }
  const logits = graph.outputs.get("logits");
  if (logits && logits.dims.at(-1)! < data.classes) {
    throw new OnnxFileError(
      `it tells ${
        counted(logits.dims.at(-1)!, "class", "classes")
      } apart, but the task has ${data.classes}`,
    );
  }
}
