/**
 * The folder of a run: where it is, and what `config.json` in it says.
 *
 * @module
 */

import { dirname, join, resolve } from "node:path";
import { systemReason } from "../../runtime/base/system_error.ts";
import { ONNXRUNTIME_VERSION } from "../../deps.ts";
import { platform } from "../../runtime/base/platform.ts";
import type { Worlds } from "../data/sampling/worlds.ts";
import { LOCK_FILE, readConfigFile } from "../logs/config.ts";
import type { RunHost } from "../logs/records.ts";
import { LogError } from "../logs/log_error.ts";
import { OptionError } from "../options/kinds.ts";
import { modelName } from "../options/network_names.ts";
import type { Options } from "../options/table.ts";
import { sourceCommit } from "./source_commit.ts";
import type { ImageInput } from "../task.ts";
import { TRACE_FILE } from "../trace/chrome_trace.ts";
import { SPANS_FILE } from "../trace/spans.ts";
import { VERSION } from "./version.ts";
import { makeFolder, replaceFile, syncFolder } from "./write_error.ts";

/** Names of a run's files inside its folder. */
export const FILES = {
  config: "config.json",
  metrics: "metrics.jsonl",
  model: "model.onnx",
  weights: "model.safetensors",
  /** The weights that did best on the validation set, where a run has `--patience`. */
  best: "best.safetensors",
  vocabulary: "vocabulary.txt",
  /** Where a run has `--trace`. */
  trace: TRACE_FILE,
  /** What a trace is made of beside the log. */
  spans: SPANS_FILE,
  arrays: "arrays.json",
  /** There while a process of `launch` writes to the folder. */
  lock: LOCK_FILE,
  /** There while the run is asked to end early. */
  stop: ".stop",
} as const;

/** Names of the files that a run has taken with it, if it has. */
export const INPUT_FILE_NAMES = {
  /** The model, where it came from a file. */
  model: "network.onnx",
  /** The weights it began with, where they came from a file. */
  initial: "initial.safetensors",
  /** The tokenizer of a text of the user's own. */
  tokenizer: "tokenizer.json",
} as const;

/** What was found out when the run began, on the ranks. */
export interface RunFacts {
  /** Where the graph runs: engine, version, hardware. */
  readonly device: string;
  /** Steps each rank will take. */
  readonly steps: number;
  /** May be a fraction. */
  readonly stepsPerEpoch: number;
  /** Size of the training set. */
  readonly trainSamples: number;
  /** Size of the test set. */
  readonly testSamples: number;
  /** Trainable floats of the model. */
  readonly parameters: number;
  /** SHA-256 of the weights that all ranks start from, little-endian float32, in hexadecimal. */
  readonly initialWeights: string;
  /** Of images: what the network is fed, and what its scores are of. */
  readonly images?: ImageInput;
  /** The hosts that the ranks are on; absent if that is one. */
  readonly hosts?: readonly RunHost[];
}

/** The content of `config.json`. */
export interface RunConfig {
  /** Tells the run from all others; absent in folders of earlier versions. */
  readonly id?: string;
  /** Every option as resolved. */
  readonly options: Options;
  /** Decides everything drawn; the same as in the options. */
  readonly seed: number;
  /** Of this project, of Deno, of V8 and of onnxruntime. */
  readonly versions: Readonly<Record<string, string>>;
  /** The commit of this project, where it ran from a checkout; files may have been changed since. */
  readonly commit?: string;
  /** When the run was started, ISO 8601. */
  readonly started: string;
  /** The file that is there while a process writes to the folder; absent where none is kept. */
  readonly lock?: string;
  /** How many ranks it has had since which step; absent if there were always as many as the options say. */
  readonly worlds?: Worlds;
  /** The worlds of the run that this one repeats, with `--replay`; absent if it repeats none. */
  readonly replay?: Worlds;
  /** The steps to which it went back because it diverged, each time with half the learning rate; absent if never. */
  readonly rollbacks?: readonly number[];
  /** The steps from which it started again because it had lost ranks; absent if it never did. */
  readonly restarts?: readonly number[];
  /** SHA-256 of the files that the run has taken with it, by name; absent if there are none. */
  readonly files?: Readonly<Record<string, string>>;
  /** Absent until the ranks have found it out. */
  readonly plan?: RunFacts;
  /** What the caller gave instead of what the options name: by name, but for a task. */
  readonly own?: {
    readonly model?: string;
    readonly task?: true;
    readonly optimizer?: string;
    readonly algorithm?: string;
  };
}

