/**
 * Writes a graph of a network as an ONNX file, or its weights as a state dict.
 *
 * @module
 */

import { join } from "node:path";
import { systemReason } from "../runtime/base/system_error.ts";
import { encodeModel } from "../models/mod.ts";
import { IMAGE_SIDE } from "./data/images/image_data_set.ts";
import type { StepOptions } from "../optimizers/clipped_step.ts";
import { createAlgorithm, STEP_OPTIONS } from "../optimizers/registry.ts";
import { awdLstmOf } from "./networks/awd_lstm.ts";
import { gptOf, windowLength } from "./networks/gpt.ts";
import {
  evalGraph,
  findModel,
  forwardGraph,
  gradientsGraph,
  stepGraph,
  type TrainingGraph,
  weightsOf,
} from "./networks/graphs.ts";
import { arraysOf, type DataShape, imagesOf, windowsOf } from "./networks/data_shape.ts";
import { mlpOf } from "./networks/mlp.ts";
import { onnxFileModel, readModelFile } from "./networks/onnx_model.ts";
import { encodeSafetensors } from "./networks/safetensors.ts";
import { matchWeights, stateDict, type Weights } from "./networks/state_dict.ts";
import { defaultsOf, kindOf } from "./options/defaults.ts";
import { OptionError } from "./options/kinds.ts";
import { readWeights } from "./run/weights_source.ts";
import { isLanguageModel, isModelFile, modelName } from "./options/network_names.ts";
import { checkRules } from "./options/rules.ts";
import { checkOptions, defaultOptions } from "./options/table.ts";
import type { NetworkFile, Options } from "./options/values.ts";
import { FILES, INPUT_FILE_NAMES, readConfig } from "./run/folder.ts";
import { writeOutputAll } from "./run/write_error.ts";
import type { TrainableModel } from "./task.ts";

/** The graphs of a network, as in `--graph`; the first is the default. */
export const GRAPHS = ["forward", "gradients", "step", "eval"] as const;

/** The engines for which a graph can be written, as in `--target`; the first is the default. */
export const TARGETS = ["portable", "cpu", "wasm", "webgpu"] as const;

/** The options of a run that decide what its graphs are. */
export const GRAPH_OPTIONS = [
  "model",
  "loss",
  "dims",
  "batchSize",
  "algorithm",
  ...STEP_OPTIONS,
  "embedding",
  "hidden",
  "layers",
  "bptt",
  "dropoutWord",
  "dropoutInput",
  "dropoutHidden",
  "dropoutOutput",
  "dropoutWeight",
  "activationRegularisation",
  "temporalRegularisation",
  "heads",
  "width",
  "context",
  "positions",
  "dropout",
  "vocabulary",
  "imageSize",
] as const;

/** The options that decide a graph, with values. */
export type GraphOptions = Pick<Options, typeof GRAPH_OPTIONS[number] | "weights" | "seed">;

/** What to export: options of `launch` that decide a graph, by their names in code, and what is written. */
export interface ExportOptions extends Partial<GraphOptions> {
  /**
   * Input to logits; or to the loss and its gradients; or a whole training step; or the measures of an
   * evaluation.
   *
   * @default {"forward"}
   */
  readonly graph?: "forward" | "gradients" | "step" | "eval";
  /**
   * The engine whose favourite operators the graph is written in; `portable` is standard ONNX alone.
   *
   * @default {"portable"}
   */
  readonly target?: "portable" | "cpu" | "wasm" | "webgpu";
  /**
   * The file to write; one that ends in `.safetensors` gets the weights alone, as PyTorch's state dict.
   *
   * @default {`<model>-<graph>.onnx`, which must not be there}
   */
  readonly out?: string;
}

/** What is in an exported file, as lists of names. */
export interface ExportedNames {
  /** Inputs of the graph that have to be fed. */
  readonly inputs?: readonly string[];
  /** Its outputs. */
  readonly outputs?: readonly string[];
  /** The weights inside. */
  readonly weights?: readonly string[];
  /** The tensors of a state dict. */
  readonly tensors?: readonly string[];
}

/** A file that was written. */
export interface ExportedFile extends ExportedNames {
  /** Its path. */
  readonly file: string;
  /** Its length. */
  readonly bytes: number;
}

/** Words of Penn Treebank. */
const VOCABULARY = 10_000;

