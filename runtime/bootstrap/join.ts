/**
 * From what a rank knows of itself to a transport: rendezvous, table, mesh.
 *
 * @module
 */

import { checkDescriptors, descriptorLimit } from "../base/descriptors.ts";
import { endOrphan, secretLine } from "./launcher_pipe.ts";
import { RendezvousError } from "../base/errors.ts";
import { type Credentials, credentials } from "../security/handshake.ts";
import { isLoopback, listenAtKnown, type TlsMaterial } from "../security/endpoint.ts";
import {
  parseRecord,
  readRendezvousText,
  writeRendezvousFile,
} from "../rendezvous/rendezvous_file.ts";
import { describeLauncher } from "./foreign_launchers.ts";
import { type Dialling, JobDoor, openNewcomerMesh } from "./door.ts";
import { buildMesh, openListeners, type TransportKind } from "./mesh.ts";
import { hostLink } from "../transport/access_link.ts";
import { MeshTransport } from "../transport/mesh_transport.ts";
import { type ProcessInfo, readTls } from "./environment.ts";
import { RendezvousClient } from "../rendezvous/client.ts";
import { BEHIND, registerAt } from "../rendezvous/gateway.ts";
import { RendezvousServer } from "../rendezvous/server.ts";
import { platform } from "../base/platform.ts";

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
export async function joinJob(info: ProcessInfo): Promise<MeshTransport> {
  const { transport } = info, abandon: (() => void)[] = [];
  if (transport === "mpi" && info.onFailure === "return") {
    throw new RendezvousError(
      "the mpi transport goes on without no rank: most libraries end the job with the first that is lost. " +
        'Leave out onFailure: "return", or take another transport',
    );
  }
  const opened = (close: () => void) => void abandon.push(close);
  try {
    return transport === "mpi"
      ? await joinOverMpi(info, opened)
      : await join({ ...info, transport }, opened);
  } catch (error) {
    for (const close of abandon.reverse()) close();
    throw error;
  }
}

/** As {@linkcode joinJob}, with an MPI library for the mesh. */
async function joinOverMpi(
  info: ProcessInfo,
  opened: (close: () => void) => void,
): Promise<MeshTransport> {
  const { joinByMpi } = await import("../mpi/join.ts"); // most ranks need none of it
  const launcher = info.mpiLauncher!, library = info.mpiLibrary;
  if (info.launcher !== null) {
    return joinByMpi({
      ...info,
      launcher,
      library,
      words: describeLauncher(launcher),
      control: null,
    });
  }
  const tls = info.tls === null ? undefined : await readTls(info.tls);
  const deadline = platform.now() + info.joinMs;
  const address = { address: info.rendezvous!, secret: await readSecret(info) };
  const { client } = await connect(info, address, tls, deadline);
  opened(() => client.close());
  // The library waits for all ranks without a limit, and says of none that it is missing.
  await client.join(info.host ?? client.localHostname, []);
  return joinByMpi({
    ...info,
    launcher,
    library,
    words: "celgc's variables",
    control: client,
    onControlLost: endOrphan,
  });
}

