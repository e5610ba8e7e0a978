/**
 * The gateway: one port for all that come to a host from others. It is in the launcher, and passes bytes on:
 * to what speaks TLS in the launcher itself, or to the rank that a dialer has come for. What ranks say to each
 * other is between them: TLS begins behind the gateway, and so does their handshake.
 *
 *     other host                        gateway                                rank, on a port of loopback
 *     TLS from the first byte on     →  the launcher's own listener
 *     KNOCK, handshake for a rank    →  the rank's port                     →  TLS, handshake
 *     KNOCK, handshake for a rank    →  its host is asked to fetch it       →
 *     KNOCK, handshake for a ticket  ←  who is fetched
 *
 * The third and the fourth are the relay: a host that can only dial out cannot be dialled, but can come and
 * fetch those who want to come to its ranks. Nobody is passed on who has not proved to know the job's secret.
 *
 * @module
 */

import { closeConnection } from "../base/close_connection.ts";
import { RendezvousError } from "../base/errors.ts";
import { AuthenticatingListener, setNoDelay } from "../security/authenticating_listener.ts";
import { dialMember } from "../security/dialer.ts";
import { isLoopback } from "../security/endpoint.ts";
import { type Credentials, GATEWAY_RANK, KNOCK, RELAY_RANK } from "../security/handshake.ts";
import { fields, integer } from "./fields.ts";
import { JsonChannel } from "./json_channel.ts";
import { splice } from "./_splice.ts";
import { platform } from "../base/platform.ts";

/** Where ranks behind a gateway listen: nobody but their host reaches them there. */
export const BEHIND = "127.0.0.1";

/** The first byte of a connection that begins with TLS: a record of the handshake (RFC 8446, appendix B.1). */
const TLS_HANDSHAKE = 0x16;
/** How long a host may take to fetch a connection, in ms. */
const FETCH_MS = 5000;
/** Most connections that wait to be fetched. */
const MOST_WAITING = 1024;
/** Largest message of a rank that says where it listens, in bytes. */
const LARGEST_MESSAGE = 64;

/** Where to find a listener on this host that listens on all addresses. */
const ANYWHERE: Record<string, string> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

type Timer = ReturnType<typeof setTimeout>;

/** A host's address and port. */
export interface GatewayAddress {
  readonly hostname: string;
  readonly port: number;
}

/** What a {@linkcode Gateway} needs. */
export interface GatewayOptions {
  /** Without TLS; owned by the gateway. */
  readonly listener: Deno.Listener;
  readonly job: Credentials;
  /** Port of {@linkcode BEHIND} to which connections go that begin with TLS. @default {none: they are dropped} */
  readonly tlsPort?: number;
  /**
   * How to ask the host of a rank to fetch a connection by its ticket; undefined for ranks that are not on
   * such a host. @default {there are none}
   */
  fetchFor?(rank: number): ((ticket: number) => void) | undefined;
}

/** One port for all that come to a host from others. */
export class Gateway implements Disposable {
  readonly port: number;
  /** An address at which this host's own processes reach it. */
  readonly near: string;
  /** A random number by which it is told from other gateways of the job; no rank's. */
  readonly mark: number = 0x80000000 + randomInteger() % 0x40000000;
  readonly #options: GatewayOptions;
  readonly #listener: AuthenticatingListener;
  /** By rank: where it listens behind this gateway. */
  readonly #ports = new Map<number, number>();
  /** By ticket: who waits to be fetched. */
  readonly #waiting = new Map<number, { readonly connection: Deno.Conn; readonly timer: Timer }>();
  /** What goes through it: two connections each, and their end. */
  readonly #open = new Map<readonly Deno.Conn[], Promise<void>>();
  #closed = false;

