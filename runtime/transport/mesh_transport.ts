/**
 * The transport over one connection to every other rank.
 *
 * @module
 */

import { PeerLostError } from "../base/errors.ts";
import { clearInterval, setInterval } from "node:timers";
import { endOrphan } from "../bootstrap/stdin.ts";
import type { RendezvousClient } from "../rendezvous/client.ts";
import type { LinkShape } from "./access_link.ts";
import { Downlink, Uplink } from "./_traffic_shaper.ts";
import type { FailureReport, FrameSink, Transport } from "./transport.ts";
import { Connection, PacketKind } from "./connection.ts";

/** How long to wait for word from the launcher on why a connection broke. */
const WORD_MS = 1000;

/** What a {@linkcode MeshTransport} is made of. */
export interface MeshOptions {
  readonly rank: number;
  readonly size: number;
  /** Host name of each rank. */
  readonly hosts: readonly string[];
  /** A proven connection to each other rank, owned by the transport; undefined for this rank. */
  readonly connections: readonly (Deno.Conn | undefined)[];
  /**
   * The connection to the rendezvous; null if there is none. It outlives the transport, because a
   * rank that fails after its goodbye has something to say.
   */
  readonly control: RendezvousClient | null;
  readonly timeoutMs: number;
  /** The access link that this rank is to be behind; null or absent: none. */
  readonly link?: LinkShape | null;
  /** Whether every frame has to go over a connection. @default {false} */
  readonly exclusive?: boolean;
  /** Whether the end of the rendezvous is that of the launcher, and so of this process. @default {true} */
  readonly launched?: boolean;
}

/** What is known of one other rank. */
interface Peer {
  readonly link: Connection;
  /** How many wait for it. */
  awaited: number;
  /** Ends one of these waits; one object for all, since there is one for each frame. */
  readonly wait: Disposable;
  /** Ticks since its last sign of life, while somebody waits. */
  silent: number;
  /** Whether it has said goodbye. */
  left: boolean;
  /** Whether it has acknowledged this rank's goodbye. */
  acknowledged: boolean;
  /** Its end as reported to the sink; undefined while it is there. */
  lost: Error | null | undefined;
  /** Resolves `#farewell`. */
  settle: (() => void) | null;
}

/** The wait for a rank that there is no connection to. */
const NO_WAIT: Disposable = { [Symbol.dispose]() {} };

/** Ordered, reliable frames over one connection to each other rank. */
export class MeshTransport implements Transport {
  readonly rank: number;
  readonly size: number;
  readonly hosts: readonly string[];
  readonly timeoutMs: number;

  readonly #control: RendezvousClient | null;
  readonly #peers: (Peer | undefined)[];
  readonly #tickMs: number;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #link: LinkShape | null;
  readonly #exclusive: boolean;
  readonly #uplink: Uplink | null;
  #downlink: Downlink | null = null;
  #sink: FrameSink | null = null;
  #awaited = 0;
  #held = false;
  #closing: Promise<void> | null = null;
  #abandoned = false;
  /** Whether this rank has reported the loss of another. */
  #failed = false;
  /** Rank whose end brought down the job, as the launcher sees it, and its words. */
  #word: { rank: number; reason: string } | null = null;
  #heardWord: (() => void)[] = [];

  constructor(options: MeshOptions) {
    const { rank, size, hosts, connections, control, timeoutMs, link = null } = options;
    this.#exclusive = options.exclusive ?? false;
    this.rank = rank;
    this.size = size;
    this.hosts = hosts;
    this.timeoutMs = timeoutMs;
    this.#control = control;
    this.#link = link;
    this.#uplink = link && new Uplink(link);
    this.#peers = connections.map((connection, peer) =>
      connection === undefined ? undefined : {
        link: new Connection(peer, connection, {
          begin: (from, header, length) => this.#begin(from, header, length),
          end: (from, payload) => this.#sink!.end(from, payload),
          signal: (from, kind) => this.#signal(from, kind),
          broken: (from, cause) => this.#broken(from, cause),
        }),
        awaited: 0,
        wait: { [Symbol.dispose]: () => this.#endWait(peer) },
        silent: 0,
        left: false,
        acknowledged: false,
        lost: undefined,
        settle: null,
      }
    );
    // Silence is counted in ticks of this timer and not by the clock, so that a pause of this very
    // process (a long computation, SIGSTOP, a sleeping laptop) is not held against the others.
    this.#tickMs = Math.max(10, Math.min(500, timeoutMs / 20));
    this.#timer = setInterval(() => this.#tick(), this.#tickMs);
    this.#timer.unref();
    control?.start({
      lost: (rank, reason) => this.#told(rank, reason),
      abort: (code) => Deno.exit(code),
      gone: () => options.launched !== false && this.#orphaned(),
    });
  }

