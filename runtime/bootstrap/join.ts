/**
 * From a rank's place to a transport: rendezvous, table, mesh.
 *
 * @module
 */

import { secretLine } from "./stdin.ts";
import { RendezvousError } from "../base/errors.ts";
import { type Credentials, credentials } from "../security/handshake.ts";
import { isLoopback, listenAt, type TlsMaterial } from "../security/endpoint.ts";
import {
  readRendezvousFile,
  type RendezvousRecord,
  writeRendezvousFile,
} from "../rendezvous/rendezvous_file.ts";
import { buildMesh, openListeners } from "./mesh.ts";
import { MeshTransport } from "../transport/mesh_transport.ts";
import { type ProcessInfo, readTls } from "./environment.ts";
import { RendezvousClient } from "../rendezvous/client.ts";
import { RendezvousServer } from "../rendezvous/server.ts";

/** How long a rank waits before it reads again where rank 0 is, in ms. */
const RETRY_MS = 100;

/** What the ranks have to connect with each other even if the last one joined late, in ms. */
const MESH_MS = 10_000;

/**
 * Connects a rank with the rendezvous and with all other ranks.
 *
 * @throws RendezvousError if the secret is missing, or not all ranks join in time
 * @throws HandshakeError if this rank's secret is not the job's
 */
export async function joinJob(place: ProcessInfo): Promise<MeshTransport> {
  const abandon: (() => void)[] = [];
  try {
    return await join(place, (close) => abandon.push(close));
  } catch (error) {
    for (const close of abandon.reverse()) close();
    throw error;
  }
}

/** As {@linkcode joinJob}; `opened` takes what closes again what has been opened. */
async function join(
  place: ProcessInfo,
  opened: (close: () => void) => void,
): Promise<MeshTransport> {
  const { rank, size, timeoutMs, transport, sockets, link } = place;
  const tls = place.tls === null ? undefined : await readTls(place.tls);
  const deadline = performance.now() + place.joinMs;
  const { control, job, hostname } = place.rendezvousFile !== null && rank !== 0
    ? await followRendezvousFile(place, tls, deadline)
    : await connect(
      place,
      place.launcher === null || rank !== 0
        ? { address: place.rendezvous!, secret: await readSecret(place) }
        : await holdRendezvous(place, tls, deadline, opened),
      tls,
      deadline,
    );
  opened(() => control.close());
  if (place.launcher !== null && !place.near) {
    const variable = place.rendezvous === null ? "CELGC_ADDRESS" : "CELGC_RENDEZVOUS";
    checkReachable(hostname, control.localHostname, variable);
  }
  const doors = openListeners(rank, control.localHostname, transport, sockets, tls);
  opened(() => {
    for (const listener of doors.listeners) close(listener);
  });
  const host = place.host ?? control.localHostname;
  // The rendezvous has been there for some time already, so it is the first to give up.
  const table = await control.join(host, doors.endpoints, performance.now() + place.joinMs);
  const connections = await buildMesh({
    rank,
    job,
    table,
    doors,
    tls,
    deadline: Math.max(deadline, performance.now() + MESH_MS),
  });
  const hosts = table.map(({ host }) => host);
  // Whoever asks for sockets of one kind gets them, and no memory in their place.
  const exclusive = transport !== "auto";
  return new MeshTransport({
    rank,
    size,
    hosts,
    connections,
    control,
    timeoutMs,
    link,
    exclusive,
    launched: place.launcher === null,
  });
}

/**
 * Checks, where ranks may be on several hosts, that a rank is not about to tell the others an address
 * that is theirs. Debian gives a host's own name such an address in /etc/hosts.
 *
 * @param hostname of the rendezvous; a loopback address that somebody wrote there was meant
 * @param localHostname from where this rank has reached it
 * @param variable that can name another address of the rendezvous
 * @throws RendezvousError if others cannot reach this rank there
 */
export function checkReachable(
  hostname: string,
  localHostname: string,
  variable: "CELGC_ADDRESS" | "CELGC_RENDEZVOUS",
): void {
  if (isLoopback(hostname) || !isLoopback(localHostname)) return;
  throw new RendezvousError(
    `${hostname} is ${localHostname} on this host, an address that ranks on other hosts cannot reach: ` +
      `name an address of rank 0's host that they can reach in ${variable}; 127.0.0.1 there says that ` +
      "all ranks run on this host",
  );
}

/** Where the rendezvous is, and the job's secret. */
interface Found {
  readonly address: { readonly hostname: string; readonly port: number };
  readonly secret: Uint8Array;
}

/** At rank 0, without a launcher: begins to serve the rendezvous, and lets the others know where. */
async function holdRendezvous(
  place: ProcessInfo,
  tls: TlsMaterial | undefined,
  deadline: number,
  opened: (close: () => void) => void,
): Promise<Found> {
  const { near, rendezvous, rendezvousFile, size } = place;
  const secret = place.secretFile === null
    ? crypto.getRandomValues(new Uint8Array(32))
    : await readSecret(place);
  const here = near && (rendezvous === null || isLoopback(rendezvous.hostname));
  const hostname = here ? rendezvous?.hostname ?? "127.0.0.1" : "0.0.0.0";
  const listener = listenAt({ kind: "tcp", hostname, port: rendezvous?.port ?? 0 }, tls);
  const { port } = listener.addr as Deno.NetAddr;
  let remove = () => {};
  const server = new RendezvousServer({
    listener,
    job: await credentials(place.job, secret),
    size,
    alone: true,
    deadline,
    events: { complete: () => remove() },
  });
  opened(() => server.close());
  const known = rendezvous?.hostname ?? (near ? hostname : place.address ?? Deno.hostname());
  const address = { hostname: known, port };
  if (rendezvousFile !== null) {
    remove = await writeRendezvousFile(rendezvousFile, { ...address, secret: encodeHex(secret) });
    opened(remove);
  }
  return { address, secret };
}

/**
 * Reads where rank 0 is and goes there, again and again: the file may be one that an earlier job left,
 * until rank 0 of this one takes it away.
 */
async function followRendezvousFile(
  place: ProcessInfo,
  tls: TlsMaterial | undefined,
  deadline: number,
): Promise<Connected> {
  for (;; await new Promise((resolve) => setTimeout(resolve, RETRY_MS))) {
    const note: RendezvousRecord = await readRendezvousFile(place.rendezvousFile!, deadline);
    const found = { address: note, secret: decodeHex(note.secret) };
    try {
      return await connect(place, found, tls, deadline, true);
    } catch (error) {
      if (performance.now() >= deadline) throw error;
    }
  }
}

/** A rank's connection to the rendezvous, and what proved it. */
interface Connected {
  readonly control: RendezvousClient;
  readonly job: Credentials;
  /** Where the rendezvous is. */
  readonly hostname: string;
}

async function connect(
  place: ProcessInfo,
  { address: { hostname, port }, secret }: Found,
  tls: TlsMaterial | undefined,
  deadline: number,
  once = false,
): Promise<Connected> {
  const { rank, size } = place, job = await credentials(place.job, secret);
  const control = await RendezvousClient.connect({
    hostname,
    port,
    job,
    rank,
    size,
    tls,
    deadline,
    once,
  });
  return { control, job, hostname };
}

function close(listener: Deno.Listener): void {
  try {
    listener.close();
  } catch {
    // The mesh has closed it.
  }
}

async function readSecret({ secretFile }: ProcessInfo): Promise<Uint8Array> {
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
