/**
 * Checkpoints: everything a run needs to go on as if it had never stopped. One folder holds one step,
 * with a file of tensors for each rank and `checkpoint.json`, which lists them with their hashes. A
 * folder has its name only when all of it is on the disk. With `--checkpoint-local` the files of ranks on
 * other hosts stay there, in folders of the same form without a list, and the list names their hosts.
 *
 * @module
 */

import { join } from "node:path";
import { decodeSafetensors, type NamedTensor, SafetensorsError } from "../networks/safetensors.ts";
import { platform } from "../../runtime/base/platform.ts";
import { counted } from "../../runtime/base/words.ts";

/** What a part of a run saves: tensors, and numbers by name. */
export interface StateDict {
  /** Names are unique over all parts. */
  readonly tensors: readonly NamedTensor[];
  readonly numbers: Readonly<Record<string, number>>;
}

/** A part of a run that goes on from what it has saved. */
export interface Stateful {
  /** What this rank goes on from; the arrays are the caller's. */
  save(): Promise<StateDict>;
  /** Goes on from there. Throws CheckpointError when something is missing or does not fit. */
  restore(state: StateDict): Promise<void>;
}

/** A checkpoint that cannot be gone on from; the message names the file and the way out. */
export class CheckpointError extends Error {
  /** The name of the class. */
  override readonly name = "CheckpointError";
  /** What is wrong, without the way out. */
  readonly fault: string;

  /** Says what is wrong, and what can be done about it. */
  constructor(fault: string, wayOut?: string) {
    super(wayOut === undefined ? fault : `${fault}; ${wayOut}`);
    this.fault = fault;
  }
}

/** The name of a checkpoint's list in its folder. */
export const MANIFEST = "checkpoint.json";

/** What the name of a variable's slot adds to its own, such as `.momentum`. */
const SLOT = /\.[a-z_]+$/;

/** The content of `checkpoint.json`. */
export interface Manifest {
  /** The run that wrote it, see `RunConfig.id`; absent in those of runs without one. */
  readonly run?: string;
  /** Steps done. */
  readonly step: number;
  readonly ranks: number;
  /** What the last evaluation before it came to, on the split that is watched; absent before the first. */
  readonly loss?: number;
  /** By rank. */
  readonly files: readonly PartFile[];
}

/** One rank's file in a checkpoint. */
export interface PartFile {
  readonly name: string;
  /** In hexadecimal digits. */
  readonly sha256: string;
  /** The host that has kept it; absent where it is in the run's folder. */
  readonly host?: string;
}

/** Whose checkpoints they are. */
export interface CheckpointOwner {
  /** The run, see `RunConfig.id`; absent where it has none, or any will do. */
  readonly run?: string | undefined;
  /** N; absent where any will do. */
  readonly ranks?: number;
}

/** The name of the folder of checkpoints in a run's. */
export const CHECKPOINT_FOLDER = "checkpoint";

/** The folder of a run's checkpoints. */
const folderOf = (directory: string) => join(directory, CHECKPOINT_FOLDER);

/** The folder of one of them. */
export const stepFolder = (directory: string, step: number) =>
  join(folderOf(directory), `step-${step}`);