  get traffic(): { readonly sent: number; readonly received: number } {
    let sent = 0, received = 0;
    for (const peer of this.#peers) {
      sent += peer?.link.bytesSent ?? 0;
      received += peer?.link.bytesReceived ?? 0;
    }
    return { sent, received };
  }

  /** A link's frames must not find a way around it. */
  get bypassesSharedMemory(): boolean {
    return this.#exclusive || this.#link !== null;
  }

  start(sink: FrameSink): void {
    if (this.#sink !== null) throw new Error("a transport is started once");
    this.#downlink = this.#link && new Downlink(this.#link, sink, (peer, error) => {
      this.#peers[peer]!.link.break(error instanceof Error ? error : new Error(String(error)));
    });
    this.#sink = this.#downlink ?? sink;
    for (const peer of this.#peers) peer?.link.read();
  }

  send(peer: number, header: Uint8Array, payload?: Uint8Array): Promise<void> {
    const to = this.#peers[peer];
    if (to === undefined) {
      return Promise.reject(new RangeError(`rank ${this.rank} has no connection to rank ${peer}`));
    }
    if (to.left) return Promise.reject(new Error(`rank ${peer} has left the job`));
    if (this.#closing !== null) {
      return Promise.reject(new Error(`rank ${this.rank} has left the job`));
    }
    if (this.#uplink === null) return to.link.send(PacketKind.DATA, header, payload);
    return this.#uplink.send(
      (...frame) => to.link.send(PacketKind.DATA, ...frame),
      header,
      payload,
    );
  }

  expecting(peer: number): Disposable {
    const expected = this.#peers[peer];
    if (expected === undefined) return NO_WAIT;
    if (expected.awaited === 0) expected.silent = 0;
    expected.awaited++;
    this.#awaited++;
    // Idle reads do not keep a process alive; somebody who waits must. Letting go is left to the
    // next tick, because waits follow each other closely.
    if (!this.#held) {
      this.#held = true;
      this.#timer.ref();
    }
    return expected.wait;
  }

