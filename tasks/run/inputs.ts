/**
 * The files that a run takes with it from where its options find them: the model, where it is an ONNX
 * file, the weights it begins with, and the tokenizer of a text of the user's own. The run's folder keeps a copy of each and its SHA-256, so that
 * what is resumed is what was begun.
 *
 * @module
 */

import { join } from "node:path";
import type { Communicator } from "../../runtime/communicator.ts";
import { parseTokenizer } from "../data/tokenizers/spec.ts";
import { encodeInitial } from "../networks/initial_weights.ts";
import { readModelFile } from "../networks/onnx_model.ts";
import { isModelFile } from "../options/network_names.ts";
import type { Options } from "../options/table.ts";
import { broadcastBytes } from "./byte_stream.ts";
import { CheckpointError } from "./checkpoint.ts";
import { INPUT_FILE_NAMES, type RunConfig } from "./folder.ts";
import { readWeights } from "./weights_source.ts";
import { makeTokenizer } from "./tokenizer_file.ts";
import { writing } from "./write_error.ts";
import { platform } from "../../runtime/base/platform.ts";

/** The files that the options name; null where they name none. */
export interface InputFiles {
  /** An ONNX file. */
  readonly model: Uint8Array<ArrayBuffer> | null;
  /** Weights to begin with, as a safetensors file. */
  readonly initial: Uint8Array<ArrayBuffer> | null;
  /** A tokenizer, as a Hugging Face `tokenizer.json`; it may be made from the text. */
  readonly tokenizer: Uint8Array<ArrayBuffer> | null;
}

const KINDS = ["model", "initial", "tokenizer"] as const satisfies readonly (keyof InputFiles)[];

const FLAGS = { model: "--model", initial: "--weights", tokenizer: "--tokenizer" } as const;

/** Which of them there are. */
type Wanted = Readonly<Record<keyof InputFiles, boolean>>;

const wantedBy = ({ model, weights, task }: Options): Wanted => ({
  model: isModelFile(model),
  initial: weights !== null,
  tokenizer: task === "text",
});

/** Which of them are read from where the options say, not made. */
const readBy = (options: Options): Wanted => ({
  ...wantedBy(options),
  tokenizer: options.task === "text" && parseTokenizer(options.tokenizer).kind === "file",
});

/**
 * Reads what the options name.
 *
 * @throws OptionError when a file is not to be had
 */
export async function readInputs(
  options: Options,
  wanted = wantedBy(options),
): Promise<InputFiles> {
  const { model, weights } = options;
  return {
    model: wanted.model ? await readModelFile(model, "--model") : null,
    initial: wanted.initial ? encodeInitial(await readWeights(weights!, "--weights")) : null,
    tokenizer: wanted.tokenizer ? await makeTokenizer(options) : null,
  };
}

/** Copies the files into a run's folder. Returns their SHA-256 by name, for its configuration. */
export async function keepInputs(
  directory: string,
  files: InputFiles,
): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const kind of KINDS) {
    const bytes = files[kind], name = INPUT_FILE_NAMES[kind];
    if (!bytes) continue;
    const path = join(directory, name);
    await writing(path, () => platform.writeFile(path, bytes));
    hashes[name] = await sha256(bytes);
  }
  return hashes;
}

/** Throws CheckpointError if a file in a run's folder is not the one that the run was started with. */
export async function verifyInputs(directory: string, { files = {} }: RunConfig): Promise<void> {
  for (const [name, expected] of Object.entries(files)) {
    const path = join(directory, name);
    const actual = await platform.readFile(path).then(sha256, () => null);
    if (actual === expected) continue;
    throw new CheckpointError(
      `cannot go on with the run: ${path} is ${
        actual ? "altered" : "missing"
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
  const wanted = readBy(options);
  if (!KINDS.some((kind) => wanted[kind])) return null;
  const current = await readInputs(options, wanted).catch(() => null);
  for (const kind of current ? KINDS : []) {
    const bytes = current![kind];
    if (!bytes) continue;
    const kept = await platform.readFile(join(directory, INPUT_FILE_NAMES[kind])).then(
      sha256,
      () => null,
    );
    if (kept !== await sha256(bytes)) return `the file that ${FLAGS[kind]} names has changed`;
  }
  return null;
}

/** Where a rank finds the files. */
interface InputPlace {
  /** The run's folder; null without one, empty on a host that does not see it. */
  readonly directory: string | null;
  /** Whether the model that the options name is needed. */
  readonly model: boolean;
}

/** The files, as one rank finds them by itself in the run's folder, or, without one, where the options say. */
export async function ownInputs(
  options: Options,
  { directory, model }: InputPlace,
): Promise<InputFiles> {
  const wanted = { ...wantedBy(options), ...model ? {} : { model } };
  if (directory === null) return await readInputs(options, wanted);
  const missing = directory === "" ? KINDS.filter((kind) => wanted[kind]) : [];
  if (missing.length === 0) return await readKept(directory, wanted);
  throw new CheckpointError(
    `cannot come to a run that goes on: the files of ${
      missing.map((kind) => FLAGS[kind]).join(" and ")
    } are in its folder, which this host does not see`,
  );
}

/**
 * Gives all ranks what rank 0 finds in the run's folder, or, without one, where the options say.
 * Collective.
 *
 * @param place of rank 0
 */
export async function shareInputs(
  comm: Communicator,
  options: Options,
  place: InputPlace,
): Promise<InputFiles> {
  const wanted = { ...wantedBy(options), ...place.model ? {} : { model: false } };
  const files: InputFiles = comm.rank === 0
    ? await ownInputs(options, place)
    : { model: null, initial: null, tokenizer: null };
  return {
    model: wanted.model ? await broadcastBytes(comm, files.model) : null,
    initial: wanted.initial ? await broadcastBytes(comm, files.initial) : null,
    tokenizer: wanted.tokenizer ? await broadcastBytes(comm, files.tokenizer) : null,
  };
}

/** The files that a run has taken with it, from its folder. */
export function readKeptInputs(directory: string, options: Options): Promise<InputFiles> {
  return readKept(directory, wantedBy(options));
}

/** Reads the copies in a run's folder. */
async function readKept(directory: string, wanted: Wanted): Promise<InputFiles> {
  const read = (kind: keyof InputFiles) =>
    platform.readFile(join(directory, INPUT_FILE_NAMES[kind]));
  return {
    model: wanted.model ? await read("model") : null,
    initial: wanted.initial ? await read("initial") : null,
    tokenizer: wanted.tokenizer ? await read("tokenizer") : null,
  };
}

const sha256 = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> =>
  new Uint8Array(await platform.subtle.digest("SHA-256", bytes)).toHex();