/** As {@linkcode joinJob}; `opened` takes what closes again what has been opened. */
async function join(
  info: ProcessInfo & { readonly transport: TransportKind },
  opened: (close: () => void) => void,
): Promise<MeshTransport> {
  const { rank, size, timeoutMs, transport, sockets, link, dialsOut, connections, onFailure } =
    info;
  // A launcher of ours has looked at it; where another has started the rank nobody has.
  if (info.launcher !== null) checkDescriptors(size, descriptorLimit(), `rank ${rank} cannot join`);
  const tls = info.tls === null ? undefined : await readTls(info.tls);
  const deadline = platform.now() + info.joinMs;
  const { client, job, address } = info.rendezvousFile !== null && rank !== 0
    ? await followRendezvousFile(info, tls, deadline)
    : await connect(
      info,
      info.launcher === null || rank !== 0
        ? { address: info.rendezvous!, secret: await readSecret(info) }
        : await serveRendezvous(info, tls, deadline, opened),
      tls,
      deadline,
    );
  opened(() => client.close());
  if (info.launcher !== null && !info.near) {
    const variable = info.rendezvous === null ? "CELGC_ADDRESS" : "CELGC_RENDEZVOUS";
    checkReachable(address.hostname, client.localHostname, variable);
  }
  const addresses = info.addresses ?? [client.localHostname], { gateway } = info;
  if (info.isNewcomer && transport === "unix") {
    throw new RendezvousError(
      `rank ${rank} cannot join: who comes to a running job is reached over TCP, and Unix sockets were asked for`,
    );
  }
  const listeners = openListeners(rank, info.isNewcomer ? "tcp" : transport, sockets, {
    ...gateway === null ? { addresses, port: info.port } : { addresses: [BEHIND], port: 0 },
    tls,
  });
  opened(() => {
    for (const listener of listeners.listeners) close(listener);
  });
  const host = info.host ?? client.localHostname;
  const endpoints = [...listeners.endpoints];
  const own = endpoints.find((endpoint) => endpoint.kind === "tcp");
  if (gateway !== null && own?.kind === "tcp") {
    await registerAt(gateway, { job, rank, own: own.port, deadline });
    const { port } = gateway;
    if (!dialsOut) {
      for (const hostname of addresses) endpoints.push({ kind: "gateway", hostname, port });
    }
  }
  const dialling = { rank, job, rendezvous: address, tls, self: { host, endpoints, dialsOut } };
  if (info.isNewcomer) {
    return await joinRunning(info, client, dialling, listeners.listeners, opened);
  }
  // The rendezvous has been there for some time already, so it is the first to give up.
  const table = await client.join(
    host,
    endpoints,
    platform.now() + info.joinMs,
    { dialsOut, connections, onFailure },
  );
  const hosts = table.map(({ host }) => host);
  const ways = await buildMesh({
    rank,
    job,
    table,
    listeners: listeners.listeners,
    rendezvous: address,
    relays: gateway !== null,
    apart: link !== null && hostLink(link, rank, hosts).isOwn,
    tls,
    deadline: Math.max(deadline, platform.now() + MESH_MS),
    // Whoever looks after the job would blame this rank, which only fails for want of the other.
    onMissing: (lost, { message }) => {
      client.report({ message, operation: "init", step: null, lost }).catch(() => {});
    },
  });
  const mesh = new MeshTransport({
    rank,
    size,
    hosts,
    dialsOut: table.map(({ dialsOut = false }) => dialsOut),
    connections: ways,
    control: client,
    timeoutMs,
    joinMs: info.joinMs + MESH_MS,
    link,
    onFailure,
    // Whoever asks for sockets of one kind gets them, and no memory instead.
    wireOnly: transport !== "auto",
    // Our launcher's end is that of its ranks; a rendezvous in another rank may end before this one.
    onControlLost: info.launcher === null ? endOrphan : undefined,
  });
  if (onFailure === "return") mesh.door = new JobDoor(dialling, client, mesh);
  return mesh;
}

/** Comes to a job that runs already, waits to be let in, and connects with its ranks. */
async function joinRunning(
  { timeoutMs, link, transport }: ProcessInfo,
  client: RendezvousClient,
  dialling: Dialling,
  listeners: readonly Deno.Listener[],
  opened: (close: () => void) => void,
): Promise<MeshTransport> {
  const mesh = openNewcomerMesh(dialling, listeners);
  opened(() => mesh[Symbol.dispose]());
  const { rank, self } = dialling;
  const invited = await client.knock({ ...self, onFailure: "return" });
  mesh.dial(invited);
  const { context, members } = await client.welcomed();
  if (!members.includes(rank)) {
    throw new RendezvousError(`rank ${rank} cannot join: not all ranks could reach it`);
  }
  client.readAhead();
  const connections = await mesh.complete(members, client), { hosts } = invited;
  const joined = new MeshTransport({
    rank,
    size: hosts.length,
    hosts,
    connections,
    control: client,
    timeoutMs,
    link,
    onFailure: "return",
    wireOnly: transport !== "auto",
    membership: { context, members },
    onControlLost: endOrphan,
  });
  joined.door = new JobDoor(dialling, client, joined);
  return joined;
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
interface RendezvousAddress {
  readonly address: { readonly hostname: string; readonly port: number };
  readonly secret: Uint8Array;
}

/** At rank 0, without our launcher: begins to serve the rendezvous, and lets the others know where. */
async function serveRendezvous(
  info: ProcessInfo,
  tls: TlsMaterial | undefined,
  deadline: number,
  opened: (close: () => void) => void,
): Promise<RendezvousAddress> {
  const { near, rendezvous, rendezvousFile, size } = info;
  const secret = info.secretFile === null
    ? platform.getRandomValues(new Uint8Array(32))
    : await readSecret(info);
  const hostname = rendezvous?.hostname ?? (near ? "127.0.0.1" : info.address ?? nameForOthers());
  const listener = listenAtKnown(hostname, rendezvous?.port ?? 0, tls);
  const { port } = listener.addr as Deno.NetAddr;
  let remove = () => {};
  const server = new RendezvousServer({
    listener,
    job: await credentials(info.job, secret),
    size,
    alone: true,
    onFailure: info.onFailure,
    deadline,
    events: { complete: () => remove() },
  });
  opened(() => server.close());
  const address = { hostname, port };
  if (rendezvousFile !== null) {
    remove = await writeRendezvousFile(rendezvousFile, { ...address, secret: secret.toHex() });
    opened(remove);
  }
  return { address, secret };
}

/**
 * This host's name, by which others reach it. Where the name is a loopback address, as Debian writes it to
 * /etc/hosts, the one address that the host has besides; of several, its user must say which.
 */
function nameForOthers(): string {
  const name = Deno.hostname();
  try {
    using probe = platform.listen({ hostname: name, port: 0 });
    if (!isLoopback((probe.addr as Deno.NetAddr).hostname)) return name;
  } catch {
    return name; // Whoever listens there says why it cannot.
  }
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "networkInterfaces" });
  if (state !== "granted") return name;
  const others = Deno.networkInterfaces().filter(({ family, address }) =>
    family === "IPv4" && !isLoopback(address)
  );
  return others.length === 1 ? others[0].address : name;
}