/** The steps of a run's checkpoints, in increasing order. */
export async function checkpointSteps(directory: string): Promise<number[]> {
  const steps: number[] = [];
  try {
    for await (const { name } of platform.readDir(folderOf(directory))) {
      const match = /^step-(\d+)$/.exec(name);
      if (match) steps.push(Number(match[1]));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return steps.sort((a, b) => a - b);
}

/**
 * The average over the ranks of the variables in a checkpoint, by name. What a rank keeps for a variable,
 * such as its momentum, is left out, and what not every rank has.
 *
 * @throws CheckpointError when the checkpoint is torn or altered
 */
export async function readAverage(directory: string, step: number): Promise<NamedTensor[]> {
  const { files } = await readManifest(directory, step);
  const means = new Map<string, { dims: readonly number[]; sums: Float64Array; ranks: number }>();
  // One rank after the other: they may be many, and each file is larger than the model.
  for (const file of files) {
    const { tensors } = decodePart(await readPart(directory, step, file), directory, step, file);
    const names = new Set(tensors.map(({ name }) => name));
    const isSlot = (name: string) => SLOT.test(name) && names.has(name.replace(SLOT, ""));
    for (const { name, dims, data } of tensors) {
      if (isSlot(name)) continue;
      const mean = means.get(name) ?? { dims, sums: new Float64Array(data.length), ranks: 0 };
      if (`${mean.dims}` !== `${dims}`) continue;
      means.set(name, mean);
      mean.ranks++;
      data.forEach((value, at) => mean.sums[at] += value);
    }
  }
  return [...means].filter(([, { ranks }]) => ranks === files.length).map((
    [name, { dims, sums, ranks }],
  ) => ({ name, dims, data: Float32Array.from(sums, (sum) => sum / ranks) }));
}

/**
 * Reads a rank's file and compares its hash.
 *
 * @param directory the run's folder, or the one in which a host keeps its ranks' files
 * @throws CheckpointError when it is missing, torn or altered
 */
export async function readPart(
  directory: string,
  step: number,
  { name, sha256, host }: PartFile,
): Promise<Uint8Array<ArrayBuffer>> {
  const folder = stepFolder(directory, step), path = join(folder, name);
  const bytes = await readOr(path, host);
  const actual = new Uint8Array(await platform.subtle.digest("SHA-256", bytes)).toHex();
  if (actual === sha256) return bytes;
  throw new CheckpointError(
    `cannot go on from ${path}: its SHA-256 is ${actual}, ${MANIFEST} says ${sha256}, so it is ` +
      `torn or altered`,
    wayOut(folder),
  );
}

/**
 * What a rank has saved, from its file's bytes.
 *
 * @throws CheckpointError when they are no such file
 */
export function decodePart(
  bytes: Uint8Array<ArrayBuffer>,
  directory: string,
  step: number,
  { name }: PartFile,
): StateDict {
  const folder = stepFolder(directory, step), path = join(folder, name);
  try {
    const { tensors, metadata } = decodeSafetensors(bytes);
    const numbers: unknown = JSON.parse(metadata.numbers);
    if (isRecord(numbers)) return { tensors, numbers: numbers as Record<string, number> };
  } catch (error) {
    if (error instanceof SafetensorsError) {
      throw new CheckpointError(`cannot go on from ${path}: ${error.message}`, wayOut(folder));
    }
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new CheckpointError(
    `cannot go on from ${folder}: its files hold no numbers of a run`,
    wayOut(folder),
  );
}

/**
 * Reads and checks a checkpoint's list.
 *
 * @param owner whose it must be
 * @throws CheckpointError when it is missing, damaged, of another step than its folder says, or another's
 */
export async function readManifest(
  directory: string,
  step: number,
  owner: CheckpointOwner = {},
): Promise<Manifest> {
  const folder = stepFolder(directory, step), path = join(folder, MANIFEST);
  const text = new TextDecoder().decode(await readOr(path));
  const refuse = (fault: string): never => {
    throw new CheckpointError(`cannot go on from ${path}: ${fault}`, wayOut(folder));
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse("it is no JSON");
  }
  if (!isManifest(value)) return refuse("it is no list of a checkpoint's files");
  if (value.step !== step) return refuse(`it was written at step ${value.step}, not ${step}`);
  if (owner.run !== undefined && value.run !== undefined && value.run !== owner.run) {
    return refuse("another run has written it");
  }
  if (owner.ranks !== undefined && value.ranks !== owner.ranks) {
    return refuse(
      `it was written by ${counted(value.ranks, "rank")}, and these are ${owner.ranks}`,
    );
  }
  return value;
}

function isManifest(value: unknown): value is Manifest {
  if (!isRecord(value) || !Array.isArray(value.files)) return false;
  return Number.isSafeInteger(value.step) && value.ranks === value.files.length &&
    (value.run === undefined || typeof value.run === "string") &&
    (value.loss === undefined || typeof value.loss === "number") &&
    value.files.every((file: unknown, rank) =>
      isRecord(file) && file.name === rankFile(rank) && typeof file.sha256 === "string" &&
      (file.host === undefined || typeof file.host === "string")
    );
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Of a run's checkpoints, the step of that with the lowest loss, and of several the first; null if none has one. */
export async function bestCheckpoint(directory: string): Promise<number | null> {
  let best: { readonly step: number; readonly loss: number } | null = null;
  for (const step of await checkpointSteps(directory)) {
    const { loss } = await readManifest(directory, step).catch((error): { loss?: number } => {
      if (error instanceof CheckpointError) return {};
      throw error;
    });
    if (loss !== undefined && (best === null || loss < best.loss)) best = { step, loss };
  }
  return best?.step ?? null;
}

/**
 * The step of the newest checkpoint that is whole; null where there is none at all.
 *
 * @param passedOver is told of those that are not
 * @throws CheckpointError when none is whole: that of the newest
 */
export async function findCheckpoint(
  directory: string,
  owner: CheckpointOwner,
  passedOver: (error: CheckpointError) => void,
): Promise<number | null> {
  const errors: CheckpointError[] = [];
  for (const step of (await checkpointSteps(directory)).reverse()) {
    try {
      const { files } = await readManifest(directory, step, owner);
      // What other hosts have kept is for their ranks to look at.
      for (const file of files) if (file.host === undefined) await readPart(directory, step, file);
      errors.forEach(passedOver);
      return step;
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      errors.push(error);
    }
  }
  if (errors.length === 0) return null;
  throw new CheckpointError(
    errors[0].fault,
    `no other checkpoint in ${directory} is whole: begin the run anew`,
  );
}

/** A tensor that a part has saved. Throws CheckpointError when it is missing or of another length. */
export function loadTensor({ tensors }: StateDict, name: string, length: number): Float32Array {
  const tensor = tensors.find((each) => each.name === name);
  if (tensor?.data.length === length) return tensor.data;
  throw new CheckpointError(
    `cannot go on from the checkpoint: ${name} has ${tensor?.data.length ?? "no"} floats there ` +
      `and ${length} here; the run's options are not those it was written with`,
  );
}

/** A number that a part has saved. Throws CheckpointError when it is missing. */
export function loadNumber({ numbers }: StateDict, name: string): number {
  if (typeof numbers[name] === "number") return numbers[name];
  throw new CheckpointError(`cannot go on from the checkpoint: it does not hold ${name}`);
}

/** The name of a rank's file. */
export const rankFile = (rank: number) => `rank-${rank}.safetensors`;

const wayOut = (folder: string) => `remove ${folder} to go on from the checkpoint before it`;

async function readOr(path: string, host?: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await platform.readFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const where = host === undefined ? "" : `; ${host} has kept it`;
    throw new CheckpointError(`cannot go on from the checkpoint: ${path} is missing${where}`);
  }
}
