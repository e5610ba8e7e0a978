/**
 * Builds the mesh: every rank listens, and dials every rank below its own, but for those whom nobody can
 * reach, which dial all others.
 *
 * @module
 */

import { dialMember } from "../security/dialer.ts";
import {
  describeSystemError,
  type Endpoint,
  fitsSocket,
  listenAt,
  listenAtAll,
  LONGEST_SOCKET_PATH,
  type TlsMaterial,
  withScope,
} from "../security/endpoint.ts";
import { RendezvousError } from "../base/errors.ts";
import { AuthenticatingListener } from "../security/authenticating_listener.ts";
import type { Credentials } from "../security/handshake.ts";
import type { TableEntry } from "../rendezvous/messages.ts";

/** What the ranks talk over. */
export type TransportKind = "auto" | "tcp" | "unix";

/** A rank's listeners. */
export interface Listeners {
  readonly listeners: readonly Deno.Listener[];
  /** Where they are, in order of preference. */
  readonly endpoints: readonly Endpoint[];
}

/**
 * Opens a rank's listeners: TCP on a port, and a Unix socket where there is a directory for it.
 *
 * @param sockets directory for Unix sockets, private to the job's user; null for none
 * @param tcp addresses at which others can reach this host, the port (0 for any), and what TLS needs
 */
export function openListeners(
  rank: number,
  transport: TransportKind,
  sockets: string | null,
  tcp: { readonly addresses: readonly string[]; readonly port: number; readonly tls?: TlsMaterial },
): Listeners {
  const listeners: Deno.Listener[] = [], endpoints: Endpoint[] = [];
  const path = sockets === null ? null : socketPath(sockets, rank);
  if (transport !== "tcp" && path !== null && fitsSocket(path)) {
    listeners.push(listenAt({ kind: "unix", path }));
    endpoints.push({ kind: "unix", path });
  } else if (transport === "unix") {
    throw new RendezvousError(
      path === null
        ? "Unix sockets were asked for, but the launcher made no directory for them"
        : `Unix sockets were asked for, but the path ${path} is longer than ${LONGEST_SOCKET_PATH} bytes`,
    );
  }
  if (transport !== "unix") {
    const listener = listenAtAll(tcp.addresses, tcp.port, tcp.tls);
    const { port } = listener.addr as Deno.NetAddr;
    listeners.push(listener);
    for (const hostname of tcp.addresses) endpoints.push({ kind: "tcp", hostname, port });
  }
  return { listeners, endpoints };
}

/** Where a rank's Unix socket is. */
export function socketPath(directory: string, rank: number): string {
  return `${directory}/${rank}`;
}

/** What {@linkcode buildMesh} needs. */
export interface MeshBuildOptions {
  readonly rank: number;
  readonly job: Credentials;
  /** All ranks. */
  readonly table: readonly TableEntry[];
  /** This rank's listeners; closed when the mesh is complete, or has failed. */
  readonly listeners: Listeners;
  /** Where this rank has reached the rendezvous: an address of a host that is the best from here. */
  readonly hostname?: string;
  readonly tls?: TlsMaterial;
  /** When to give up, on the clock of `performance.now()`. */
  readonly deadline: number;
}

/**
 * Connects this rank with all others; each connection has passed the handshake.
 *
 * @returns a connection a rank, undefined for this one
 * @throws HandshakeError if a rank refuses this one; RendezvousError if the deadline has passed
 */
export async function buildMesh(options: MeshBuildOptions): Promise<(Deno.Conn | undefined)[]> {
  const { rank, job, table, listeners, tls, deadline } = options;
  const connections: (Deno.Conn | undefined)[] = new Array(table.length).fill(undefined);
  const others = [...table.keys()].filter((peer) => peer !== rank);
  const dialled = others.filter((peer) => dials(rank, peer, table));
  const awaited = others.filter((peer) => !dialled.includes(peer));
  let missing = awaited.length;
  const all = Promise.withResolvers<void>();
  if (missing === 0) all.resolve();
  const accepting = listeners.listeners.map((listener) =>
    new AuthenticatingListener({
      listener,
      job,
      purpose: "mesh",
      self: rank,
      isExpected: (peer) => awaited.includes(peer) && connections[peer] === undefined,
      onAccepted(peer, connection) {
        if (connections[peer] !== undefined) return connection.close();
        connections[peer] = connection;
        if (--missing === 0) all.resolve();
      },
    })
  );
  const timer = setTimeout(() => {
    const absent = awaited.filter((peer) => connections[peer] === undefined);
    const who = `${absent.length === 1 ? "rank" : "ranks"} ${absent.join(", ")}`;
    const cause = accepting.map(({ lastError }) => lastError).find((error) => error !== null);
    const why = cause === undefined ? "" : `: ${describeSystemError(cause)}`;
    all.reject(new RendezvousError(`rank ${rank} waited in vain for ${who}${why}`, { cause }));
  }, Math.max(1, deadline - performance.now()));
  const dialling = dialled.map(async (peer) => {
    const entry = table[peer];
    connections[peer] = await dialMember({
      endpoints: reachable(entry, table[rank], options.hostname),
      job,
      purpose: "mesh",
      self: rank,
      peer,
      name: `rank ${peer} on ${entry.host}`,
      tls,
      deadline,
    });
  });
  try {
    await Promise.all([all.promise, ...dialling]);
    return connections;
  } catch (error) {
    for (const connection of connections) connection?.close();
    throw error;
  } finally {
    clearTimeout(timer);
    for (const listener of accepting) listener.close();
  }
}

/**
 * Whether one rank dials another: the higher one does, unless only one of the two can be reached.
 *
 * @throws RendezvousError if neither can
 */
function dials(rank: number, peer: number, table: readonly TableEntry[]): boolean {
  const [self, other] = [table[rank], table[peer]];
  const [selfOut, otherOut] = [self.dialsOut === true, other.dialsOut === true];
  if (self.host === other.host || (!selfOut && !otherOut)) return rank > peer;
  if (selfOut && otherOut) {
    throw new RendezvousError(
      `rank ${rank} on ${self.host} and rank ${peer} on ${other.host} have no way to each other: both ` +
        "hosts can only dial out; let others in at one of them, at the port that --port names and those " +
        "that follow",
    );
  }
  return selfOut;
}

/** The endpoints of a rank that can work from here: Unix sockets reach no further than the host. */
function reachable(peer: TableEntry, self: TableEntry, best: string | undefined): Endpoint[] {
  const near = peer.host === self.host && self.endpoints.some(({ kind }) => kind === "unix");
  const own = self.endpoints.find(({ kind }) => kind === "tcp");
  const endpoints = peer.endpoints.filter(({ kind }) => kind === "tcp" || near).map((endpoint) =>
    endpoint.kind === "tcp" && own?.kind === "tcp"
      ? { ...endpoint, hostname: withScope(endpoint.hostname, own.hostname) }
      : endpoint
  );
  const isBest = (endpoint: Endpoint) => endpoint.kind === "unix" || endpoint.hostname === best;
  const chosen = endpoints.some((endpoint) => endpoint.kind === "tcp" && isBest(endpoint))
    ? endpoints.filter(isBest)
    : endpoints;
  if (chosen.length > 0) return chosen;
  throw new RendezvousError(
    `a rank on ${self.host} has no way to one on ${peer.host}: it listens on Unix sockets only`,
  );
}
