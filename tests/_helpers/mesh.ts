/** The real transport of several ranks in this process, and what arrives at each. */

import { dial, type Endpoint, type TlsMaterial } from "../../runtime/security/endpoint.ts";
import { credentials } from "../../runtime/security/handshake.ts";
import { buildMesh, openListeners, type TransportKind } from "../../runtime/bootstrap/mesh.ts";
import type { LinkShape } from "../../runtime/transport/access_link.ts";
import { MeshTransport } from "../../runtime/transport/mesh_transport.ts";
import {
  type FrameSink,
  HEADER_BYTES,
  type JobControl,
  type OnFailure,
} from "../../runtime/transport/transport.ts";

/** One frame as it arrived. */
export interface Arrival {
  readonly peer: number;
  /** What {@linkcode header} was given. */
  readonly number: number;
  readonly payload: Uint8Array;
}

/** A header with a number in it. */
export function header(number: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES).fill(0xaa);
  new DataView(bytes.buffer).setFloat64(0, number);
  return bytes;
}

/** Keeps all that arrives. */
export class Recorder implements FrameSink {
  readonly arrivals: Arrival[] = [];
  readonly losses: { readonly peer: number; readonly cause: Error | undefined }[] = [];
  #numbers: number[] = [];
  #wake: (() => void)[] = [];

  begin(peer: number, view: DataView, length: number): Uint8Array {
    this.#numbers[peer] = view.getFloat64(0);
    return new Uint8Array(length);
  }

  end(peer: number, payload: Uint8Array): void {
    this.arrivals.push({ peer, number: this.#numbers[peer], payload });
    this.#changed();
  }

  lost(peer: number, cause: Error | undefined): void {
    this.losses.push({ peer, cause });
    this.#changed();
  }

  #changed(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  /** Resolves once `condition` holds. */
  async until(condition: () => boolean): Promise<void> {
    // Reading a connection does not keep a process alive; this timer does.
    const hold = setInterval(() => {}, 1000);
    while (!condition()) await new Promise<void>((resolve) => this.#wake.push(resolve));
    clearInterval(hold);
  }
}

/** Transports of one job, in this process. */
export interface Connected extends AsyncDisposable {
  readonly transports: readonly MeshTransport[];
  /** This end of the first connection of every pair, by rank and peer. */
  readonly connections: readonly (readonly (Deno.Conn | undefined)[])[];
  /** All of them. */
  readonly strands: readonly (readonly (readonly Deno.Conn[] | undefined)[])[];
}

/** Ranks of one job, in this process, and all that arrives at them. */
export interface Mesh extends Connected {
  readonly sinks: readonly Recorder[];
}

/** What may be said of a mesh. */
export interface MeshOptions {
  transport?: TransportKind;
  tls?: TlsMaterial;
  timeoutMs?: number;
  hosts?: readonly string[];
  link?: LinkShape;
  onFailure?: OnFailure;
  /** Who looks after the job. @default {nobody} */
  control?: JobControl;
  /** Between ranks of different hosts. */
  connections?: number;
}

/** Builds a mesh and keeps what arrives. */
export async function mesh(size: number, options: MeshOptions = {}): Promise<Mesh> {
  const connected = await connect(size, options);
  const sinks = connected.transports.map((transport) => {
    const sink = new Recorder();
    transport.start(sink);
    return sink;
  });
  return { ...connected, sinks };
}

/** Builds a mesh over real sockets, each connection through the handshake; nothing is read yet. */
export async function connect(size: number, options: MeshOptions = {}): Promise<Connected> {
  const { transport = "tcp", tls, timeoutMs = 60_000, link, onFailure, control = null } = options;
  const wishes = options.connections === undefined ? {} : { connections: options.connections };
  const hosts = options.hosts ?? new Array(size).fill("here");
  const job = await credentials("mesh-test", crypto.getRandomValues(new Uint8Array(32)));
  const sockets = transport === "tcp" ? null : await Deno.makeTempDir({ prefix: "celgc-test-" });
  const listeners = hosts.map((_, rank) =>
    openListeners(rank, transport, sockets, { addresses: ["127.0.0.1"], port: 0, tls })
  );
  const table = listeners.map(({ endpoints }, rank) => ({
    host: hosts[rank],
    endpoints,
    ...wishes,
  }));
  const deadline = performance.now() + 30_000;
  const ways = await Promise.all(
    listeners.map((own, rank) =>
      buildMesh({ rank, job, table, listeners: own.listeners, tls, deadline })
    ),
  );
  const transports = ways.map((own, rank) =>
    new MeshTransport({
      rank,
      size,
      hosts,
      connections: own,
      control,
      timeoutMs,
      link,
      onFailure,
    })
  );
  return {
    transports,
    connections: ways.map((own) => own.map((connections) => connections?.[0])),
    strands: ways,
    async [Symbol.asyncDispose]() {
      await Promise.all(transports.map((transport) => transport.close().catch(() => {})));
      if (sockets !== null) await Deno.remove(sockets, { recursive: true });
    },
  };
}

/** A connection that is proven, with nothing but bytes on it: two ends of one socket. */
export async function pair(): Promise<[Deno.Conn, Deno.Conn]> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const endpoint: Endpoint = { kind: "tcp", hostname: "127.0.0.1", port };
  return await Promise.all([dial(endpoint), listener.accept()]);
}
