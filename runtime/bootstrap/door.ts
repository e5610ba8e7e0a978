/**
 * How the ranks of a running job connect to processes that come to it, and such a process to them. Ranks
 * dial newcomers, over TCP, one connection each; of two newcomers the one with the higher rank dials.
 *
 * @module
 */

import { RendezvousError } from "../base/errors.ts";
import { platform } from "../base/platform.ts";
import type { RendezvousClient } from "../rendezvous/client.ts";
import { type InvitedMessage, type TableEntry, tableEntry } from "../rendezvous/messages.ts";
import { AuthenticatingListener } from "../security/authenticating_listener.ts";
import { dialMember } from "../security/dialer.ts";
import type { TlsMaterial } from "../security/endpoint.ts";
import type { Credentials } from "../security/handshake.ts";
import type { MeshTransport } from "../transport/mesh_transport.ts";
import type { Door, Membership } from "../transport/transport.ts";
import { reachable } from "./mesh.ts";

/** How long a newcomer may take to answer, in ms. */
const REACH_MS = 10_000;

/** What a rank needs to connect to others. */
export interface Dialling {
  readonly rank: number;
  readonly job: Credentials;
  /** Where others reach this rank. */
  readonly self: TableEntry;
  /** Where this rank has reached the rendezvous. */
  readonly rendezvous: { readonly hostname: string; readonly port: number };
  readonly tls: TlsMaterial | undefined;
}

/** The door of a running job, as one of its ranks has it. */
export class JobDoor implements Door {
  readonly #dialling: Dialling;
  readonly #client: RendezvousClient;
  readonly #transport: MeshTransport;
  /** Called when a newcomer has gone again, by its rank. */
  readonly #gone = new Map<number, () => void>();

  constructor(dialling: Dialling, client: RendezvousClient, transport: MeshTransport) {
    this.#dialling = dialling;
    this.#client = client;
    this.#transport = transport;
    client.onKnock = (rank) => {
      if (!client.waiting.has(rank)) this.#gone.get(rank)?.();
    };
  }

