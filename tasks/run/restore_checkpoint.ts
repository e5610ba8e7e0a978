/**
 * Going on from a checkpoint on ranks that may be on other hosts than those that wrote it, or more or fewer
 * than they were. A rank that sees its file reads it; to the others it is sent by one that does.
 *
 * @module
 */

import { join } from "node:path";
import type { Communicator } from "../../runtime/communicator.ts";
import { decodeSafetensors, encodeSafetensors } from "../networks/safetensors.ts";
import { broadcastBytes, broadcastText, receiveWhole, sendBytes } from "./byte_stream.ts";
import {
  CheckpointError,
  decodePart,
  type Manifest,
  type PartFile,
  readManifest,
  readPart,
  type StateDict,
  type Stateful,
  stepFolder,
} from "./checkpoint.ts";
import { MergedStates, shareOf } from "./merged_states.ts";
import { type CheckpointFolders, folderOf } from "./write_checkpoint.ts";
import { platform } from "../../runtime/base/platform.ts";

/** What a checkpoint must be. */
export interface RestoreOptions {
  /** The run, see `RunConfig.id`. @default {any} */
  readonly run?: string | undefined;
  /** How many ranks have written it. @default {as many as there are} */
  readonly ranks?: number | undefined;
}

/**
 * Lets the run go on from a checkpoint: each rank from its own part, or, if other ranks were than there are,
 * all from what {@linkcode MergedStates} makes of the parts. Collective.
 *
 * @returns whether there were as many ranks
 * @throws CheckpointError when the checkpoint is torn, altered, another run's, or of another number of ranks
 */
export async function restoreCheckpoint(
  comm: Communicator,
  folders: CheckpointFolders,
  step: number,
  parts: readonly Stateful[],
  { run, ranks = comm.size }: RestoreOptions = {},
): Promise<boolean> {
  const { directory } = folders, folder = folderOf(comm, folders);
  const list = comm.rank === 0
    ? JSON.stringify(await readManifest(directory, step, { run, ranks }))
    : null;
  const manifest: Manifest = JSON.parse(await broadcastText(comm, list));
  const holders = await findHolders(comm, folder, step, manifest);
  const reading: Reading = {
    comm,
    folder: folder ?? directory,
    step,
    files: manifest.files,
    holders,
  };
  const same = ranks === comm.size;
  const state = same ? await readOwn(reading) : await readMerged(reading);
  for (const each of parts) await each.restore(state);
  return same;
}

/** What is read, and by whom. */
interface Reading {
  readonly comm: Communicator;
  readonly folder: string;
  readonly step: number;
  readonly files: readonly PartFile[];
  /** By part: the rank that reads it. */
  readonly holders: readonly number[];
}

/**
 * Who reads which part: the rank that goes on from it, if it can, else the first that can. Collective.
 *
 * @throws CheckpointError on all ranks if no rank sees a part
 */
async function findHolders(
  comm: Communicator,
  folder: string | null,
  step: number,
  { files }: Manifest,
): Promise<number[]> {
  const mine = new Uint8Array(files.length), all = new Uint8Array(files.length * comm.size);
  for (const [part, { name }] of files.entries()) {
    if (folder === null) break;
    const found = await platform.stat(join(stepFolder(folder, step), name)).catch(() => null);
    mine[part] = found?.isFile ? 1 : 0;
  }
  await comm.allgather(mine, all);
  return files.map(({ name, host }, part) => {
    const sees = (rank: number) => all[rank * files.length + part] === 1;
    if (part < comm.size && sees(part)) return part;
    for (let rank = 0; rank < comm.size; rank++) if (sees(rank)) return rank;
    throw new CheckpointError(
      `cannot go on from step ${step}: no rank finds ${name}` +
        (host === undefined ? "" : `, which ${host} has kept: run ranks there, in the same folder`),
    );
  });
}

/** The state of this rank, which may be on another host than before. Collective. */
async function readOwn({ comm, folder, step, files, holders }: Reading): Promise<StateDict> {
  let state: StateDict | null = null;
  // In one order on all ranks, so that two that send to each other do not wait for each other.
  for (const [part, file] of files.entries()) {
    const holder = holders[part];
    if (comm.rank !== holder && comm.rank !== part) continue;
    const bytes = comm.rank === holder
      ? await readPart(folder, step, file)
      : await receiveWhole(comm, holder);
    if (comm.rank === part) state = decodePart(bytes, folder, step, file);
    else await sendBytes(comm, bytes, part);
  }
  return state!;
}

/** What all parts come to. Collective. */
async function readMerged({ comm, folder, step, files, holders }: Reading): Promise<StateDict> {
  const merged = comm.rank === 0 ? new MergedStates() : null;
  for (const [part, file] of files.entries()) {
    const holder = holders[part];
    if (comm.rank !== holder && !merged) continue;
    const bytes = comm.rank === holder
      ? await readPart(folder, step, file)
      : await receiveWhole(comm, holder);
    if (merged) merged.add(decodePart(bytes, folder, step, file));
    else await sendBytes(comm, bytes, 0);
  }
  const made = merged?.result() ?? null;
  const file = made && encodeSafetensors({ tensors: made.tensors, metadata: {} });
  const { tensors } = decodeSafetensors(await broadcastBytes(comm, file));
  const numbers: StateDict["numbers"] = JSON.parse(
    await broadcastText(comm, made && JSON.stringify(made.numbers)),
  );
  return { tensors, numbers: shareOf(numbers, comm.rank, comm.size) };
}
