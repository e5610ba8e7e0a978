/**
 * The transport over a link of its own to every other rank.
 *
 * A peer is `present` until its goodbye (`left`) or until it is found to be gone (`lost`). The transport itself is
 * `open` until {@linkcode MeshTransport.close}, then `leaving` while goodbyes or last words leave, then `closed`.
 *
 * @module
 */

import { PeerLostError } from "../base/errors.ts";
import { type HostLink, hostLink } from "./access_link.ts";
import { Downlink, Uplink } from "./_traffic_shaper.ts";
import {
  type Carrier,
  type Door,
  type FailureReport,
  type FrameSink,
  type JobControl,
  LARGEST_PAYLOAD,
  type Membership,
  type OnFailure,
  type Traffic,
  type Transport,
} from "./transport.ts";
import { PacketKind } from "./connection.ts";
import { openLink } from "./_open_link.ts";
import type { MeshOptions } from "./mesh_options.ts";
import {
  emptied,
  hasLeft,
  lossOf,
  missedFarewell,
  type Peer,
  type RootCause,
  within,
} from "./_peer.ts";
import { carrierOf, type ConnectionEvents, type WayTo } from "./peer_link.ts";
import { platform } from "../base/platform.ts";
import { Vigil } from "./_vigil.ts";

/** How long to wait for word from the launcher on why a connection broke. */
const WORD_MS = 1000;

/**
 * Where ranks go on without each other, how much later than a lower rank a higher one believes that it has lost the
 * other, in ms: what has broken may be the way between two that live. By then it is told that it is the one to go.
 */
const YIELD_MS = 500;

/**
 * Of two hosts between which nothing passes, the one of which the other has given up a rank first is to go. How much
 * longer its others wait for a sign of life from other hosts, in timeouts: by then they are given up, too.
 */
const GIVEN_UP = 1.5;

/** How long a report to the launcher may take, in ms. */
const REPORT_MS = 1000;

/** Where this transport stands. */
type TransportState =
  | { readonly name: "open" }
  | { readonly name: "leaving" | "closed"; readonly done: Promise<void> };

/** Ordered, reliable frames over a link of its own to each other rank. */
export class MeshTransport implements Transport {
  readonly rank: number;
  readonly hosts: string[];
  readonly dialsOut: readonly boolean[] | undefined;
  readonly timeoutMs: number;
  readonly onFailure: OnFailure;
  readonly membership: Membership | undefined;
  /** Where processes come that want to belong to the job, if any can. */
  door?: Door;
  readonly #joinMs: number;
  readonly #control: JobControl | null;
  readonly #peers: (Peer | undefined)[];
  readonly #carriers: Carrier[];
  readonly #vigil: Vigil;
  readonly #link: HostLink | null;
  readonly #wireOnly: boolean;
  readonly #uplink: Uplink | null;
  /** Resolves with the first that the launcher names. */
  readonly #rootCause = Promise.withResolvers<RootCause>();
  #downlink: Downlink | null = null;
  #sink: FrameSink | null = null;
  /** What the frames are for in the end, behind the access link. */
  #receiver: FrameSink | null = null;
  #state: TransportState = { name: "open" };
  /** Whether others have given up a rank of this host that is there. */
  #isOfTheGivenUp = false;
  /** Whether this rank has reported the loss of another: then it takes no leave of anybody. */
  #reportedLoss = false;
  #controlIsGone = false;

