/**
 * Builds the mesh: every rank listens, and of two the one that is harder to reach dials the other: one that
 * nobody can reach rather than one behind a gateway, and that rather than one that listens to all. Of two like
 * each other the higher one dials. Two whom nobody can reach meet at the relay. Ranks of different hosts may have
 * several connections: as many as both of them want.
 *
 * @module
 */

import { dialMember } from "../security/dialer.ts";
import {
  describeConnectionError,
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
import { platform } from "../base/platform.ts";

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
  readonly listeners: readonly Deno.Listener[];
  /** Where this rank has reached the rendezvous: its host's address is the best from here. */
  readonly rendezvous?: { readonly hostname: string; readonly port: number };
  /** Whether the gateway there is a relay to ranks whom nobody can reach. @default {false} */
  readonly relays?: boolean;
  /**
   * Whether every rank stands for a host of its own, so that several connections are for all pairs.
   * @default {those of the table}
   */
  readonly apart?: boolean;
  readonly tls?: TlsMaterial;
  /** When to give up, on the clock of `performance.now()`. */
  readonly deadline: number;
  /** Is told for want of which rank it has failed. @default {nobody is} */
  readonly onMissing?: (peer: number, error: Error) => void;
}

/**
 * Connects this rank with all others; each connection has passed the handshake.
 *
 * @returns connections to each rank, undefined for this one
 * @throws HandshakeError if a rank refuses this one; RendezvousError if the deadline has passed
 */
export async function buildMesh(
  options: MeshBuildOptions,
): Promise<(readonly Deno.Conn[] | undefined)[]> {
  const { rank, job, table, listeners, tls, deadline } = options;
  // By number: both ends have the same order.
  const connections = table.map((_, peer): (Deno.Conn | undefined)[] | undefined =>
    peer === rank ? undefined : new Array(countWith(peer, options)).fill(undefined)
  );
  const others = [...table.keys()].filter((peer) => peer !== rank);
  const dialled = others.filter((peer) => dials(peer, options));
  const awaited = others.filter((peer) => !dialled.includes(peer));
  let missing = awaited.reduce((sum, peer) => sum + connections[peer]!.length, 0);
  const all = Promise.withResolvers<void>();
  if (missing === 0) all.resolve();
  const accepting = listeners.map((listener) =>
    new AuthenticatingListener({
      listener,
      job,
      purpose: "mesh",
      self: rank,
      isExpected: (peer, number) =>
        awaited.includes(peer) && number < connections[peer]!.length &&
        connections[peer]![number] === undefined,
      onAccepted(peer, connection, _, number) {
        if (connections[peer]![number] !== undefined) return connection.close();
        connections[peer]![number] = connection;
        if (--missing === 0) all.resolve();
      },
    })
  );
  let wanted: number | null = null;
  const timer = platform.setTimeout(() => {
    const absent = awaited.filter((peer) => connections[peer]!.includes(undefined));
    const who = `${absent.length === 1 ? "rank" : "ranks"} ${absent.join(", ")}`;
    const cause = accepting.map(({ lastError }) => lastError).find((error) => error !== null);
    const why = cause === undefined ? "" : `: ${describeConnectionError(cause)}`;
    wanted ??= absent[0];
    all.reject(new RendezvousError(`rank ${rank} waited in vain for ${who}${why}`, { cause }));
  }, Math.max(1, deadline - platform.now()));
  const given = new AbortController();
  const dialling = dialled.flatMap((peer) =>
    connections[peer]!.map(async (_, number) => {
      connections[peer]![number] = await dialMember({
        endpoints: endpointsOf(peer, options),
        job,
        purpose: "mesh",
        self: rank,
        peer,
        number,
        name: `rank ${peer} on ${table[peer].host}`,
        tls,
        deadline,
        signal: given.signal,
      }).catch((error) => {
        wanted ??= peer;
        throw error;
      });
    })
  );
  try {
    await Promise.all([all.promise, ...dialling]);
    return connections as Deno.Conn[][];
  } catch (error) {
    given.abort();
    await Promise.allSettled(dialling);
    if (wanted !== null) options.onMissing?.(wanted, error as Error);
    for (const connection of connections.flat()) connection?.close();
    throw error;
  } finally {
    platform.clearTimeout(timer);
    for (const listener of accepting) listener.close();
  }
}

