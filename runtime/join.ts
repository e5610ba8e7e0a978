/**
 * From a rank's place to a transport: rendezvous, table, mesh.
 *
 * @module
 */

import { secretLine } from "./_stdin.ts";
import { RendezvousError } from "./errors.ts";
import { credentials } from "./handshake.ts";
import { buildMesh, openDoors } from "./mesh.ts";
import { MeshTransport } from "./mesh_transport.ts";
import { type Place, readTls } from "./place.ts";
import { Control } from "./control.ts";

/**
 * Connects a rank with the rendezvous and with all other ranks.
 *
 * @throws RendezvousError if the secret is missing, or not all ranks join in time
 * @throws HandshakeError if this rank's secret is not the job's
 */
export async function joinJob(place: Place): Promise<MeshTransport> {
  const { rank, size, timeoutMs, medium, sockets, link } = place;
  const job = await credentials(place.job, await readSecret(place));
  const tls = place.tls === null ? undefined : await readTls(place.tls);
  const deadline = performance.now() + place.joinMs;
  const control = await Control.connect({ ...place.rendezvous, job, rank, size, tls, deadline });
  const doors = openDoors(rank, control.localHostname, medium, sockets, tls);
  const table = await control.join(place.host ?? control.localHostname, doors.endpoints);
  const connections = await buildMesh({ rank, job, table, doors, tls, deadline });
  const hosts = table.map(({ host }) => host);
  // Whoever asks for sockets of one kind gets them, and no memory in their place.
  const exclusive = medium !== "auto";
  return new MeshTransport({
    rank,
    size,
    hosts,
    connections,
    control,
    timeoutMs,
    link,
    exclusive,
  });
}

async function readSecret({ secretFile }: Place): Promise<Uint8Array> {
  const from = secretFile ?? "standard input";
  let text;
  if (secretFile === null) {
    // Waiting for the line does not by itself keep the process alive.
    const hold = setInterval(() => {}, 60_000);
    text = await secretLine();
    clearInterval(hold);
  } else {
    const { mode } = await Deno.stat(secretFile);
    if (mode !== null && (mode & 0o077) !== 0) {
      throw new RendezvousError(
        `${secretFile} holds the job's secret and can be read by others: its mode must be 0600, ` +
          `not 0${(mode & 0o777).toString(8)}`,
      );
    }
    text = (await Deno.readTextFile(secretFile)).trim();
  }
  // The text itself is not shown: it may be the secret with a slip in it.
  if (!/^[0-9a-fA-F]{64}$/.test(text)) {
    throw new RendezvousError(
      `the job's secret is one line of 64 hexadecimal digits; ${from} gave ${text.length} characters`,
    );
  }
  return Uint8Array.from(text.match(/../g)!, (digits) => parseInt(digits, 16));
}