/**
 * Writes a graph of a network, or of a run's.
 *
 * @param given `weights` may be the folder of a run, which then says what network they belong to
 * @throws OptionError when an option has a value it cannot have, or a file cannot be read or written, or none is named
 *   and the one that would be written is there already
 *
 * @example
 * ```ts ignore
 * import { exportGraph } from "./export.ts";
 * const { file, inputs } = await exportGraph({ model: "resnet20", graph: "step", out: "step.onnx" });
 * ```
 */
export async function exportGraph(given: ExportOptions = {}): Promise<ExportedFile> {
  const { graph: kind = "forward", target = "portable", out, ...rest } = given;
  const holdsGraph = !out?.endsWith(".safetensors");
  const idle = (["graph", "target"] as const).find((name) => given[name] !== undefined);
  if (!holdsGraph && idle !== undefined) {
    throw new OptionError(
      `--${idle} has no effect with --out ${out}, which gets the weights alone: leave it out`,
    );
  }
  const run = await networkOfRun(rest.weights);
  const options = resolve(rest, run?.options ?? {});
  const weights = options.weights === null ? null : await readWeights(options.weights, "--weights");
  const data = rest.model === undefined ? run?.data ?? null : null;
  const network = await openNetwork(options, weights, data);
  const inside = weightsInside(network, weights, options);
  const file = out ?? `${modelName(options.model)}-${kind}.onnx`;
  const { bytes, names } = holdsGraph
    ? encodeGraph(network, kind, inside, target, options)
    : encodeState(network, inside, options);
  await writeOutputAll(file, bytes, { isNew: out === undefined }).catch((cause) => {
    if (out === undefined && cause instanceof Deno.errors.AlreadyExists) {
      throw new OptionError(
        `${file} is there already: --out FILE names another, --out ${file} replaces it`,
        { cause },
      );
    }
    throw new OptionError(`--out ${file} cannot be written: ${systemReason(cause)}`, { cause });
  });
  return { file, bytes: bytes.length, ...names };
}

/** A file about to be written. */
interface Encoded {
  readonly bytes: Uint8Array;
  readonly names: ExportedNames;
}

/** What decides the network of a run, and what the run feeds it; null if the place is no run's folder. */
async function networkOfRun(
  folder: string | null | undefined,
): Promise<{ options: Partial<GraphOptions>; data: DataShape } | null> {
  const config = folder && await readConfig(folder).catch(() => null);
  if (!config) return null;
  const { options } = config;
  const own = Object.fromEntries(GRAPH_OPTIONS.map((name) => [name, options[name]]));
  const file = { model: join(folder, INPUT_FILE_NAMES.model) as NetworkFile };
  return {
    options: isModelFile(options.model) ? { ...own, ...file } : own,
    data: await dataOfRun(folder, options),
  };
}

/** What a run is fed. */
async function dataOfRun(folder: string, { task, imageSize }: Options): Promise<DataShape> {
  switch (kindOf(task)) {
    case "text":
      return windowsOf(0);
    case "images":
      return imagesOf({ side: imageSize ?? IMAGE_SIDE, classes: 0 });
    case "arrays":
      try {
        return arraysOf(JSON.parse(await Deno.readTextFile(join(folder, FILES.arrays))));
      } catch (cause) {
        throw new OptionError(
          `--weights ${folder}: ${FILES.arrays}, which says what the network is fed, cannot be read: ${
            systemReason(cause)
          }`,
          { cause },
        );
      }
  }
}

/** What was given, else what the run had, else the defaults; a language model's are those of Penn Treebank. */
function resolve(given: Partial<GraphOptions>, ofRun: Partial<GraphOptions>): GraphOptions {
  const explicit = checkOptions({ ...given });
  const model = explicit.model ?? ofRun.model;
  const language = model !== undefined && isLanguageModel(model);
  const defaults: Options = defaultsOf(
    language ? { task: "ptb", model } : { ...model && { model } },
  );
  const names = [...GRAPH_OPTIONS, "weights", "seed"] as const;
  const own = Object.fromEntries(names.map((name) => [name, defaults[name]])) as GraphOptions;
  const options: GraphOptions = { ...own, ...ofRun, ...explicit };
  checkRules(options, explicit);
  return options;
}

/** The words that a language model with these weights knows. */
function wordsOf(weights: Weights | null): number {
  const words = weights?.tensors.find(({ name }) => /(^|\.)(encoder|wte)\.weight$/.test(name));
  return words?.dims[0] ?? VOCABULARY;
}

/** The classes that a ResNet with these weights tells apart. */
function classesOf(weights: Weights | null): { readonly classes?: number } {
  const last = weights?.tensors.find(({ name }) => name === "linear.weight");
  return last ? { classes: last.dims[0] } : {};
}

