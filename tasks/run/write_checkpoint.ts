/**
 * Writing a checkpoint on ranks that may be on several hosts: those beside rank 0 write their files to the
 * run's folder, the others send theirs to rank 0, one after the other and in pieces, or keep them.
 *
 * @module
 */

import { dirname, join } from "node:path";
import { createHash } from "node:crypto";
import type { Communicator } from "../../runtime/communicator.ts";
import { encodeSafetensors } from "../networks/safetensors.ts";
import { gatherTexts, receiveBytes, sendBytes } from "./byte_stream.ts";
import {
  bestCheckpoint,
  checkpointSteps,
  MANIFEST,
  type Manifest,
  type PartFile,
  rankFile,
  type StateDict,
  type Stateful,
  stepFolder,
} from "./checkpoint.ts";
import { syncFolder, writeSynced } from "./write_error.ts";
import { platform } from "../../runtime/base/platform.ts";

/** Newest checkpoints kept if nobody says how many: the last, and the one before should that be damaged. */
const KEPT = 2;

/** What is said of a checkpoint beside what it holds. */
export interface CheckpointNotes {
  /** The run whose it is, see `RunConfig.id`. @default {any} */
  readonly run?: string | undefined;
  /** How many of the newest are kept, this one included, beside that with the lowest loss. @default {2} */
  readonly keep?: number | undefined;
  /** See `Manifest.loss`. @default {it is not known} */
  readonly loss?: number | null | undefined;
  /** The run's log, on rank 0: it is on the disk as far as the checkpoint before that is complete. @default {none} */
  readonly log?: { sync(): Promise<void> } | null | undefined;
}

/** Where the files of checkpoints are. */
export interface CheckpointFolders {
  /** The run's folder; only ranks of rank 0's host look into it. Empty on a rank that does not see it. */
  readonly directory: string;
  /**
   * Where a rank of another host keeps its files; the same for all ranks of that host, and either all hosts
   * but rank 0's have one or none.
   *
   * @default {nowhere: they go to rank 0}
   */
  readonly local?: string | null | undefined;
}

/** What a rank has written. */
interface Written {
  readonly sha256: string;
  /** Null: it is sent. */
  readonly folder: string | null;
  /** Whether that is the run's. */
  readonly here: boolean;
}

/** The folder that this rank writes to and reads from; null if it has none. */
export function folderOf(
  { network: { hosts }, rank }: Communicator,
  { directory, local = null }: CheckpointFolders,
): string | null {
  return hosts[rank] === hosts[0] && directory !== "" ? directory : local;
}

/**
 * Writes a checkpoint, with a file for each rank. Collective.
 *
 * @param step steps done
 * @param bytes what this rank saves, {@linkcode encode}d
 */
export async function writeCheckpoint(
  comm: Communicator,
  folders: CheckpointFolders,
  step: number,
  bytes: Uint8Array<ArrayBuffer>,
  { run, keep = KEPT, loss = null, log = null }: CheckpointNotes = {},
): Promise<void> {
  const { rank, size, network: { hosts } } = comm, folder = folderOf(comm, folders);
  const sha256 = new Uint8Array(await platform.subtle.digest("SHA-256", bytes)).toHex();
  const mine: Written = { sha256, folder, here: folder === folders.directory };
  const all = (await gatherTexts(comm, JSON.stringify(mine))).map((text): Written =>
    JSON.parse(text)
  );
  if (folder !== null) {
    const part = `${stepFolder(folder, step)}.part`;
    await platform.mkdir(part, { recursive: true });
    await writeSynced(join(part, rankFile(rank)), [bytes]);
  } else {
    await sendBytes(comm, bytes, 0);
  }
  if (rank === 0) {
    const part = `${stepFolder(folders.directory, step)}.part`, files: PartFile[] = [];
    await platform.mkdir(part, { recursive: true });
    for (const [from, { sha256, folder, here }] of all.entries()) {
      const name = rankFile(from);
      if (folder === null) await receiveInto(join(part, name), comm, from, sha256);
      files.push({ name, sha256, ...folder === null || here ? {} : { host: hosts[from] } });
    }
    const owner = run === undefined ? {} : { run };
    const scored = loss === null ? {} : { loss };
    const manifest: Manifest = { ...owner, step, ranks: size, ...scored, files };
    const text = JSON.stringify(manifest, null, 2) + "\n";
    await writeSynced(join(part, MANIFEST), [new TextEncoder().encode(text)]);
    await log?.sync();
  }
  // What other hosts keep has its name before the list that names it.
  await comm.barrier();
  const leads = all.findIndex((each, other) =>
    each.folder === folder && hosts[other] === hosts[rank]
  );
  if (leads === rank && rank !== 0 && folder !== null) await commit(folder, step);
  await comm.barrier();
  if (rank === 0) await commit(folders.directory, step);
  // All hosts keep the same, also where one of them has what the others have set aside.
  const kept = Float64Array.of(-1, -1);
  if (rank === 0) {
    const newest = (await checkpointSteps(folders.directory)).filter((each) => each <= step);
    kept.set([newest.slice(-keep)[0], await bestCheckpoint(folders.directory) ?? -1]);
  }
  await comm.bcast(kept, 0);
  if (leads === rank && folder !== null) await forget(folder, kept[0], kept[1]);
  await comm.barrier();
}

/** A rank's file of a checkpoint: a copy of what its parts are now. */
export async function encode(parts: readonly Stateful[]): Promise<Uint8Array<ArrayBuffer>> {
  const states: StateDict[] = [];
  for (const each of parts) states.push(await each.save());
  const numbers = Object.assign({}, ...states.map((state) => state.numbers));
  return encodeSafetensors({
    tensors: states.flatMap(({ tensors }) => tensors),
    metadata: { numbers: JSON.stringify(numbers) },
  });
}

/** Gives what is written its name. */
async function commit(directory: string, step: number): Promise<void> {
  const final = stepFolder(directory, step);
  await syncFolder(`${final}.part`);
  await removeIfThere(final);
  await platform.rename(`${final}.part`, final);
  // Its name is on the disk before anything older is removed, and so is that of the folder of checkpoints.
  await syncFolder(dirname(final));
  await syncFolder(directory);
}

/** Removes what is older than the oldest that is kept, but for the best. */
async function forget(directory: string, oldest: number, best: number): Promise<void> {
  const old = (await checkpointSteps(directory)).filter((each) => each < oldest);
  for (const each of old) if (each !== best) await removeIfThere(stepFolder(directory, each));
}

/** Writes the file that a rank sends. */
async function receiveInto(
  path: string,
  comm: Communicator,
  source: number,
  sha256: string,
): Promise<void> {
  const hash = createHash("sha256");
  await writeSynced(path, pieces());
  const actual = hash.digest("hex");
  if (actual === sha256) return;
  throw new Error(
    `cannot write the checkpoint: the file of rank ${source} on ${
      comm.network.hosts[source]
    } arrived with the ` +
      `SHA-256 ${actual}, not ${sha256}`,
  );

  async function* pieces() {
    for await (const piece of receiveBytes(comm, source)) {
      hash.update(piece);
      yield piece;
    }
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await platform.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