  constructor(options: GatewayOptions) {
    const { listener, job } = options;
    const { hostname, port } = listener.addr as Deno.NetAddr;
    this.#options = options;
    this.port = port;
    this.near = ANYWHERE[hostname] ?? hostname;
    this.#listener = new AuthenticatingListener({
      listener,
      job,
      screen: (connection) => this.#screen(connection),
      purpose: "gateway",
      self: (rank) => this.#ports.has(rank) || options.fetchFor?.(rank) !== undefined,
      isExpected: () => true,
      again: true,
      onAccepted: (_, connection, rank) => void this.#pass(connection, rank),
    });
    const serve = this.#listener.serve.bind(this.#listener);
    serve({
      purpose: "register",
      self: GATEWAY_RANK,
      isExpected: () => true,
      again: true,
      onAccepted: (rank, connection) => void this.#register(rank, connection),
    });
    serve({
      purpose: "probe",
      self: this.mark,
      isExpected: () => true,
      again: true,
      onAccepted: (_, connection) => closeConnection(connection),
    });
    serve({
      purpose: "fetch",
      self: RELAY_RANK,
      isExpected: (ticket) => this.#waiting.has(ticket),
      again: true,
      onAccepted: (ticket, connection) => this.#fetched(ticket, connection),
    });
  }

  /** Forgets where ranks listen: those of another job come. */
  forget(): void {
    this.#ports.clear();
  }

  /**
   * Fetches who waits at a relay for a rank behind this gateway.
   *
   * @throws HandshakeError, RendezvousError or Deno.errors if one of the two cannot be reached
   */
  async fetch(rank: number, ticket: number, { hostname, port }: GatewayAddress): Promise<void> {
    const inside = await this.#dial(this.#ports.get(rank));
    try {
      const outside = await dialMember({
        endpoints: [{ kind: "tcp", hostname, port }],
        knocks: true,
        job: this.#options.job,
        purpose: "fetch",
        self: ticket,
        peer: RELAY_RANK,
        name: "the relay",
        selfName: "this host",
        deadline: platform.now() + FETCH_MS,
        once: true,
      });
      void this.#splice(outside, inside);
    } catch (error) {
      closeConnection(inside);
      throw error;
    }
  }

  /** Cuts the connection that has reached the launcher's own listener from this port of {@linkcode BEHIND}. */
  cut(port: number): void {
    for (const both of this.#open.keys()) {
      const { localAddr, remoteAddr } = both[1] as Deno.TcpConn;
      if (remoteAddr.port !== this.#options.tlsPort || localAddr.port !== port) continue;
      both.forEach(closeConnection);
    }
  }

  /** Stops listening, and lets what goes through it come to its end, for so many ms. */
  async drain(ms: number): Promise<void> {
    this.#listener.close();
    let timer: Timer;
    const expiry = new Promise<void>((resolve) => timer = platform.setTimeout(resolve, ms));
    await Promise.race([Promise.all(this.#open.values()), expiry]);
    platform.clearTimeout(timer!);
    this.close();
  }

  /** Stops listening, and ends all connections that go through it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#listener.close();
    for (const ticket of this.#waiting.keys()) this.#drop(ticket);
    for (const connection of [...this.#open.keys()].flat()) closeConnection(connection);
  }

  /** As {@linkcode Gateway.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Tells those who knock from those who begin with TLS, which pass on to the launcher's own listener. */
  async #screen(connection: Deno.Conn): Promise<boolean> {
    const first = new Uint8Array(1);
    const n = await connection.read(first);
    if (n === 1 && first[0] === KNOCK) return true;
    const { tlsPort } = this.#options;
    if (n !== 1 || first[0] !== TLS_HANDSHAKE || tlsPort === undefined) {
      throw new Error("a stranger");
    }
    setNoDelay(connection);
    void this.#splice(connection, await this.#dial(tlsPort), first);
    return false;
  }

  /** A rank says where it listens. It must be one of this host, whose ports are its own to name. */
  async #register(rank: number, connection: Deno.Conn): Promise<void> {
    const channel = new JsonChannel(connection, LARGEST_MESSAGE);
    try {
      if (!isFromHere(connection)) return;
      const port = integer(fields(await channel.receive()).port, "port");
      if (port < 1 || port > 65535) return;
      this.#ports.set(rank, port);
      await channel.send({ port });
    } catch {
      // It has gone, or breaks the protocol.
    } finally {
      channel.close();
    }
  }

  async #pass(connection: Deno.Conn, rank: number): Promise<void> {
    try {
      const port = this.#ports.get(rank);
      if (port !== undefined) return await this.#splice(connection, await this.#dial(port));
      this.#wait(connection, this.#options.fetchFor!(rank)!);
    } catch {
      closeConnection(connection); // The rank has ended.
    }
  }

  #wait(connection: Deno.Conn, ask: (ticket: number) => void): void {
    if (this.#waiting.size >= MOST_WAITING) return closeConnection(connection);
    const ticket = randomInteger();
    const timer = platform.setTimeout(() => this.#drop(ticket), FETCH_MS);
    this.#waiting.set(ticket, { connection, timer });
    ask(ticket);
  }

  #drop(ticket: number): void {
    const waiting = this.#waiting.get(ticket);
    if (waiting === undefined) return;
    this.#waiting.delete(ticket);
    platform.clearTimeout(waiting.timer);
    closeConnection(waiting.connection);
  }

  #fetched(ticket: number, connection: Deno.Conn): void {
    const waiting = this.#waiting.get(ticket);
    if (waiting === undefined) return closeConnection(connection); // Another was faster, or it is late.
    this.#waiting.delete(ticket);
    platform.clearTimeout(waiting.timer);
    void this.#splice(waiting.connection, connection);
  }

  async #dial(port: number | undefined): Promise<Deno.Conn> {
    if (port === undefined) throw new Error("the rank does not listen");
    const connection = await platform.connect({ hostname: BEHIND, port });
    setNoDelay(connection);
    return connection;
  }

  async #splice(one: Deno.Conn, other: Deno.Conn, first?: Uint8Array): Promise<void> {
    if (this.#closed) {
      closeConnection(one);
      return closeConnection(other);
    }
    const both = [one, other], done = splice(one, other, first);
    this.#open.set(both, done);
    await done;
    this.#open.delete(both);
  }
}

/** Where a rank behind a gateway says where it listens, before others may dial it. */
export async function registerAt(
  { hostname, port }: GatewayAddress,
  { job, rank, own, deadline }: {
    readonly job: Credentials;
    readonly rank: number;
    /** Its own port on {@linkcode BEHIND}. */
    readonly own: number;
    /** On the clock of `performance.now()`. */
    readonly deadline: number;
  },
): Promise<void> {
  const connection = await dialMember({
    endpoints: [{ kind: "tcp", hostname, port }],
    knocks: true,
    job,
    purpose: "register",
    self: rank,
    peer: GATEWAY_RANK,
    name: "this host's gateway",
    deadline,
  });
  const channel = new JsonChannel(connection, LARGEST_MESSAGE);
  try {
    await channel.send({ port: own });
    if (await channel.receive() !== null) return;
    throw new RendezvousError(`rank ${rank} cannot join: its host's gateway does not take it`);
  } finally {
    channel.close();
  }
}

/** Whether both ends of a connection are on this host. */
function isFromHere({ localAddr, remoteAddr }: Deno.Conn): boolean {
  const [local, remote] = [localAddr, remoteAddr].map((address) =>
    (address as Deno.NetAddr).hostname
  );
  return local === remote || isLoopback(remote);
}

function randomInteger(): number {
  return platform.getRandomValues(new Uint32Array(1))[0];
}
