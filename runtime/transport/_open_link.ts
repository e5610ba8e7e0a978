/**
 * Opens the way to another rank: over one connection or several, behind the access link if there is one.
 *
 * @module
 */

import { Connection, isData } from "./connection.ts";
import {
  type ConnectionEvents,
  isSeveral,
  type OpenLink,
  type PeerLink,
  type WayTo,
} from "./peer_link.ts";
import { StripedLink } from "./_striped_link.ts";
import type { Strand, Uplink } from "./_traffic_shaper.ts";

/** @param uplink what every connection is behind; null: nothing */
export function openLink(
  peer: number,
  way: WayTo,
  events: ConnectionEvents,
  uplink: Uplink | null,
): PeerLink {
  const ways = isSeveral(way) ? way : [way];
  const strands = ways.map((way): OpenLink => (events) => {
    const link = typeof way === "function" ? way(events) : new Connection(peer, way, events);
    return uplink === null ? link : new ShapedLink(link, uplink);
  });
  return strands.length === 1 ? strands[0](events) : new StripedLink(peer, strands, events);
}

/** A link whose frames leave through an access link; all else goes past it. */
class ShapedLink implements PeerLink {
  readonly #link: PeerLink;
  readonly #uplink: Uplink;
  readonly #strand: Strand;

  constructor(link: PeerLink, uplink: Uplink) {
    this.#link = link;
    this.#uplink = uplink;
    this.#strand = uplink.strand();
  }

  get peer(): number {
    return this.#link.peer;
  }

  get heard(): boolean {
    return this.#link.heard;
  }

  set heard(heard: boolean) {
    this.#link.heard = heard;
  }

  get busy(): boolean {
    return this.#link.busy;
  }

  get failure(): Error | null {
    return this.#link.failure;
  }

  get bytesSent(): number {
    return this.#link.bytesSent;
  }

  get bytesReceived(): number {
    return this.#link.bytesReceived;
  }

  send(kind: number, header?: Uint8Array, payload?: Uint8Array): Promise<void> {
    const link = this.#link;
    if (!isData(kind)) return link.send(kind, header, payload);
    const write = (...frame: [Uint8Array?, Uint8Array?]) => link.send(kind, ...frame);
    return this.#uplink.send(this.#strand, write, header, payload);
  }

  read(): void {
    this.#link.read();
  }

  break(cause: Error): void {
    this.#link.break(cause);
  }
}
