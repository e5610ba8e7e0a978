/**
 * From what a rank knows of itself to a transport: rendezvous, table, mesh.
 *
 * @module
 */

import { checkDescriptors, descriptorLimit } from "../base/descriptors.ts";
import { RendezvousError } from "../base/errors.ts";
import { platform } from "../base/platform.ts";
import type { RendezvousClient } from "../rendezvous/client.ts";
import { BEHIND, registerAt } from "../rendezvous/gateway.ts";
import { hostLink } from "../transport/access_link.ts";
import { MeshTransport } from "../transport/mesh_transport.ts";
import { type Dialling, JobDoor, NewcomerMesh } from "./door.ts";
import type { ProcessInfo } from "./environment.ts";
import {
  type Attempt,
  beginAttempt,
  findRendezvous,
  type RendezvousConnection,
} from "./find_rendezvous.ts";
import { describeLauncher } from "./foreign_launchers.ts";
import { endOrphan } from "./launcher_pipe.ts";
import { buildMesh, openListeners, type TransportKind } from "./mesh.ts";

/** What the ranks have to connect with each other even if the last one joined late, in ms. */
const MESH_MS = 10_000;

/**
 * Connects a rank with the rendezvous and with all other ranks.
 *
 * @throws RendezvousError if the secret is missing, or not all ranks join in time
 * @throws HandshakeError if this rank's secret is not the job's
 */
export async function joinJob(info: ProcessInfo): Promise<MeshTransport> {
  const { transport } = info;
  if (transport === "mpi" && info.onFailure === "return") {
    throw new RendezvousError(
      "the mpi transport goes on without no rank: most libraries end the job with the first that is lost. " +
        'Leave out onFailure: "return", or take another transport',
    );
  }
  using opened = new DisposableStack();
  const joined = transport === "mpi"
    ? await joinOverMpi(info, opened)
    : await join(info, transport, opened);
  opened.move(); // to the transport, which lives longer
  return joined;
}

/** As {@linkcode joinJob}, with an MPI library for the mesh. */
async function joinOverMpi(info: ProcessInfo, opened: DisposableStack): Promise<MeshTransport> {
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
  const { client } = await findRendezvous(await beginAttempt(info, opened));
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

/** As {@linkcode joinJob}, with connections of our own. */
async function join(
  info: ProcessInfo,
  transport: TransportKind,
  opened: DisposableStack,
): Promise<MeshTransport> {
  const { rank, size } = info;
  // A launcher of ours has looked at it; where another has started the rank nobody has.
  if (info.launcher !== null) checkDescriptors(size, descriptorLimit(), `rank ${rank} cannot join`);
  const attempt = await beginAttempt(info, opened);
  const rendezvous = await findRendezvous(attempt);
  const place = await listen(attempt, rendezvous, transport);
  return info.isNewcomer
    ? await joinRunning(attempt, rendezvous.client, place)
    : await joinBeginning(attempt, rendezvous.client, place);
}

/** Where a rank listens, and what it dials others with. */
interface Place {
  readonly listeners: readonly Deno.Listener[];
  readonly dialling: Dialling;
}

/** Begins to listen to the other ranks, behind this host's gateway if it has one. */
async function listen(
  { info, tls, deadline, opened }: Attempt,
  { client, job, address: rendezvous }: RendezvousConnection,
  transport: TransportKind,
): Promise<Place> {
  const { rank, isNewcomer, gateway, dialsOut } = info;
  const host = info.host ?? client.localHostname;
  const addresses = info.addresses ?? [client.localHostname];
  if (isNewcomer && transport === "unix") {
    throw new RendezvousError(
      `rank ${rank} cannot join: who comes to a running job is reached over TCP, and Unix sockets were asked for`,
    );
  }
  const { listeners, endpoints: own } = openListeners(
    rank,
    isNewcomer ? "tcp" : transport,
    info.sockets,
    {
      ...gateway === null ? { addresses, port: info.port } : { addresses: [BEHIND], port: 0 },
      tls,
    },
  );
  opened.defer(() => {
    for (const listener of listeners) close(listener);
  });
  const endpoints = [...own], tcp = own.find((endpoint) => endpoint.kind === "tcp");
  if (gateway !== null && tcp?.kind === "tcp") {
    await registerAt(gateway, { job, rank, own: tcp.port, deadline });
    const { port } = gateway;
    if (!dialsOut) {
      for (const hostname of addresses) endpoints.push({ kind: "gateway", hostname, port });
    }
  }
  return {
    listeners,
    dialling: { rank, job, rendezvous, tls, self: { host, endpoints, dialsOut } },
  };
}

/** Waits for all ranks of a job that begins, and connects with them. */
async function joinBeginning(
  { info, deadline }: Attempt,
  client: RendezvousClient,
  { listeners, dialling }: Place,
): Promise<MeshTransport> {
  const { rank, job, rendezvous, tls, self: { host, endpoints, dialsOut } } = dialling;
  const { size, timeoutMs, joinMs, transport, gateway, link, connections, onFailure } = info;
  // The rendezvous has been there for some time already, so it is the first to give up.
  const table = await client.join(
    host,
    endpoints,
    platform.now() + joinMs,
    { dialsOut, connections, onFailure },
  );
  const hosts = table.map(({ host }) => host);
  const ways = await buildMesh({
    rank,
    job,
    table,
    listeners,
    rendezvous,
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
    joinMs: joinMs + MESH_MS,
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
  { info: { timeoutMs, link, transport }, opened }: Attempt,
  client: RendezvousClient,
  { listeners, dialling }: Place,
): Promise<MeshTransport> {
  const mesh = opened.use(new NewcomerMesh(dialling, listeners));
  const { rank, self } = dialling;
  const invited = await client.knock({ ...self, onFailure: "return" });
  mesh.dial(invited);
  const { context, members } = await client.welcomed(invited);
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

function close(listener: Deno.Listener): void {
  try {
    listener.close();
  } catch {
    // The mesh has closed it.
  }
}
