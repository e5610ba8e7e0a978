/**
 * The files that a run carries with it from where its options find them: the network, where it is an ONNX
 * file, and the weights it begins with. The run's folder keeps a copy of each and its SHA-256, so that
 * what is resumed is what was begun.
 *
 * @module
 */

import { join } from "node:path";
import type { Communicator } from "../../runtime/communicator.ts";
import { CheckpointError } from "./checkpoint.ts";
import { generateText } from "../data/text/generated_text.ts";
import { loadTextCorpus } from "../data/text/text_corpus.ts";
import { findModel, weightsOf } from "../networks/graphs.ts";
import { awdLstmModel, awdLstmOf } from "../networks/awd_lstm.ts";
import { IMAGES, onnxFileModel, readModelFile, windowsOf } from "../networks/onnx_model.ts";
import { isModelFile } from "../options/network_names.ts";
import type { Options } from "../options/table.ts";
import { INPUT_FILE_NAMES, type RunConfig } from "./folder.ts";
import { decodeSafetensors, encodeSafetensors } from "../networks/safetensors.ts";
import type { TrainableModel } from "../task.ts";
import { kindOf } from "../options/defaults.ts";
import { matchWeights, readWeights, type Weights } from "../networks/state_dict.ts";

/** What was found at the places that the options name; null where they name none. */
export interface InputFiles {
  /** An ONNX file. */
  readonly network: Uint8Array<ArrayBuffer> | null;
  /** Weights to begin with, as a safetensors file. */
  readonly initial: Uint8Array<ArrayBuffer> | null;
}

const KINDS = ["network", "initial"] as const;

/**
 * Reads what the options name, and checks that it fits the task: before a run has a folder.
 *
 * @throws OptionError when a file is not to be had, or does not fit
 * @throws DataError when a text that decides what fits is not as it should be
 */
export async function gatherFiles(options: Options): Promise<InputFiles> {
  const { model, weights } = options;
  const wanted = { network: isModelFile(model), initial: weights !== null };
  const files = await readFiles(options, wanted), { initial } = files;
  if (!wanted.network && !wanted.initial) return files;
  const network = await networkOf(options, files.network);
  const shape = { batchSize: 1, length: options.bptt, mode: "eval" } as const;
  if (initial) startingFrom(network, decodeInitial(initial), weights!).build(shape);
  return files;
}

/** The network that a run trains, as far as its weights are concerned. */
async function networkOf(options: Options, file: Uint8Array | null): Promise<TrainableModel> {
  const { model, task, bptt } = options;
  if (kindOf(task) === "images") {
    return file ? onnxFileModel(file, model, options, IMAGES) : findModel(model);
  }
  const { vocabulary } = task === "generated-text"
    ? generateText({ train: 2, valid: 2, test: 2 })
    : await loadTextCorpus(options.data!, task);
  return file
    ? onnxFileModel(file, model, options, windowsOf(vocabulary.size), bptt)
    : awdLstmModel(awdLstmOf(options, vocabulary.size));
}

async function readFiles(
  { model, weights }: Options,
  wanted: { network: boolean; initial: boolean },
): Promise<InputFiles> {
  return {
    network: wanted.network ? await readModelFile(model, "--model") : null,
    initial: wanted.initial ? encode(await readWeights(weights!, "--weights")) : null,
  };
}

/** Copies the files into a run's folder. Returns their SHA-256 by name, for its configuration. */
export async function keepFiles(
  directory: string,
  files: InputFiles,
): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const kind of KINDS) {
    const bytes = files[kind], name = INPUT_FILE_NAMES[kind];
    if (!bytes) continue;
    await Deno.writeFile(join(directory, name), bytes);
    hashes[name] = await sha256(bytes);
  }
  return hashes;
}

/** Throws CheckpointError if a file in a run's folder is not the one that the run was started with. */
export async function checkFiles(directory: string, { files = {} }: RunConfig): Promise<void> {
  for (const [name, expected] of Object.entries(files)) {
    const path = join(directory, name);
    const found = await Deno.readFile(path).then(sha256, () => null);
    if (found === expected) continue;
    throw new CheckpointError(
      `cannot go on with the run: ${path} is ${
        found ? "altered" : "missing"
      }; the run was started ` +
        `with the file whose SHA-256 is ${expected}`,
    );
  }
}

/**
 * Which of a run's files is no longer what its options name; null if none is, or if what they name is not
 * to be had any more.
 */
export async function findChange(directory: string, options: Options): Promise<string | null> {
  const wanted = { network: isModelFile(options.model), initial: options.weights !== null };
  if (!wanted.network && !wanted.initial) return null;
  const now = await readFiles(options, wanted).catch(() => null);
  for (const kind of now ? KINDS : []) {
    const bytes = now![kind];
    if (!bytes) continue;
    const then = await Deno.readFile(join(directory, INPUT_FILE_NAMES[kind])).then(
      sha256,
      () => null,
    );
    const flag = kind === "network" ? "--model" : "--weights";
    if (then !== await sha256(bytes)) return `the file that ${flag} names has changed`;
  }
  return null;
}

/**
 * Gives all ranks what rank 0 finds in the run's folder, or, without one, where the options say.
 * Collective.
 *
 * @param from.directory of rank 0; null without one
 * @param from.network whether the network that the options name is needed
 */
export async function shareFiles(
  comm: Communicator,
  options: Options,
  { directory, network }: { readonly directory: string | null; readonly network: boolean },
): Promise<InputFiles> {
  const wanted = {
    network: network && isModelFile(options.model),
    initial: options.weights !== null,
  };
  if (!wanted.network && !wanted.initial) return { network: null, initial: null };
  const own: InputFiles = comm.rank !== 0
    ? { network: null, initial: null }
    : directory === null
    ? await readFiles(options, wanted)
    : {
      network: wanted.network
        ? await Deno.readFile(join(directory, INPUT_FILE_NAMES.network))
        : null,
      initial: wanted.initial
        ? await Deno.readFile(join(directory, INPUT_FILE_NAMES.initial))
        : null,
    };
  const share = async (bytes: Uint8Array<ArrayBuffer> | null) => {
    const length = Int32Array.of(bytes?.length ?? 0);
    await comm.bcast(length, 0);
    const all = bytes ?? new Uint8Array(length[0]);
    await comm.bcast(all, 0);
    return all;
  };
  return {
    network: wanted.network ? await share(own.network) : null,
    initial: wanted.initial ? await share(own.initial) : null,
  };
}

/**
 * The same network with the weights of a file at first, whatever the seed. What it is built from throws
 * OptionError if they do not fit.
 *
 * @param from what the file is called in the message
 */
export function startingFrom(
  network: TrainableModel,
  weights: Weights,
  from: string,
): TrainableModel {
  const { ties = {} } = network;
  const build: TrainableModel["build"] = (options) => {
    const built = network.build(options);
    const found = matchWeights(weightsOf(built), weights, { what: `--weights ${from}`, ties });
    const variables = built.variables.map((variable) => {
      const data = found.get(variable.name);
      return data ? { ...variable, initial: () => data } : variable;
    });
    return { ...built, variables };
  };
  return Object.assign(Object.create(network) as TrainableModel, { build });
}

/** Reads the weights to begin with from their copy. */
export function decodeInitial(bytes: Uint8Array): Weights {
  const { tensors, metadata } = decodeSafetensors(bytes);
  return { tensors, exact: metadata.exact !== "false" };
}

function encode({ tensors, exact }: Weights): Uint8Array<ArrayBuffer> {
  return encodeSafetensors({ tensors, metadata: { exact: String(exact) } });
}

const sha256 = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
