/**
 * Bytes of any length from one rank to others, in pieces, so that neither a message nor a receiver's memory
 * grows with a model.
 *
 * @module
 */

import type { Communicator } from "../../runtime/communicator.ts";
import { platform } from "../../runtime/base/platform.ts";

/** Bytes of a piece. */
const PIECE_BYTES = 4 * 2 ** 20;

/** Tells these messages from all others between two ranks of a run. */
const TAG = 0x5354;

/** Sends bytes to a rank that calls {@linkcode receiveBytes}. */
export async function sendBytes(
  comm: Communicator,
  bytes: Uint8Array,
  dest: number,
): Promise<void> {
  await comm.send(Float64Array.of(bytes.length), dest, TAG);
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    await comm.send(bytes.subarray(at, at + PIECE_BYTES), dest, TAG);
  }
}

/** Sends the bytes of a file likewise, which are not in memory as a whole. */
export async function sendFile(comm: Communicator, path: string, dest: number): Promise<number> {
  using file = await platform.open(path);
  const { size } = await file.stat(), piece = new Uint8Array(Math.min(PIECE_BYTES, size));
  await comm.send(Float64Array.of(size), dest, TAG);
  for (let left = size; left > 0; left -= piece.length) {
    const part = piece.subarray(0, Math.min(left, piece.length));
    for (let at = 0; at < part.length;) {
      const read = await file.read(part.subarray(at));
      if (read === null) throw new Error(`${path} has become shorter while it is sent`);
      at += read;
    }
    await comm.send(part, dest, TAG);
  }
  return size;
}

/**
 * Receives what a rank sends with {@linkcode sendBytes}.
 *
 * @returns pieces, each good until the next is asked for
 */
export async function* receiveBytes(
  comm: Communicator,
  source: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const length = new Float64Array(1);
  await comm.recv(length, source, TAG);
  const piece = new Uint8Array(Math.min(PIECE_BYTES, length[0]));
  for (let left = length[0]; left > 0; left -= piece.length) {
    const part = piece.subarray(0, Math.min(left, piece.length));
    await comm.recv(part, source, TAG);
    yield part;
  }
}

/** The same, as a whole. */
export async function receiveWhole(
  comm: Communicator,
  source: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for await (const piece of receiveBytes(comm, source)) pieces.push(piece.slice());
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

/**
 * Gives all ranks the bytes of one. Collective.
 *
 * @param bytes of the root; not looked at on others
 */
export async function broadcastBytes(
  comm: Communicator,
  bytes: Uint8Array<ArrayBuffer> | null,
  root = 0,
): Promise<Uint8Array<ArrayBuffer>> {
  const isRoot = comm.rank === root;
  const length = Float64Array.of(isRoot ? bytes!.length : 0);
  await comm.bcast(length, root);
  const all = isRoot ? bytes! : new Uint8Array(length[0]);
  for (let at = 0; at < all.length; at += PIECE_BYTES) {
    await comm.bcast(all.subarray(at, at + PIECE_BYTES), root);
  }
  return all;
}

/** Gives all ranks a text of one. Collective. */
export async function broadcastText(
  comm: Communicator,
  text: string | null,
  root = 0,
): Promise<string> {
  const bytes = text === null ? null : new TextEncoder().encode(text);
  return new TextDecoder().decode(await broadcastBytes(comm, bytes, root));
}

/** Gives all ranks the texts of all, by rank. Collective. */
export async function gatherTexts(comm: Communicator, text: string): Promise<string[]> {
  const bytes = new TextEncoder().encode(text), lengths = new Int32Array(comm.size);
  await comm.allgather(Int32Array.of(bytes.length), lengths);
  const all = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  await comm.allgatherv(bytes, all, [...lengths]);
  let at = 0;
  return Array.from(
    lengths,
    (length) => new TextDecoder().decode(all.subarray(at, at += length)),
  );
}
