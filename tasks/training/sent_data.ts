/**
 * A data set on its way from rank 0 to hosts that have none.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { formatBytes } from "../../deps.ts";
import type { Communicator } from "../../runtime/communicator.ts";
import { DataError } from "../data/data_error.ts";
import { localFiles } from "../problems/data_files.ts";
import type { Options } from "../options/values.ts";
import {
  gatherTexts,
  receiveBytes,
  receiveWhole,
  sendBytes,
  sendFile,
} from "../run/byte_stream.ts";

/**
 * Sends the files of rank 0's data set to the first rank of each host that receives them, one after the
 * other. Collective; the files are there when it returns.
 *
 * @param receives whether this rank's host does, into the folder that its options name
 * @throws DataError when a file has arrived otherwise than it was sent
 */
export async function sendData(
  comm: Communicator,
  { task, data }: Options,
  receives: boolean,
): Promise<void> {
  const { rank, network: { hosts } } = comm;
  const folders = (await gatherTexts(comm, receives ? data! : "")).map((folder, at) =>
    folder === "" ? "" : `${hosts[at]} ${folder}`
  );
  const receivers = [...folders.keys()].filter((at) =>
    folders[at] !== "" && folders.indexOf(folders[at]) === at
  );
  if (receivers.length === 0) return;
  if (rank === 0) {
    const files = await localFiles({ task, data: data! });
    for (const receiver of receivers) {
      let bytes = 0;
      await comm.send(Int32Array.of(files.length), receiver);
      for (const { name, path } of files) {
        const head = JSON.stringify({ name, sha256: await hashFile(path) });
        await sendBytes(comm, new TextEncoder().encode(head), receiver);
        bytes += await sendFile(comm, path, receiver);
      }
      console.error(`sent ${formatBytes(bytes)} of data to ${hosts[receiver]}`);
    }
  } else if (receivers.includes(rank)) {
    const count = new Int32Array(1);
    await comm.recv(count, 0);
    for (let i = 0; i < count[0]; i++) await receiveFile(comm, data!);
  }
  await comm.barrier();
}

/** SHA-256 of a file in hexadecimal. */
async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  for await (const piece of file.readable) hash.update(piece);
  return hash.digest("hex");
}

async function receiveFile(comm: Communicator, folder: string): Promise<void> {
  const { name, sha256 } = JSON.parse(new TextDecoder().decode(await receiveWhole(comm, 0)));
  if (name.split(/[\\/]/).some((part: string) => ["", ".", ".."].includes(part))) {
    throw new DataError(
      `rank 0 sends a file called "${name}", which would not lie in the data's folder`,
    );
  }
  const path = join(folder, name), hash = createHash("sha256");
  await Deno.mkdir(dirname(path), { recursive: true });
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  for await (const piece of receiveBytes(comm, 0)) {
    hash.update(piece);
    for (let left = piece; left.length > 0;) left = left.subarray(await file.write(left));
  }
  if (hash.digest("hex") === sha256) return;
  throw new DataError(`${path} has arrived otherwise than rank 0 has sent it`, { path });
}