/**
 * Reads where rank 0 is and goes there, again and again: the file may be one that an earlier job left, torn
 * perhaps, until rank 0 of this one takes it away.
 */
async function followRendezvousFile(
  info: ProcessInfo,
  tls: TlsMaterial | undefined,
  deadline: number,
): Promise<RendezvousConnection> {
  for (;; await new Promise((resolve) => platform.setTimeout(resolve, RETRY_MS))) {
    const path = info.rendezvousFile!, text = await readRendezvousText(path, deadline);
    try {
      const record = parseRecord(path, text);
      const found = { address: record, secret: Uint8Array.fromHex(record.secret) };
      return await connect(info, found, tls, deadline, true);
    } catch (error) {
      if (platform.now() >= deadline) throw error;
    }
  }
}

/** A rank's connection to the rendezvous, and what proved it. */
interface RendezvousConnection {
  readonly client: RendezvousClient;
  readonly job: Credentials;
  /** Where the rendezvous is. */
  readonly address: RendezvousAddress["address"];
}

async function connect(
  info: ProcessInfo,
  { address, secret }: RendezvousAddress,
  tls: TlsMaterial | undefined,
  deadline: number,
  once = false,
): Promise<RendezvousConnection> {
  const { rank, size } = info, job = await credentials(info.job, secret);
  const client = await RendezvousClient.connect({
    ...address,
    job,
    rank,
    size,
    tls,
    deadline,
    once,
  });
  return { client, job, address };
}

function close(listener: Deno.Listener): void {
  try {
    listener.close();
  } catch {
    // The mesh has closed it.
  }
}

/** @throws RendezvousError if it cannot be read, or is no secret */
export async function readSecret({ secretFile }: ProcessInfo): Promise<Uint8Array> {
  const from = secretFile ?? "the launcher's pipe";
  let text;
  if (secretFile === null) {
    // Waiting for the line does not by itself keep the process alive.
    const hold = platform.setInterval(() => {}, 60_000);
    text = await secretLine();
    platform.clearInterval(hold);
  } else {
    const { mode } = await platform.stat(secretFile);
    if (mode !== null && (mode & 0o077) !== 0) {
      throw new RendezvousError(
        `${secretFile} holds the job's secret and can be read by others: its mode must be 0600, ` +
          `not 0${(mode & 0o777).toString(8)}`,
      );
    }
    text = (await platform.readTextFile(secretFile)).trim();
  }
  // The text itself is not shown: it may be the secret with a slip in it.
  if (!/^[0-9a-fA-F]{64}$/.test(text)) {
    throw new RendezvousError(
      `the job's secret is one line of 64 hexadecimal digits; ${from} gave ${text.length} characters`,
    );
  }
  return Uint8Array.fromHex(text);
}
