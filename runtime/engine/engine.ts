/**
 * What all communicators of one rank share: the transport, the routing of frames to communicators,
 * what is known of lost ranks, and the memory that ranks of one host have in common.
 *
 * @module
 */

import { WorkspacePool } from "../reduction/workspace.ts";
import { LocalPeers } from "../shared_memory/local_peers.ts";
import type { FrameSink, Transport } from "../transport/transport.ts";
import { deliverWhole, type Destination, EarlyFrames, keptAside } from "./destination.ts";
import { type ContextFrame, decodeFrame, encodeWake, type Frame, MessageKind } from "./header.ts";
import { type LostPeer, LostPeers } from "./lost_peers.ts";

/** Numbers for communicators that each rank has: of such a number's 53 bits, those above say who has given it out. */
const IDS_A_RANK = 2 ** 32;

/** How many communicators are remembered once they are freed: frames that still come for them are dropped. */
const MOST_FREED = 4096;

/** What the engine needs of a communicator. Ranks are those of the job. */
export interface FrameReceiver {
  /** Number that every frame of the communicator carries. */
  readonly id: number;
  /** Takes in a frame of `length` bytes; throwing breaks the connection that it came by. */
  accept(from: number, frame: ContextFrame, length: number): Destination;
  /** What waits for other ranks, in words. */
  pending(): string[];
  /** A rank is gone. */
  peerLost(rank: number, loss: LostPeer): void;
}

/** Shared state of one rank's communicators; receives all frames. */
export class Engine implements FrameSink {
  /** The wire. */
  readonly transport: Transport;
  /** Ranks of the job that are gone. */
  readonly lostPeers: LostPeers;
  /** Ranks of the job that share memory with this one. */
  readonly localPeers: LocalPeers;
  /** Scratch memory of the collectives. */
  readonly workspaces: WorkspacePool = new WorkspacePool();

  readonly #receivers = new Map<number, FrameReceiver>();
  readonly #early = new EarlyFrames<ContextFrame>();
  readonly #destinations: (Destination | undefined)[] = [];
  #activeCalls = 0;
  #ids = 0;
  /** Numbers of the communicators that were freed last, in the order of that. */
  readonly #freed = new Set<number>();

  constructor(transport: Transport) {
    this.transport = transport;
    this.lostPeers = new LostPeers(transport, (rank, loss) => {
      // What it was to read or to write in memory stays as it is: others would wait for it.
      if (!loss.orderly && this.localPeers.isLocal(rank)) this.localPeers.disable();
      for (const receiver of [...this.#receivers.values()]) receiver.peerLost(rank, loss);
    });
    this.localPeers = new LocalPeers(transport, {
      deliver: (from, header, payload) => {
        const frame = decodeFrame(header);
        deliverWhole(this.#route(from, frame, payload.length), payload);
      },
      wake: (rank) => transport.send(rank, encodeWake()).catch(() => {}),
    });
    transport.start(this);
  }

  /** A number for a communicator: this rank gives it out once, and no other rank does. */
  newId(): number {
    return this.transport.rank * IDS_A_RANK + ++this.#ids;
  }

  /** Communicators for which frames may still come. */
  get communicators(): number {
    return this.#receivers.size;
  }

  /** Collective calls in progress on this rank. */
  get activeCalls(): number {
    return this.#activeCalls;
  }

  /** Counts a collective call as in progress, until {@linkcode Engine.endCall}. */
  beginCall(): void {
    this.#activeCalls++;
  }

  /** A collective call is over. */
  endCall(): void {
    this.#activeCalls--;
  }

  /** Registers a communicator and hands it the frames that came before it. */
  attach(receiver: FrameReceiver): void {
    this.#receivers.set(receiver.id, receiver);
    for (const { from, frame, payload } of this.#early.take(receiver.id)) {
      deliverWhole(receiver.accept(from, frame, payload.length), payload);
    }
  }

  /** Forgets a communicator; frames that still come for it are dropped. */
  detach({ id }: FrameReceiver): void {
    this.#receivers.delete(id);
    this.#freed.add(id);
    if (this.#freed.size > MOST_FREED) {
      const [oldest] = this.#freed;
      this.#freed.delete(oldest);
    }
    this.localPeers.forget(id);
  }

  begin(peer: number, header: DataView, length: number): Uint8Array {
    const destination = this.#route(peer, decodeFrame(header), length);
    this.#destinations[peer] = destination;
    return destination.into;
  }

  end(peer: number, _payload: Uint8Array): void {
    const destination = this.#destinations[peer];
    this.#destinations[peer] = undefined;
    destination?.done();
  }

  pending(): string[] {
    return [...this.#receivers.values()].flatMap((receiver) => receiver.pending());
  }

  lost(peer: number, cause: Error | undefined): void | Promise<void> {
    return this.lostPeers.lost(peer, cause);
  }

  #route(peer: number, frame: Frame, length: number): Destination {
    switch (frame.kind) {
      case MessageKind.WAKE:
        return keptAside(length, () => this.localPeers.emptyMailbox());
      case MessageKind.LOST:
        return keptAside(length, (words) => this.lostPeers.heard(peer, frame.rank, words));
      default:
        return this.#receivers.get(frame.context)?.accept(peer, frame, length) ??
          keptAside(length, (payload) => this.#keep(peer, frame, payload));
    }
  }

  /** A frame of a communicator that was not here when it began to arrive. */
  #keep(from: number, frame: ContextFrame, payload: Uint8Array): void {
    const receiver = this.#receivers.get(frame.context);
    if (receiver !== undefined) {
      deliverWhole(receiver.accept(from, frame, payload.length), payload);
    } else if (!this.#freed.has(frame.context)) {
      this.#early.keep(frame.context, { from, frame, payload });
    }
  }
}
