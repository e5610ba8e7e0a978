/**
 * What all communicators of one rank share: the transport, the routing of frames to communicators,
 * and what is known of lost ranks.
 *
 * @module
 */

import type { Context } from "./context.ts";
import { PeerLostError } from "../base/errors.ts";
import { decodeFrame, encodeFrame, type Frame, MessageKind } from "./header.ts";
import type { Mailbox } from "../shared_memory/mailbox.ts";
import type { LocalPeers } from "../shared_memory/local_peers.ts";
import type { FrameSink, Transport } from "../transport/transport.ts";
import { WorkspacePool } from "../reduction/workspace.ts";

/** Where a frame's payload goes, and what happens when it is complete. */
export interface Destination {
  /** Exactly as long as the payload. */
  readonly into: Uint8Array;
  /** Called once `into` is filled. */
  done(): void;
}

/** A frame that arrived before whoever it is meant for existed. */
export interface EarlyFrame {
  readonly from: number;
  readonly frame: Frame;
  readonly payload: Uint8Array;
}

/** The end of a rank, as far as it is known. */
export interface LostPeer {
  /** Whether it said goodbye. */
  readonly orderly: boolean;
  /** Why it is gone, and who noticed. */
  readonly reason: string;
  /** Why it is gone, in the words of who noticed first. */
  readonly words: string;
  /** The error underneath. */
  readonly cause: unknown;
}

/** A landing for a payload that is kept aside until `done`. */
export function destination(length: number, done: (payload: Uint8Array) => void): Destination {
  const into = new Uint8Array(length);
  return { into, done: () => done(into) };
}

/** Shared state of one rank's communicators; receives all frames. */
export class Engine implements FrameSink {
  /** The wire. */
  readonly transport: Transport;
  /** The caller's training step, named in errors. */
  step: number | null = null;
  /** Ranks of the job that are gone. */
  readonly lostPeers: Map<number, LostPeer> = new Map();
  /** Scratch memory of the collectives. */
  readonly workspaces: WorkspacePool = new WorkspacePool();
  /** Frames from ranks of this host, if they can write to this rank's memory. */
  mailbox: Mailbox | null = null;
  /** The ranks of this host, once known; null if nothing is to be gained from them. */
  localPeers: LocalPeers | null = null;
  /** Settles when the ranks know about each other; undefined before the job's first collective. */
  discovery: Promise<void> | undefined;
  /** Collective calls in progress on this rank. */
  activeCalls = 0;
  /** Larger than the number of any context this rank has been part of. */
  nextContext = 0;

  readonly #contexts = new Map<number, Context>();
  readonly #early = new Map<number, EarlyFrame[]>();
  readonly #landings: (Destination | undefined)[] = [];
  #reported = false;

  constructor(transport: Transport) {
    this.transport = transport;
    transport.start(this);
  }

  /** Registers a context and hands it the frames that came before it. */
  attach(context: Context): void {
    this.#contexts.set(context.id, context);
    this.nextContext = Math.max(this.nextContext, context.id + 1);
    const early = this.#early.get(context.id) ?? [];
    this.#early.delete(context.id);
    for (const { from, frame, payload } of early) {
      const place = context.accept(from, frame, payload.length);
      place.into.set(payload);
      place.done();
    }
  }

  /** Forgets a context; frames that still come for it are dropped. */
  detach(context: Context): void {
    this.#contexts.delete(context.id);
  }

  begin(peer: number, header: DataView, length: number): Uint8Array {
    const frame = decodeFrame(header);
    const place = this.#route(peer, frame, length);
    this.#landings[peer] = place;
    return place.into;
  }

  end(peer: number, _payload: Uint8Array): void {
    const place = this.#landings[peer];
    this.#landings[peer] = undefined;
    place?.done();
  }

  /** Takes in a frame that came another way; `payload` is not kept. */
  deliver(peer: number, header: DataView, payload: Uint8Array): void {
    const place = this.#route(peer, decodeFrame(header), payload.length);
    place.into.set(payload);
    place.done();
  }

  #route(peer: number, frame: Frame, length: number): Destination {
    if (frame.kind === MessageKind.WAKE) return destination(length, () => this.mailbox?.empty());
    if (frame.kind === MessageKind.LOST) {
      return destination(length, (payload) => this.#heard(peer, frame.root, payload));
    }
    const context = this.#contexts.get(frame.context);
    if (context !== undefined) return context.accept(peer, frame, length);
    return destination(length, (payload) => {
      const created = this.#contexts.get(frame.context);
      if (created !== undefined) {
        const place = created.accept(peer, frame, length);
        place.into.set(payload);
        place.done();
      } else if (frame.context >= this.nextContext) {
        const early = this.#early.get(frame.context) ?? [];
        early.push({ from: peer, frame, payload });
        this.#early.set(frame.context, early);
      }
    });
  }

  lost(peer: number, cause: Error | undefined): void {
    const words = cause === undefined ? "it has left the job" : cause.message;
    this.#lose(peer, { orderly: cause === undefined, reason: words, words, cause });
  }

  /** Another rank says that `rank` is gone; its own connection to us may take longer to notice. */
  #heard(from: number, rank: number, payload: Uint8Array): void {
    if (rank === this.transport.rank || !(rank < this.transport.size)) return;
    const words = new TextDecoder().decode(payload), reason = `${words} (noticed by rank ${from})`;
    this.#lose(rank, { orderly: false, reason, words, cause: undefined });
  }

  #lose(peer: number, loss: LostPeer): void {
    const known = this.lostPeers.get(peer);
    if (known !== undefined && (!known.orderly || loss.orderly)) return;
    this.lostPeers.set(peer, loss);
    for (const context of [...this.#contexts.values()]) context.peerLost(peer, loss);
    if (!loss.orderly) this.#tell(peer, loss);
  }

  /**
   * Tells the others that a rank is gone. Those that wait for this rank, but not for the lost one,
   * would otherwise blame this one when it gives up.
   */
  #tell(peer: number, loss: LostPeer): void {
    const payload = new TextEncoder().encode(loss.words);
    for (let other = 0; other < this.transport.size; other++) {
      if (other === this.transport.rank || this.lostPeers.has(other)) continue;
      this.transport.send(other, encodeFrame({ kind: MessageKind.LOST, root: peer }), payload)
        .catch(() => {});
    }
  }

  /**
   * The error for an operation that cannot do without a lost rank; tells the launcher of the first.
   * It blames the rank that was lost first, whose end is why the others went.
   */
  peerLostError(needed: number, operation: string): PeerLostError {
    const missing = this.lostPeers.get(needed);
    let first = [...this.lostPeers].find(([, { orderly }]) => !orderly);
    if (first === undefined && missing !== undefined) {
      // It left while it was needed.
      const missed = { ...missing, orderly: false };
      this.lostPeers.set(needed, missed);
      this.#tell(needed, missed);
      first = [needed, missed];
    }
    const [peer, loss] = first ?? [needed, undefined];
    const error = new PeerLostError({
      rank: peer,
      host: this.transport.hosts[peer],
      operation,
      step: this.step,
      reason: loss?.reason,
      cause: loss?.cause,
    });
    if (!this.#reported) {
      this.#reported = true;
      this.transport.report({ message: error.message, operation, step: this.step, lost: peer })
        .catch(() => {});
    }
    return error;
  }
}