  constructor(options: MeshOptions) {
    const { rank, hosts, connections, control, timeoutMs, link = null } = options;
    this.#wireOnly = options.wireOnly ?? false;
    this.rank = rank;
    this.hosts = [...hosts];
    this.dialsOut = options.dialsOut;
    this.onFailure = options.onFailure ?? "abort";
    this.membership = options.membership;
    this.timeoutMs = timeoutMs;
    this.#control = control;
    this.#link = link && hostLink(link, rank, this.hosts);
    this.#uplink = this.#link && new Uplink(this.#link.shape);
    this.#carriers = connections.map(carrierOf);
    this.#joinMs = options.joinMs ?? 0;
    this.#peers = new Array(options.size).fill(undefined);
    this.#vigil = new Vigil({
      timeoutMs,
      peers: this.#peers,
      patience: (peer) => this.#patienceWith(peer),
      silent: (peer, cause) => {
        this.#lose(peer, cause);
        peer.settled.resolve("silent");
        peer.connection.break(cause);
      },
      onExpecting: options.onExpecting,
    });
    for (let peer = 0; peer < options.size; peer++) {
      const way = connections[peer];
      if (way) this.#peers[peer] = this.#open(peer, way);
    }
    control?.start({
      lost: (rank, reason) => this.#launcherLost(rank, reason),
      abort: (code) => platform.exit(code),
      gone: () => {
        this.#controlIsGone = true;
        if (this.#state.name === "open") options.onControlLost?.();
      },
      pending: () =>
        this.#state.name === "leaving" ? ["the goodbye"] : this.#receiver?.pending?.() ?? [],
    });
  }

  #open(peer: number, way: WayTo): Peer {
    const events: ConnectionEvents = {
      begin: (from, header, length) => this.#begin(from, header, length),
      end: (from, payload) => this.#sinkFor(from).end(from, payload),
      signal: (from, kind) => this.#signal(from, kind),
      broken: (from, cause) => this.#broken(from, cause),
    };
    return {
      connection: openLink(peer, way, events, this.#link?.isPassed(peer) ? null : this.#uplink),
      state: { name: "present" },
      awaited: 0,
      wait: { [Symbol.dispose]: () => this.#vigil.endWait(this.#peers[peer]!) },
      silence: this.#vigil.silence(Math.max(this.timeoutMs, this.#joinMs)),
      acknowledged: false,
      settled: Promise.withResolvers(),
      named: Promise.withResolvers(),
    };
  }

  get size(): number {
    return this.#peers.length;
  }

  /** Adds a rank, with a number that none has had before. */
  add(rank: number, host: string, way: WayTo): void {
    for (let number = this.size; number <= rank; number++) {
      this.#peers[number] = undefined;
      this.hosts[number] = "";
    }
    this.hosts[rank] = host;
    this.#carriers[rank] = carrierOf(way);
    const peer = this.#peers[rank] = this.#open(rank, way);
    if (this.#state.name !== "open") peer.connection.break(new Error("closed"));
    else if (this.#sink !== null) peer.connection.read();
  }

  get traffic(): Traffic {
    let sent = 0, received = 0;
    for (let peer = 0; peer < this.size; peer++) {
      const each = this.trafficWith(peer);
      sent += each.sent;
      received += each.received;
    }
    return { sent, received };
  }

  trafficWith(peer: number): Traffic {
    const { bytesSent: sent = 0, bytesReceived: received = 0 } = this.#peers[peer]?.connection ??
      {};
    return { sent, received };
  }

  carrierTo(peer: number): Carrier {
    return this.#carriers[peer];
  }

  /** What an access link would hold back must not find a way around it. */
  get bypassesSharedMemory(): boolean {
    return this.#wireOnly || this.#link?.isOwn === true;
  }

  start(sink: FrameSink): void {
    if (this.#sink !== null) throw new Error("a transport is started once");
    this.#downlink = this.#link && new Downlink(this.#link.shape, sink, (peer, error) => {
      this.#peers[peer]!.connection.break(
        error instanceof Error ? error : new Error(String(error)),
      );
    });
    this.#sink = this.#downlink ?? sink;
    this.#receiver = sink;
    for (const peer of this.#peers) {
      peer?.connection.read();
      if (peer?.state.name === "lost") this.#sink.lost(peer.connection.peer, peer.state.cause);
    }
    // Who comes to a running job goes on without members to which it has found no way.
    for (const rank of this.membership?.members ?? []) {
      if (rank === this.rank || this.#peers[rank] !== undefined) continue;
      this.#sink.lost(rank, new Error("it could not be reached"));
    }
  }

  send(peer: number, header: Uint8Array, payload?: Uint8Array): Promise<void> {
    const to = this.#peers[peer];
    if (to === undefined) {
      return Promise.reject(new RangeError(`rank ${this.rank} has no connection to rank ${peer}`));
    }
    if (payload !== undefined && payload.length > LARGEST_PAYLOAD) {
      return Promise.reject(
        new RangeError(
          `cannot send ${payload.length} bytes to rank ${peer} at once: a frame holds ${LARGEST_PAYLOAD} ` +
            "at most; exchange smaller buffers",
        ),
      );
    }
    if (hasLeft(to)) return Promise.reject(new Error(`rank ${peer} has left the job`));
    if (this.#state.name !== "open") {
      return Promise.reject(new Error(`rank ${this.rank} has left the job`));
    }
    return to.connection.send(PacketKind.DATA, header, payload);
  }

  expecting(peer: number): Disposable {
    return this.#vigil.expect(this.#peers[peer]);
  }

  /** Whether a launcher may say how ranks have ended. */
  get #isWatched(): boolean {
    return this.#control !== null && !this.#controlIsGone;
  }

  wordsSent(): Promise<void> | null {
    const isTold = this.#isWatched && this.#control?.tellsLosses !== false;
    return isTold ? null : emptied(WORD_MS, this.#peers, this.#uplink);
  }

  /** Whether somebody waits for another rank. */
  get isAwaiting(): boolean {
    return this.#vigil.isAwaiting;
  }

  silenceOf(peer: number): number {
    return this.#peers[peer]?.silence.seconds ?? 0;
  }

  /** Whether it is this rank that goes if the two cannot reach each other and both live. */
  #yieldsTo({ connection }: Peer): boolean {
    return this.onFailure === "return" && connection.peer < this.rank;
  }

  /** How much longer than others this rank waits for a sign of life, in ms. */
  #patienceWith(peer: Peer): number {
    const isElsewhere = this.hosts[peer.connection.peer] !== this.hosts[this.rank];
    const more = this.#isOfTheGivenUp && isElsewhere ? GIVEN_UP * this.timeoutMs : 0;
    return more + (this.#yieldsTo(peer) ? YIELD_MS : 0);
  }

  #begin(from: number, header: DataView, length: number): Uint8Array {
    if (hasLeft(this.#peers[from]!)) throw new Error(`rank ${from} sent a frame after its goodbye`);
    return this.#sinkFor(from).begin(from, header, length);
  }

  /** Where the frames of a rank go: behind the link, or past it. */
  #sinkFor(from: number): FrameSink {
    return this.#link?.isPassed(from) ? this.#receiver! : this.#sink!;
  }

  #signal(from: number, kind: number): void {
    const peer = this.#peers[from]!;
    switch (kind) {
      case PacketKind.PING:
        peer.connection.send(PacketKind.PONG).catch(() => {});
        break;
      case PacketKind.BYE:
        if (hasLeft(peer)) break;
        peer.connection.send(PacketKind.ACK).catch(() => {});
        this.#leave(peer);
        break;
      case PacketKind.ACK:
        peer.acknowledged = true;
        peer.settled.resolve("acknowledged");
        break;
    }
  }

  async #broken(from: number, cause: Error | undefined): Promise<void> {
    const peer = this.#peers[from]!;
    if (this.#state.name === "closed") return;
    if (peer.state.name === "present" && !peer.acknowledged) await this.#explain(peer, cause);
    await peer.noted;
    peer.settled.resolve("ended");
  }

  /** A connection broke: asks the launcher, who knows better how that rank ended, and who ended first. */
  async #explain(peer: Peer, cause: Error | undefined): Promise<void> {
    const { peer: rank } = peer.connection;
    const word = this.onFailure === "return" ? peer.named : this.#rootCause;
    const patience = (this.#isWatched ? WORD_MS : 0) + (this.#yieldsTo(peer) ? YIELD_MS : 0);
    const known = patience > 0 && await within(patience, word.promise);
    const seen = cause?.message ?? "its connection closed without a goodbye";
    const reason = !known
      ? seen
      : known.rank === rank
      ? known.reason
      : `${seen}, after rank ${known.rank} was lost: ${known.reason}`;
    this.#lose(peer, new Error(reason, { cause }));
  }

  /** The launcher says that a rank has ended although it was needed. */
  #launcherLost(rank: number, reason: string): void {
    this.#rootCause.resolve({ rank, reason });
    const peer = this.#peers[rank];
    if (peer === undefined) return;
    peer.named.resolve({ rank, reason });
    // A goodbye on the way out of an error was not what it seemed.
    this.#lose(peer, new Error(reason));
    // No acknowledgement comes any more, and nothing may say so where its host has gone with it.
    if (this.onFailure === "abort") peer.connection.break(new Error(reason));
  }

  #leave(peer: Peer): void {
    if (peer.state.name !== "present") return;
    peer.state = { name: "left" };
    this.#sink?.lost(peer.connection.peer, undefined);
  }

  #lose(peer: Peer, cause: Error): void {
    if (peer.state.name === "lost") return;
    peer.state = { name: "lost", cause, left: peer.state.name === "left" };
    peer.noted = this.#sink?.lost(peer.connection.peer, cause);
  }

  giveUp(rank: number, cause: Error, told: Promise<void>): void {
    const peer = this.#peers[rank];
    if (peer === undefined) return;
    // Others cannot reach one that this rank can: it may be the way to this host that has fallen silent.
    const isNear = this.hosts[rank] === this.hosts[this.rank];
    if (isNear && peer.state.name === "present") this.#isOfTheGivenUp = true;
    this.#lose(peer, cause);
    within(WORD_MS, told.then(() => this.#uplink?.drained())).then(() => {
      peer.connection.break(cause);
      peer.settled.resolve("ended");
    });
  }

  expelled(reason: string): void {
    if (this.#state.name !== "open") return;
    console.error(`celgc: rank ${this.rank} ends, since the others have given it up: ${reason}`);
    platform.exit(1);
  }

  async report(failure: FailureReport): Promise<void> {
    if (failure.lost !== undefined && this.onFailure === "abort") this.#reportedLoss = true;
    if (this.#control === null) return;
    const { message, operation = null, step = null, lost = null } = failure;
    await within(REPORT_MS, this.#control.report({ message, operation, step, lost }));
  }

  async abort(code: number, message: string): Promise<never> {
    if (this.#control !== null) {
      await within(REPORT_MS, this.#control.abort(code, message));
      // The launcher ends this process like all others; the rest is for when it does not.
      await new Promise((resolve) => platform.setTimeout(resolve, 1000));
    }
    platform.exit(code);
  }

  close(): Promise<void> {
    if (this.#state.name === "open") {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#state = { name: "leaving", done: promise };
      resolve(this.#close(promise));
    }
    return (this.#state as { done: Promise<void> }).done;
  }

  async #close(done: Promise<void>): Promise<void> {
    // Where the caller knows that the job is lost, a goodbye, which comes last, would tell the others otherwise.
    const isKnown = this.#hasLostAny();
    if (!isKnown) await this.#uplink?.drained();
    if (isKnown || this.#reportedLoss) return await this.#leaveTheLost(done);
    const goesOn = this.onFailure === "return", isLost = this.#hasLostAny();
    const peers = this.#peers.filter((peer) =>
      peer !== undefined && !(goesOn && peer.state.name === "lost")
    ) as Peer[];
    const losses = peers.map((peer) => isLost ? lossOf(peer) : this.#farewell(peer));
    const missed = (await Promise.all(losses)).filter((loss) => loss !== null);
    if (missed.length > 0 && !goesOn) {
      await this.#leaveTheLost(done);
      const { rank: gone, cause, silent } = missed.find(({ silent }) => silent) ?? missed[0];
      // Who went because it had lost another is not to blame.
      const named = silent ? undefined : await within(0, this.#rootCause.promise);
      const { rank, reason } = named ?? { rank: gone, reason: cause?.message };
      const operation = "the goodbye to it", host = this.hosts[rank];
      const error = new PeerLostError({ rank, host, operation, reason, cause: cause?.cause });
      // Of a process that has ended the launcher knows; what has fallen silent it must be told.
      if (silent) await this.report({ message: error.message, operation, lost: rank });
      throw error;
    }
    await this.#control?.finalize();
    this.#disconnect(done);
  }

  /** Whether this rank has lost another, which ends the job. */
  #hasLostAny(): boolean {
    if (this.onFailure === "return") return false;
    return this.#reportedLoss || this.#peers.some((peer) => peer?.state.name === "lost");
  }

  /** Goes without a goodbye, but not before the others can know why. */
  async #leaveTheLost(done: Promise<void>): Promise<void> {
    await this.wordsSent();
    this.#disconnect(done);
  }

  #disconnect(done: Promise<void>): void {
    this.#state = { name: "closed", done };
    this.#vigil.end();
    this.#uplink?.close();
    this.#downlink?.close();
    for (const peer of this.#peers) peer?.connection.break(new Error("closed"));
  }

  /** Says goodbye to a peer. Returns its loss if it was lost before it had read everything, or null. */
  async #farewell(peer: Peer) {
    using _wait = this.expecting(peer.connection.peer);
    peer.connection.send(PacketKind.BYE).catch(() => {});
    const outcome = await peer.settled.promise;
    if (outcome === "acknowledged") return null;
    // Who has said goodbye and closed its end wanted nothing more; who has stopped before that, did.
    if (outcome === "ended" && hasLeft(peer)) return null;
    return missedFarewell(peer, outcome);
  }
}