  get waiting(): ReadonlyMap<number, string> {
    return new Map(
      [...this.#client.waiting].map(([rank, entry]) => [rank, JSON.stringify(entry)]),
    );
  }

  async reach(
    newcomers: ReadonlyMap<number, string>,
    members: readonly number[],
  ): Promise<number[]> {
    const ranks = [...newcomers.keys()];
    for (const rank of ranks) {
      this.#client.usher({ type: "invite", rank, members, newcomers: ranks });
    }
    const reached = await Promise.all(
      ranks.map((rank) => this.#reach(rank, tableEntry(JSON.parse(newcomers.get(rank)!)))),
    );
    return ranks.filter((_, i) => reached[i]);
  }

  async #reach(rank: number, entry: TableEntry): Promise<boolean> {
    // Another member may not have heard of its end.
    if (this.#client.done.has(rank)) return false;
    const given = new AbortController();
    this.#gone.set(rank, () => given.abort());
    const connection = await dialNewcomer(this.#dialling, rank, entry, given.signal)
      .catch(() => null);
    this.#gone.delete(rank);
    if (connection === null || given.signal.aborted) {
      connection?.close();
      return false;
    }
    this.#transport.add(rank, entry.host, connection);
    return true;
  }

  welcome(newcomer: number, membership: Membership): void {
    this.#client.settle(newcomer);
    this.#client.usher({ type: "welcome", rank: newcomer, ...membership });
  }
}

/** Dials a newcomer. @throws Error if it cannot be reached in time */
async function dialNewcomer(
  { rank, job, self, rendezvous, tls }: Dialling,
  peer: number,
  entry: TableEntry,
  signal?: AbortSignal,
): Promise<Deno.Conn> {
  const endpoints = reachable(self, entry, rendezvous);
  if (endpoints.length === 0) {
    throw new RendezvousError(`rank ${rank} has no way to rank ${peer} on ${entry.host}`);
  }
  return await dialMember({
    endpoints,
    job,
    purpose: "mesh",
    self: rank,
    peer,
    name: `rank ${peer} on ${entry.host}`,
    tls,
    deadline: platform.now() + REACH_MS,
    signal,
  });
}

/** What a newcomer hears of losses. */
export type LossNews = Pick<RendezvousClient, "lost" | "onLost">;

/** A newcomer's connections: lets in the ranks of the job, and whoever else comes to it, from when it is made. */
export class NewcomerMesh implements Disposable {
  readonly #dialling: Dialling;
  readonly #accepting: readonly AuthenticatingListener[];
  /** By rank. */
  readonly #connections: (Deno.Conn | undefined)[] = [];
  /** Why other newcomers could not be dialled. */
  readonly #failures = new Map<number, Error>();
  readonly #given = new AbortController();
  /** Called when there is another connection, failure or loss. */
  #changed = () => {};

  /** @param listeners where this newcomer is reached; closed with it, or when it is complete */
  constructor(dialling: Dialling, listeners: readonly Deno.Listener[]) {
    this.#dialling = dialling;
    const { rank: self, job } = dialling;
    this.#accepting = listeners.map((listener) =>
      new AuthenticatingListener({
        listener,
        job,
        purpose: "mesh",
        self,
        isExpected: (peer, number) =>
          peer !== self && number === 0 && this.#connections[peer] === undefined,
        onAccepted: (peer, connection) => {
          if (this.#connections[peer] !== undefined) return connection.close();
          this.#connections[peer] = connection;
          this.#changed();
        },
      })
    );
  }

  /** Begins to connect to the other newcomers that are lower. */
  dial({ newcomers }: InvitedMessage): void {
    for (const [peer, entry] of newcomers.filter(([peer]) => peer < this.#dialling.rank)) {
      dialNewcomer(this.#dialling, peer, entry, this.#given.signal).then((connection) => {
        if (this.#given.signal.aborted) return connection.close();
        this.#connections[peer] = connection;
        this.#changed();
      }, (error) => {
        this.#failures.set(peer, error);
        this.#changed();
      });
    }
  }

  /**
   * Waits for the connections to some ranks, and gives them, by rank; others are not needed. There is none to a
   * rank that is lost, nor to a higher one that has not come in time: of two that cannot reach each other the
   * higher goes.
   *
   * @param news the ranks that are known to be lost, and who is to be told of another
   * @throws Error if there is no connection to a lower one
   */
  async complete(members: readonly number[], news: LossNews): Promise<(Deno.Conn | undefined)[]> {
    const deadline = platform.now() + REACH_MS;
    news.onLost = () => this.#changed();
    for (;;) {
      const left = deadline - platform.now();
      if (this.#isComplete(members, news.lost, left <= 0)) break;
      await this.#change(left);
    }
    news.onLost = null;
    this.#stop();
    for (const [peer, connection] of this.#connections.entries()) {
      if (members.includes(peer)) continue;
      connection?.close();
      this.#connections[peer] = undefined;
    }
    return this.#connections;
  }

  /** Whether nobody is waited for any more. @throws Error if one that is needed does not come */
  #isComplete(members: readonly number[], lost: ReadonlySet<number>, isLate: boolean): boolean {
    const { rank: self } = this.#dialling;
    const absent = members.filter((peer) =>
      peer !== self && !this.#connections[peer] && !lost.has(peer)
    );
    if (absent.length === 0) return true;
    const failed = absent.find((peer) => this.#failures.has(peer));
    if (failed !== undefined) throw this.#failures.get(failed);
    if (!isLate) return false;
    const lower = absent.filter((peer) => peer < self);
    if (lower.length === 0) return true;
    throw new RendezvousError(
      `rank ${self} cannot join: it has no connection to ranks ${lower.join(", ")}`,
    );
  }

  /** Waits until something has changed, at most for some ms. */
  async #change(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#changed = resolve;
    const timer = platform.setTimeout(resolve, ms);
    await promise;
    platform.clearTimeout(timer);
  }

  /** Neither dials nor listens any more. */
  #stop(): void {
    this.#given.abort();
    for (const listener of this.#accepting) listener.close();
  }

  [Symbol.dispose](): void {
    this.#stop();
    for (const connection of this.#connections) connection?.close();
  }
}
