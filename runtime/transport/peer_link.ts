/**
 * What a rank has of another: ordered, reliable packets each way, over a connection or through a library.
 *
 * @module
 */

import type { Carrier } from "./transport.ts";

/** Where a connection's frames go. */
export interface ConnectionEvents {
  /** As in FrameSink. */
  begin(peer: number, header: DataView, length: number): Uint8Array;
  /** As in FrameSink. */
  end(peer: number, payload: Uint8Array): void;
  /** A frame that is not data. */
  signal(peer: number, kind: number): void;
  /**
   * The connection is of no use any more; undefined after an end of stream. Called once. Senders
   * learn of it when this has resolved.
   */
  broken(peer: number, cause: Error | undefined): Promise<void>;
  /** Where parts of frames go. @default {there are none on this connection} */
  readonly parts?: PartEvents;
}

/** Where the packets of frames go that come in parts over several connections. */
export interface PartEvents {
  /** A packet begins: as in FrameSink, but nothing further is read until there is room for it. */
  begin(kind: number, header: DataView, length: number): Uint8Array | Promise<Uint8Array>;
  /** It is complete. Nothing further is read before this has resolved. */
  end(kind: number, payload: Uint8Array): void | Promise<void>;
}

/** One way to another rank: ordered, reliable packets. A connection is one. */
export interface PeerLink {
  readonly peer: number;
  /** Whether anything has come from the peer since this was last set to false. */
  heard: boolean;
  /** Whether something waits to leave. */
  readonly busy: boolean;
  /** Why nothing can be sent any more, or null. */
  readonly failure: Error | null;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /**
   * Sends a packet. Resolves when header and payload may be reused; rejects when the link breaks, after
   * {@linkcode ConnectionEvents.broken}.
   */
  send(kind: number, header?: Uint8Array, payload?: Uint8Array): Promise<void>;
  /** Begins to read. */
  read(): void;
  /** Ends the link: what waits to be sent is dropped, and its senders get `cause`. */
  break(cause: Error): void;
}

/** Opens a link of another kind than a connection. */
export type OpenLink = (events: ConnectionEvents) => PeerLink;

/** A way to another rank, still closed: connections, of which all are used, or what opens another link. */
export type WayTo = Deno.Conn | readonly Deno.Conn[] | OpenLink;

/** What carries the frames of a way. */
export function carrierOf(way: WayTo | undefined): Carrier {
  if (typeof way === "function") return "mpi";
  const connection = isSeveral(way) ? way[0] : way;
  // What Deno.startTls() gives does not say what its address is.
  if (connection !== undefined && "handshake" in connection) return "tls";
  return connection?.remoteAddr.transport === "tcp" ? "tcp" : "unix";
}

/** Whether a way is a list of connections. */
export function isSeveral(way: WayTo | undefined): way is readonly Deno.Conn[] {
  return Array.isArray(way);
}