  #endWait(peer: number): void {
    this.#peers[peer]!.awaited--;
    this.#awaited--;
  }

  #tick(): void {
    if (this.#held && this.#awaited === 0) {
      this.#held = false;
      this.#timer.unref();
    }
    const limit = this.timeoutMs / this.#tickMs, ask = Math.max(1, Math.floor(limit / 4));
    for (const peer of this.#peers) {
      if (peer === undefined || peer.lost !== undefined) continue;
      if (peer.awaited === 0 && !peer.link.busy) continue;
      if (peer.link.heard) {
        peer.link.heard = false;
        peer.silent = 0;
        continue;
      }
      peer.silent++;
      if (peer.silent >= limit) {
        const seconds = this.timeoutMs / 1000;
        const cause = new Error(`it gave no sign of life for ${seconds} s`);
        this.#lose(peer, cause);
        peer.link.break(cause);
      } else if (peer.silent % ask === 0) {
        peer.link.send(PacketKind.PING).catch(() => {});
      }
    }
  }

  #begin(from: number, header: DataView, length: number): Uint8Array {
    if (this.#peers[from]!.left) throw new Error(`rank ${from} sent a frame after its goodbye`);
    return this.#sink!.begin(from, header, length);
  }

  #signal(from: number, kind: number): void {
    const peer = this.#peers[from]!;
    switch (kind) {
      case PacketKind.PING:
        peer.link.send(PacketKind.PONG).catch(() => {});
        break;
      case PacketKind.BYE:
        if (peer.left) break;
        peer.left = true;
        peer.link.send(PacketKind.ACK).catch(() => {});
        this.#lose(peer, null);
        break;
      case PacketKind.ACK:
        peer.acknowledged = true;
        peer.settle?.();
        break;
    }
  }

  async #broken(from: number, cause: Error | undefined): Promise<void> {
    const peer = this.#peers[from]!;
    if (this.#abandoned) return;
    if (peer.lost === undefined && !peer.acknowledged) await this.#explain(peer, cause);
    peer.settle?.();
  }

  async #explain(peer: Peer, cause: Error | undefined): Promise<void> {
    const from = peer.link.peer;
    // Whoever started the ranks knows better how this one ended, and which one ended first.
    if (this.#word === null && this.#control !== null) await this.#waitForWord();
    const word = this.#word as { rank: number; reason: string } | null;
    const seen = cause?.message ?? "its connection closed without a goodbye";
    if (word === null) this.#lose(peer, new Error(seen, { cause }));
    else if (word.rank === from) this.#lose(peer, new Error(word.reason, { cause }));
    else {
      this.#lose(peer, new Error(`${seen}, after rank ${word.rank} was lost: ${word.reason}`));
    }
  }

  #waitForWord(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, WORD_MS);
      this.#heardWord.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** The launcher says that a rank has ended although it was needed. */
  #told(rank: number, reason: string): void {
    this.#word ??= { rank, reason };
    for (const wake of this.#heardWord) wake();
    this.#heardWord = [];
    const peer = this.#peers[rank];
    if (peer === undefined) return;
    // A goodbye on the way out of an error was not what it seemed.
    if (peer.lost === null) peer.lost = undefined;
    this.#lose(peer, new Error(reason));
    if (!peer.left) peer.link.break(new Error(reason));
  }

  #lose(peer: Peer, cause: Error | null): void {
    if (peer.lost !== undefined) return;
    peer.lost = cause;
    this.#sink?.lost(peer.link.peer, cause ?? undefined);
  }

  /** The launcher is gone, so nobody looks after this process any more. */
  #orphaned(): void {
    if (this.#closing !== null) return;
    endOrphan();
  }

  async report(failure: FailureReport): Promise<void> {
    if (failure.lost !== undefined) this.#failed = true;
    if (this.#control === null) return;
    const { message, operation = null, step = null, lost = null } = failure;
    await within(1000, this.#control.report({ message, operation, step, lost }));
  }

  async abort(code: number, message: string): Promise<never> {
    if (this.#control !== null) {
      await within(1000, this.#control.abort(code, message));
      // The launcher ends this process like all others; the rest is for when it does not.
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    Deno.exit(code);
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    // The caller knows already that the job is lost. A goodbye would tell the others otherwise.
    const failed = () => this.#failed || this.#peers.some((peer) => peer?.lost instanceof Error);
    if (failed()) return this.#abandon();
    await this.#uplink?.drained(); // a goodbye comes last
    if (failed()) return this.#abandon();
    const missed = (await Promise.all(this.#peers.map((peer) => this.#farewell(peer))))
      .filter((peer) => peer !== undefined);
    if (missed.length > 0) {
      this.#abandon();
      const [{ link: { peer }, lost }] = missed;
      throw new PeerLostError({
        rank: peer,
        host: this.hosts[peer],
        operation: "the goodbye to it",
        reason: lost?.message,
        cause: lost,
      });
    }
    await this.#control?.finalize();
    this.#abandon();
  }

  #abandon(): void {
    this.#abandoned = true;
    clearInterval(this.#timer);
    this.#uplink?.close();
    this.#downlink?.close();
    for (const peer of this.#peers) peer?.link.break(new Error("closed"));
  }

  /** Says goodbye to a peer. Returns the peer if it was lost before it had read everything. */
  async #farewell(peer: Peer | undefined): Promise<Peer | undefined> {
    if (peer === undefined) return;
    if (peer.lost instanceof Error) return peer;
    if (peer.link.failure !== null) return;
    const settled = new Promise<void>((resolve) => peer.settle = resolve);
    using _wait = this.expecting(peer.link.peer);
    peer.link.send(PacketKind.BYE).catch(() => {});
    await settled;
    if (!peer.acknowledged && !peer.left) return peer;
  }
}

/** Waits for a promise, but not longer than this, and not for how it ends. */
async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout>;
  const expiry = new Promise((resolve) => timer = setTimeout(resolve, ms));
  await Promise.race([promise.catch(() => {}), expiry]);
  clearTimeout(timer!);
}
