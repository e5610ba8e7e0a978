import { join } from "node:path";
import { encodeModel } from "../../models/mod.ts";
import {
  evalGraph,
  findModel,
  forwardGraph,
  gradientsGraph,
  stepGraph,
  type TrainingGraph,
  weightsOf,
} from "../networks/graphs.ts";
import {
  type DataShape,
  IMAGES,
  onnxFileModel,
  readModelFile,
  windowsOf,
} from "../networks/onnx_model.ts";
import { isModelFile, modelName } from "../options/network_names.ts";
import { awdLstmModel, awdLstmOf } from "../networks/awd_lstm.ts";
import { choice, integer, OptionError, text } from "../options/kinds.ts";
import type { NetworkFile } from "../options/values.ts";
import { OPTIONS, type Options } from "../options/table.ts";
import { algorithmOf, resolveOptions } from "../options/resolve.ts";
import { INPUT_FILE_NAMES, readConfig } from "../run/folder.ts";
import { encodeSafetensors } from "../networks/safetensors.ts";
import type { TrainableModel } from "../task.ts";
import { kindOf } from "../options/defaults.ts";
import { matchWeights, readWeights, stateDict, type Weights } from "../networks/state_dict.ts";
import { checkFile } from "./check_file.ts";
import type { CommandSpec } from "./command_line.ts";

const GRAPH = "The graph";
const GRAPHS = ["forward", "gradients", "step", "eval"] as const;
const TARGETS = ["portable", "cpu", "wasm", "webgpu"] as const;

/** The options of a run that decide what its graphs are. */
const { model, loss, dims, weights, seed, json } = OPTIONS;
const { batchSize, algorithm, clipBy, momentum, dampening, nesterov, weightDecay } = OPTIONS;
const { embedding, hidden, layers, bptt, activationRegularisation, temporalRegularisation } =
  OPTIONS;
const { dropoutWord, dropoutInput, dropoutHidden, dropoutOutput, dropoutWeight } = OPTIONS;
const RUN = {
  model,
  loss,
  dims,
  batchSize,
  algorithm,
  clipBy,
  momentum,
  dampening,
  nesterov,
  weightDecay,
  embedding,
  hidden,
  layers,
  bptt,
  dropoutWord,
  dropoutInput,
  dropoutHidden,
  dropoutOutput,
  dropoutWeight,
  activationRegularisation,
  temporalRegularisation,
} as const;

const EXPORT_OPTIONS = {
  check: text({
    flag: "--check",
    group: GRAPH,
    help: "instead of exporting, say of an ONNX file (path or URL) which of its operators have a " +
      "gradient and run on WebGPU, and what keeps it from being trained; exit code 1 if something does",
    default: null,
    defaultText: "none",
    placeholder: "file",
  }),
  graph: choice({
    flag: "--graph",
    group: GRAPH,
    help: "input to logits; or to the loss and its gradients; or a whole training step; or the " +
      "measures of an evaluation",
    choices: GRAPHS,
    default: "forward",
  }),
  target: choice({
    flag: "--target",
    group: GRAPH,
    help: "the engine whose favourite operators it is written in; portable is standard ONNX alone",
    choices: TARGETS,
    default: "portable",
  }),
  out: text({
    flag: "--out",
    group: GRAPH,
    help: "the file to write; one that ends in .safetensors gets the weights alone, as PyTorch's " +
      "state dict",
    default: null,
    defaultText: "<model>-<graph>.onnx",
    placeholder: "file",
  }),
  weights: {
    ...weights,
    help: "weights to put inside: a safetensors file (path or URL) with PyTorch's names, or the " +
      "folder of a run, which also says what network they belong to",
    defaultText: "none, they are inputs; of a network's file: its own",
  },
  ...RUN,
  vocabulary: integer({
    flag: "--vocabulary",
    group: GRAPH,
    help: "different words, for awd-lstm",
    unit: "words",
    from: 1,
    default: null,
    defaultText: "that of the weights; without them 10000, Penn Treebank's",
  }),
  seed: { ...seed, help: "decides the weights in a .safetensors file where no others are given" },
  json: { ...json, help: "print what was written, or the report of --check, as JSON" },
} as const;

interface ExportOptions extends Partial<Options> {
  check?: string;
  graph?: typeof GRAPHS[number];
  target?: typeof TARGETS[number];
  vocabulary?: number;
}

/** Words of Penn Treebank. */
const VOCABULARY = 10_000;