/** What of a run's configuration all ranks need, though only rank 0's host need have its folder. */
export type SharedConfig = Pick<
  RunConfig,
  "id" | "options" | "worlds" | "replay" | "rollbacks" | "restarts"
>;

/** Takes it out of a configuration. */
export function sharedOf(
  { id, options, worlds, replay, rollbacks, restarts }: SharedConfig,
): SharedConfig {
  const given = { id, options, worlds, replay, rollbacks, restarts };
  return JSON.parse(JSON.stringify(given));
}

/** The same for a command line, which others on its host may see: without what the user's variables are. */
export function spokenOf(config: SharedConfig): SharedConfig {
  return sharedOf({ ...config, options: { ...config.options, env: {} } });
}

/** A run's configuration, before its ranks have started. */
export function newConfig(options: Options, started: Date = new Date()): RunConfig {
  const { deno, v8 } = Deno.version, commit = sourceCommit();
  return {
    id: crypto.randomUUID(),
    options,
    seed: options.seed,
    versions: { celgc: VERSION, deno, v8, onnxruntime: ONNXRUNTIME_VERSION },
    ...(commit === null ? {} : { commit }),
    started: started.toISOString(),
  };
}

/** Writes `config.json`, whole or not at all. Throws WriteError. */
export async function writeConfig(directory: string, config: RunConfig): Promise<void> {
  await replaceFile(join(directory, FILES.config), JSON.stringify(config, null, 2) + "\n");
}

/** The worlds that a run has had. */
export function worldsOf({ worlds, options }: Pick<RunConfig, "worlds" | "options">): Worlds {
  return worlds ?? [{ step: 0, ranks: options.ranks }];
}

/** A configuration that names the worlds of the run where they were several. */
export function withWorlds({ worlds: _, ...config }: RunConfig, worlds: Worlds): RunConfig {
  const same = worlds.length === 1 && worlds[0].ranks === config.options.ranks;
  return same ? config : { ...config, worlds };
}

/** Notes in `config.json` who the ranks of a run have been. */
export async function noteWorlds(directory: string, worlds: Worlds): Promise<void> {
  await writeConfig(directory, { ...await readConfig(directory), worlds });
}

/**
 * Reads a run's `config.json`.
 *
 * @throws Deno.errors.NotFound if there is none
 * @throws LogError if it is no JSON object, or holds no options
 */
export async function readConfig(directory: string): Promise<RunConfig> {
  const path = join(directory, FILES.config);
  const config = await readConfigFile(directory);
  if (config === null) throw new Deno.errors.NotFound(`there is no ${path}`);
  if (typeof config.options !== "object" || config.options === null) {
    throw new LogError(`cannot read ${path}: it must hold the run's "options" and does not`);
  }
  return config as unknown as RunConfig;
}

/**
 * Makes sure that a folder, if it is there, holds no run, which another would overwrite.
 *
 * @param out as it was given
 * @throws OptionError if it holds one
 */
export async function checkHoldsNoRun(out: string): Promise<void> {
  for (const file of [FILES.config, FILES.metrics]) {
    if (!await exists(join(resolve(out), file))) continue;
    throw new OptionError(
      `--out ${out} holds a run already (${file} is there): name another folder, or remove this one`,
    );
  }
}

/**
 * Makes the folder of a run: the one that was asked for, or `runs/<time>-<name>`.
 *
 * @returns its absolute path
 * @throws OptionError if it holds a run already, which would be lost, or cannot be made
 */
export async function makeRunDirectory(options: Options, now: Date = new Date()): Promise<string> {
  if (options.out !== null) {
    const directory = resolve(options.out);
    await makeFolderOf(directory, `--out ${options.out}`);
    await checkHoldsNoRun(options.out);
    return directory;
  }
  const time = now.toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-");
  const model = modelName(options.model);
  const name = options.preset ?? `${options.task}-${model}-${options.algorithm}`;
  const base = resolve("runs", `${time}-${name}`);
  await makeFolderOf(resolve("runs"), "the folder runs here");
  for (let copy = 1;; copy++) {
    const directory = copy === 1 ? base : `${base}-${copy}`;
    try {
      await platform.mkdir(directory);
      await syncFolder(dirname(directory));
      return directory;
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
}

async function makeFolderOf(path: string, name: string): Promise<void> {
  try {
    await makeFolder(path);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new OptionError(`${name} cannot be made: ${systemReason(error)}`, { cause: error });
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await platform.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