/** How many connections this rank has to another: as many as both want, one within a host. */
function countWith(peer: number, { rank, table, apart = false }: MeshBuildOptions): number {
  const self = table[rank], other = table[peer];
  return apart || self.host !== other.host
    ? Math.min(self.connections ?? 1, other.connections ?? 1)
    : 1;
}

/** How hard it is for ranks of other hosts to reach a rank. */
function distance({ dialsOut = false, endpoints }: TableEntry): number {
  return dialsOut ? 2 : hasGateway(endpoints) ? 1 : 0;
}

function hasGateway(endpoints: readonly Endpoint[]): boolean {
  return endpoints.some(({ kind }) => kind === "gateway");
}

/**
 * Whether this rank dials another: the one that is harder to reach does, else the higher one.
 *
 * @throws RendezvousError if neither can be reached
 */
function dials(peer: number, { rank, table, relays = false }: MeshBuildOptions): boolean {
  const [self, other] = [table[rank], table[peer]];
  if (self.host === other.host) return rank > peer;
  if (self.dialsOut && other.dialsOut && !relays) {
    throw new RendezvousError(
      `rank ${rank} on ${self.host} and rank ${peer} on ${other.host} have no way to each other: both ` +
        "hosts can only dial out, and nobody relays: start them by celgc's launchers, or let others in at " +
        "one of the hosts",
    );
  }
  const further = distance(self) - distance(other);
  return further > 0 || (further === 0 && rank > peer);
}

/**
 * The endpoints of a rank that can work from here: Unix sockets and what is behind a gateway reach no further
 * than the host.
 *
 * @throws RendezvousError if there are none
 */
function endpointsOf(peer: number, { rank, table, rendezvous }: MeshBuildOptions): Endpoint[] {
  const self = table[rank], other = table[peer], found = reachable(self, other, rendezvous);
  if (found.length > 0) return found;
  throw new RendezvousError(
    `rank ${rank} on ${self.host} has no way to rank ${peer} on ${other.host}, which listens on Unix ` +
      "sockets only",
  );
}

/** The endpoints of `other` that can work for `self`. */
export function reachable(
  self: TableEntry,
  other: TableEntry,
  rendezvous: MeshBuildOptions["rendezvous"],
): Endpoint[] {
  if (self.host === other.host) {
    const hasSocket = self.endpoints.some(({ kind }) => kind === "unix");
    const own = other.endpoints.filter(({ kind }) =>
      kind === "tcp" || (kind === "unix" && hasSocket)
    );
    return nearest(own, self, rendezvous);
  }
  if (other.dialsOut) return [{ kind: "gateway", ...rendezvous! }];
  const kind = hasGateway(other.endpoints) ? "gateway" : "tcp";
  return nearest(other.endpoints.filter((endpoint) => endpoint.kind === kind), self, rendezvous);
}

/** Endpoints as they are named from here; if the rendezvous was reached at the address of one, that one. */
function nearest(
  endpoints: readonly Endpoint[],
  self: TableEntry,
  rendezvous: MeshBuildOptions["rendezvous"],
): Endpoint[] {
  const own = [...self.endpoints, rendezvous].flatMap((endpoint) =>
    endpoint !== undefined && "hostname" in endpoint ? [endpoint.hostname] : []
  );
  const scoped = own.find((hostname) => hostname.includes("%")) ?? "";
  const named = endpoints.map((endpoint) =>
    endpoint.kind === "unix"
      ? endpoint
      : { ...endpoint, hostname: withScope(endpoint.hostname, scoped) }
  );
  const isBest = (endpoint: Endpoint) =>
    endpoint.kind === "unix" || endpoint.hostname === rendezvous?.hostname;
  return named.some((endpoint) => endpoint.kind !== "unix" && isBest(endpoint))
    ? named.filter(isBest)
    : named;
}