/** What an MLP with these weights is fed. */
function samplesOf(weights: Weights | null, loss: string | null): DataShape {
  const layers = weights?.tensors.filter(({ name, dims }) =>
    /^\d+\.weight$/.test(name) && dims.length === 2
  ).sort((a, b) => parseInt(a.name) - parseInt(b.name));
  const first = layers?.at(0)?.dims[1], last = layers?.at(-1)?.dims[0];
  if (first === undefined || last === undefined) {
    throw new OptionError(
      "--model mlp has the inputs and outputs of its data: give the run or its weights, --weights RUN",
    );
  }
  const classes = loss === null || loss === "cross-entropy"
    ? { classes: Array.from({ length: last }, (_, i) => String(i)) }
    : {};
  return arraysOf({
    inputs: [{ name: "input", type: "float32", dims: [first] }],
    target: { dims: classes.classes ? [] : [last], ...classes },
  });
}

/** The network that is named; a file's open lengths must all be given, unless it is known what it is fed. */
async function openNetwork(
  options: GraphOptions,
  weights: Weights | null,
  data: DataShape | null,
): Promise<TrainableModel> {
  const { model, vocabulary } = options;
  if (isModelFile(model)) {
    return onnxFileModel(await readModelFile(model, "--model"), model, options, data, options.bptt);
  }
  if (model === "mlp") return mlpOf(options, data ?? samplesOf(weights, options.loss));
  if (!isLanguageModel(model)) {
    return findModel(model, { side: options.imageSize ?? IMAGE_SIDE, ...classesOf(weights) });
  }
  const words = vocabulary ?? wordsOf(weights);
  return model === "gpt" ? gptOf(options, words) : awdLstmOf(options, words);
}

/** The weights that belong into the file, by name; null if they are to be inputs. */
function weightsInside(
  network: TrainableModel,
  given: Weights | null,
  { model, weights, seed }: GraphOptions,
): Map<string, Float32Array> | null {
  const variables = variablesOf(network);
  if (given) {
    const { ties = {}, weightName } = network, what = `--weights ${weights}`;
    return matchWeights(variables, given, { what, ties, weightName });
  }
  if (!isModelFile(model)) return null;
  return new Map(variables.map(({ name, initial }) => [name, initial(seed)]));
}

const variablesOf = (network: TrainableModel) =>
  weightsOf(network.build({ batchSize: 1, length: 1, mode: "eval" }));

function encodeState(
  network: TrainableModel,
  inside: Map<string, Float32Array> | null,
  { seed }: GraphOptions,
): Encoded {
  const variables = variablesOf(network);
  const data = variables.map(({ name, initial }) => inside?.get(name) ?? initial(seed));
  const tensors = stateDict(variables, data, network.ties);
  const bytes = encodeSafetensors({ tensors, metadata: { format: "pt", model: network.name } });
  return { bytes, names: { tensors: tensors.map(({ name }) => name) } };
}

function encodeGraph(
  network: TrainableModel,
  kind: NonNullable<ExportOptions["graph"]>,
  inside: Map<string, Float32Array> | null,
  target: NonNullable<ExportOptions["target"]>,
  options: GraphOptions,
): Encoded {
  const { graph } = build(network, kind, options);
  const own = Object.fromEntries(
    [...inside ?? []].filter(([name]) => graph.inputs.has(name)),
  );
  // What is trained must stay an input.
  const trains = kind === "step" || kind === "gradients";
  const bytes = encodeModel(graph, {
    target,
    metadata: { model: network.name, graph: kind },
    ...(trains ? { defaults: own } : { initializers: own }),
  });
  const inputs = [...graph.inputs.keys()].filter((name) => trains || !Object.hasOwn(own, name));
  const names = { inputs, outputs: [...graph.outputs.keys()], weights: Object.keys(own) };
  return { bytes, names };
}

function build(
  network: TrainableModel,
  kind: NonNullable<ExportOptions["graph"]>,
  options: GraphOptions,
): TrainingGraph {
  const shape = { batchSize: options.batchSize, length: windowLength(options) };
  switch (kind) {
    case "forward":
      return forwardGraph(network, shape);
    case "gradients":
      return gradientsGraph(network, shape);
    case "step":
      return stepGraph(network, shape, updateOf(options));
    case "eval":
      return evalGraph(network, shape);
  }
}

/** What the algorithm's update appends, which does not depend on when its rounds are. */
function updateOf(options: GraphOptions): StepOptions {
  return createAlgorithm(options.algorithm, { ...defaultOptions(), ...options }).update;
}
