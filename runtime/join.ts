/**
 * From a rank's place to a transport: rendezvous, table, mesh.
 *
 * @module
 */

import { secretLine } from "./_stdin.ts";
import { RendezvousError } from "./errors.ts";
import { credentials } from "./handshake.ts";
import { listenAt, type TlsMaterial } from "./endpoint.ts";
import { readMeeting, writeMeeting } from "./meeting_file.ts";
import { buildMesh, openDoors } from "./mesh.ts";
import { MeshTransport } from "./mesh_transport.ts";
import { type Place, readTls } from "./place.ts";
import { Control } from "./control.ts";
import { Rendezvous } from "./rendezvous.ts";

/** What the ranks have to connect with each other even if the last one joined late, in ms. */
const MESH_MS = 10_000;

/**
 * Connects a rank with the rendezvous and with all other ranks.
 *
 * @throws RendezvousError if the secret is missing, or not all ranks join in time
 * @throws HandshakeError if this rank's secret is not the job's
 */
export async function joinJob(place: Place): Promise<MeshTransport> {
  const { rank, size, timeoutMs, medium, sockets, link } = place;
  const tls = place.tls === null ? undefined : await readTls(place.tls);
  const deadline = performance.now() + place.joinMs;
  const { address, secret } = place.starter === null || place.rendezvous !== null && rank !== 0
    ? { address: place.rendezvous!, secret: await readSecret(place) }
    : rank === 0
    ? await holdRendezvous(place, tls, deadline)
    : await findRendezvous(place, deadline);
  const job = await credentials(place.job, secret);
  const control = await Control.connect({ ...address, job, rank, size, tls, deadline });
  const doors = openDoors(rank, control.localHostname, medium, sockets, tls);
  const host = place.host ?? control.localHostname;
  // The rendezvous has been there for some time already, so it is the first to give up.
  const table = await control.join(host, doors.endpoints, performance.now() + place.joinMs)
    .catch((error) => {
      for (const listener of doors.listeners) listener.close();
      throw error;
    });
  const connections = await buildMesh({
    rank,
    job,
    table,
    doors,
    tls,
    deadline: Math.max(deadline, performance.now() + MESH_MS),
  }).catch((error) => {
    control.close();
    throw error;
  });
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
    launched: place.starter === null,
  });
}

/** Where the rendezvous is, and the job's secret. */
interface Found {
  readonly address: { readonly hostname: string; readonly port: number };
  readonly secret: Uint8Array;
}

/** At rank 0, without a launcher: begins to serve the rendezvous, and lets the others know where. */
async function holdRendezvous(
  place: Place,
  tls: TlsMaterial | undefined,
  deadline: number,
): Promise<Found> {
  const { near, rendezvous, meeting, size } = place;
  const secret = place.secretFile === null
    ? crypto.getRandomValues(new Uint8Array(32))
    : await readSecret(place);
  const hostname = near ? "127.0.0.1" : "0.0.0.0";
  const listener = listenAt({ kind: "tcp", hostname, port: rendezvous?.port ?? 0 }, tls);
  const { port } = listener.addr as Deno.NetAddr;
  new Rendezvous({
    listener,
    job: await credentials(place.job, secret),
    size,
    alone: true,
    deadline,
    events: { complete: () => meeting !== null && Deno.remove(meeting).catch(() => {}) },
  });
  const address = { hostname: rendezvous?.hostname ?? (near ? hostname : Deno.hostname()), port };
  if (meeting !== null) await writeMeeting(meeting, { ...address, secret: encodeHex(secret) });
  return { address, secret };
}

async function findRendezvous({ meeting }: Place, deadline: number): Promise<Found> {
  const { secret, ...address } = await readMeeting(meeting!, deadline);
  return { address, secret: decodeHex(secret) };
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
  return decodeHex(text);
}

function encodeHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function decodeHex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g)!, (digits) => parseInt(digits, 16));
}