/** `export`: writes a graph of a network as an ONNX file, or examines one. */
export const exportCommand: CommandSpec = {
  name: "export",
  summary: "write a network's graph as an ONNX file, or say what becomes of one in training",
  options: EXPORT_OPTIONS,
  async run(
    { check, graph: kind = "forward", target = "portable", out, vocabulary, ...given }:
      ExportOptions,
  ) {
    const { loss = null, dims = null, json = false } = given;
    if (check !== undefined) return await checkFile(check, { loss, dims, json });
    const run = await networkOfRun(given.weights);
    const options = resolve({ ...run?.options, ...given });
    const weights = options.weights === null
      ? null
      : await readWeights(options.weights, "--weights");
    const data = given.model === undefined ? run?.data ?? null : null;
    const network = await openNetwork(options, vocabulary ?? wordsOf(weights), data);
    const inside = weightsInside(network, weights, options);
    const path = out ?? `${modelName(options.model)}-${kind}.onnx`;
    const written = path.endsWith(".safetensors")
      ? encodeState(network, inside, options)
      : encodeGraph(network, kind, inside, target, options);
    await Deno.writeFile(path, written.bytes).catch((cause) => {
      throw new OptionError(`--out ${path} cannot be written: ${cause.message}`, { cause });
    });
    const { bytes: { length: bytes }, lists } = written;
    console.log(
      json
        ? JSON.stringify({ file: path, bytes, ...lists }, null, 2)
        : describe(path, bytes, lists),
    );
    return 0;
  },
};

/** What is in a file, as lists of names. */
type Lists = Readonly<Record<string, readonly string[]>>;

/** A file about to be written. */
interface Encoded {
  readonly bytes: Uint8Array;
  readonly lists: Lists;
}

/** One line: of each list the first few names, and how many more there are. */
function describe(path: string, bytes: number, lists: Lists): string {
  const texts = Object.entries(lists).filter(([, all]) => all.length > 0).map(([what, all]) => {
    const more = all.length - 3;
    return `${what} ${all.slice(0, 3).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
  });
  return `${path}: ${bytes} bytes; ${texts.join("; ")}`;
}

/** What decides the network of a run, and what the run feeds it; null if the place is no run's folder. */
async function networkOfRun(
  folder: string | null | undefined,
): Promise<{ options: Partial<Options>; data: DataShape } | null> {
  const config = folder && await readConfig(folder).catch(() => null);
  if (!config) return null;
  const names = Object.keys(RUN) as (keyof typeof RUN)[];
  const own = Object.fromEntries(names.map((name) => [name, config.options[name]]));
  const file = { model: join(folder, INPUT_FILE_NAMES.network) as NetworkFile };
  return {
    options: isModelFile(config.options.model) ? { ...own, ...file } : own,
    data: kindOf(config.options.task) === "text" ? windowsOf(0) : IMAGES,
  };
}

/** Options as those of a run that could be. */
function resolve(given: Partial<Options>): Options {
  // No text is read: any folder will do.
  const text = given.model === "awd-lstm" ? { task: "ptb", data: "." } : {};
  return resolveOptions({ ...text, ...given });
}

/** The words that an AWD-LSTM with these weights knows. */
function wordsOf(weights: Weights | null): number {
  const words = weights?.tensors.find(({ name }) => /(^|\.)encoder\.weight$/.test(name));
  return words?.dims[0] ?? VOCABULARY;
}

/** The network that is named; a file's open lengths must all be given, unless it is known what it is fed. */
async function openNetwork(
  options: Options,
  vocabulary: number,
  data: DataShape | null,
): Promise<TrainableModel> {
  const { model } = options;
  if (isModelFile(model)) {
    return onnxFileModel(await readModelFile(model, "--model"), model, options, data, options.bptt);
  }
  return model === "awd-lstm" ? awdLstmModel(awdLstmOf(options, vocabulary)) : findModel(model);
}

/** The weights that belong into the file, by name; null if they are to be inputs. */
function weightsInside(
  network: TrainableModel,
  given: Weights | null,
  { model, weights, seed }: Options,
): Map<string, Float32Array> | null {
  const variables = variablesOf(network);
  if (given) {
    const { ties = {} } = network;
    return matchWeights(variables, given, { what: `--weights ${weights}`, ties });
  }
  if (!isModelFile(model)) return null;
  return new Map(variables.map(({ name, initial }) => [name, initial(seed)]));
}

const variablesOf = (network: TrainableModel) =>
  weightsOf(network.build({ batchSize: 1, length: 1, mode: "eval" }));

function encodeState(
  network: TrainableModel,
  inside: Map<string, Float32Array> | null,
  { seed }: Options,
): Encoded {
  const variables = variablesOf(network);
  const data = variables.map(({ name, initial }) => inside?.get(name) ?? initial(seed));
  const tensors = stateDict(variables, data, network.ties);
  const bytes = encodeSafetensors({ tensors, metadata: { format: "pt", model: network.name } });
  return { bytes, lists: { tensors: tensors.map(({ name }) => name) } };
}

function encodeGraph(
  network: TrainableModel,
  kind: typeof GRAPHS[number],
  inside: Map<string, Float32Array> | null,
  target: typeof TARGETS[number],
  options: Options,
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
  const lists = { inputs, outputs: [...graph.outputs.keys()], weights: Object.keys(own) };
  return { bytes, lists };
}

function build(
  network: TrainableModel,
  kind: typeof GRAPHS[number],
  options: Options,
): TrainingGraph {
  const shape = { batchSize: options.batchSize, length: options.bptt };
  switch (kind) {
    case "forward":
      return forwardGraph(network, shape);
    case "gradients":
      return gradientsGraph(network, shape);
    case "step":
      return stepGraph(network, shape, algorithmOf(options).update);
    case "eval":
      return evalGraph(network, shape);
  }
}
