/**
 * A rank's connection to the rendezvous, open from its first word to its end.
 *
 * @module
 */

import { JsonChannel } from "./json_channel.ts";
import {
  checkServerMessage,
  type InvitedMessage,
  type InviteMessage,
  type JoinMessage,
  type KnockMessage,
  largestMessage,
  MOST_PENDING,
  MOST_RANKS,
  type ReportMessage,
  type ServerMessage,
  shorten,
  type TableEntry,
  type WelcomeMessage,
} from "./messages.ts";
import { dialMember } from "../security/dialer.ts";
import {
  describeConnectionError,
  type Endpoint,
  type TlsMaterial,
  withScope,
} from "../security/endpoint.ts";
import { RendezvousError } from "../base/errors.ts";
import type { JobControl, JobEvents } from "../transport/transport.ts";
import { type Credentials, RENDEZVOUS_RANK } from "../security/handshake.ts";
import { platform } from "../base/platform.ts";

/** How a rank reaches the rendezvous. */
export interface JoinOptions {
  readonly hostname: string;
  readonly port: number;
  readonly job: Credentials;
  readonly rank: number;
  readonly size: number;
  readonly tls?: TlsMaterial;
  /** When to give up, on the clock of `performance.now()`. */
  readonly deadline: number;
  /** Whether not to try again. @default {false} */
  readonly once?: boolean;
  /** Whether a launcher serves it, which tells all ranks who was lost. @default {true} */
  readonly tellsLosses?: boolean;
}

/** How much longer than the rendezvous a rank waits, in ms: the rendezvous knows who is missing. */
const GRACE_MS = 3000;

/** A rank's connection to the rendezvous. */
export class RendezvousClient implements JobControl {
  /** Address of this host as the rendezvous sees it: where others can reach this rank. */
  readonly localHostname: string;
  /** As in {@linkcode JoinOptions}. */
  readonly tellsLosses: boolean;
  /** Processes that wait to be let in, by the ranks that they would be. */
  readonly waiting: Map<number, TableEntry> = new Map();
  /** Those that have waited, and do so no longer: they do not come again. */
  readonly done: Set<number> = new Set();
  /** Called when one has come, or gone. */
  onKnock: ((rank: number) => void) | null = null;
  /** Ranks that are said to be lost. */
  readonly lost: Set<number> = new Set();
  /** Called when one more is. */
  onLost: (() => void) | null = null;
  #mostRanks: number;
  readonly #channel: JsonChannel;
  readonly #options: JoinOptions;
  #events: JobEvents | null = null;
  /** What has come before somebody listened, oldest first. */
  #early: ServerMessage[] = [];
  #listening: Promise<void> | null = null;
  #finalized: (() => void) | null = null;
  #closed = false;

  private constructor(connection: Deno.Conn, options: JoinOptions) {
    this.#options = options;
    this.tellsLosses = options.tellsLosses ?? true;
    this.#mostRanks = options.size;
    // Who comes to a running job is told of all ranks that it has had.
    const ranks = Math.max(options.size, options.rank + 1);
    this.#channel = new JsonChannel(connection, largestMessage(ranks));
    const { hostname } = connection.localAddr as Deno.NetAddr;
    this.localHostname = withScope(hostname, options.hostname);
  }

  /** Dials the rendezvous and proves this rank to it. */
  static async connect(options: JoinOptions): Promise<RendezvousClient> {
    const { hostname, port, job, rank, tls, deadline, once } = options;
    const connection = await dialMember({
      endpoints: [{ kind: "tcp", hostname, port }],
      job,
      purpose: "rendezvous",
      self: rank,
      peer: RENDEZVOUS_RANK,
      name: "the rendezvous",
      tls,
      deadline,
      once,
    });
    return new RendezvousClient(connection, options);
  }

  /**
   * Says where this rank listens and waits for all others to do so.
   *
   * @param deadline when all should have joined, on the clock of `performance.now()`; the rendezvous
   *   gets a few seconds more to say who is missing
   * @param wishes what the others are to know of the ways to this rank
   * @throws RendezvousError if the job ends before all have joined, or the deadline has passed
   */
  async join(
    host: string,
    endpoints: readonly Endpoint[],
    deadline = this.#options.deadline,
    wishes: Pick<JoinMessage, "dialsOut" | "connections" | "onFailure"> = {},
  ): Promise<readonly TableEntry[]> {
    const { rank } = this.#options;
    let late = false;
    const timer = platform.setTimeout(() => {
      late = true;
      this.close();
    }, Math.max(0, deadline - platform.now()) + GRACE_MS);
    try {
      return await this.#exchange({ type: "join", host, pid: platform.pid, endpoints, ...wishes });
    } catch (error) {
      this.close();
      if (!late && error instanceof RendezvousError) throw error;
      const reason = late
        ? "the rendezvous has not said in time that all ranks are there"
        : `the way to the rendezvous broke: ${describeConnectionError(error)}`;
      throw new RendezvousError(`rank ${rank} cannot join: ${reason}`, { cause: error });
    } finally {
      platform.clearTimeout(timer);
    }
  }

  async #exchange(join: JoinMessage): Promise<readonly TableEntry[]> {
    if (join.onFailure === "return") this.#mostRanks = MOST_RANKS;
    await this.#channel.send(join);
    for (;;) {
      const message = await this.#next();
      if (message.type === "table") return message.ranks;
      if (message.type === "lost") {
        throw new RendezvousError(
          `rank ${this.#options.rank} cannot join: rank ${message.rank} is lost: ${message.reason}`,
        );
      }
    }
  }

  /** The next message, for one that waits to be let in; not to be called once this reads by itself. */
  async #next(): Promise<ServerMessage> {
    const { rank, size } = this.#options, value = await this.#channel.receive();
    if (value === null) {
      throw new RendezvousError(`rank ${rank} cannot join: the rendezvous has closed`);
    }
    const message = checkServerMessage(value, size, this.#mostRanks);
    if (message.type === "abort") {
      throw new RendezvousError(`rank ${rank} cannot join: ${message.message}`);
    }
    if (message.type === "knock") this.#note(message);
    if (message.type === "lost") await this.#hear(message);
    return message;
  }

  #note({ rank, entry }: KnockMessage): void {
    if (entry === null) this.settle(rank);
    else if (!this.done.has(rank)) this.waiting.set(rank, entry);
    this.onKnock?.(rank);
  }

  /** A process waits no longer: it is let in, or sent away. The rendezvous may say so later. */
  settle(rank: number): void {
    this.waiting.delete(rank);
    this.done.add(rank);
  }

  /**
   * Comes to a running job, and waits until its ranks let this process in, however long that takes.
   *
   * @throws RendezvousError if the job ends before
   */
  async knock(join: Omit<JoinMessage, "type" | "pid">): Promise<InvitedMessage> {
    this.#mostRanks = MOST_RANKS;
    await this.#channel.send({ type: "join", pid: platform.pid, ...join });
    for (;;) {
      const message = await this.#next();
      if (message.type === "invited") return message;
    }
  }

  /**
   * Waits for what the ranks have agreed on, after {@linkcode RendezvousClient.knock}.
   *
   * @param invited what that gave: it is agreed on for all of these at once
   */
  async welcomed({ newcomers }: InvitedMessage): Promise<WelcomeMessage> {
    for (;;) {
      const message = await this.#next();
      if (message.type !== "welcome") continue;
      for (const [rank] of newcomers) this.settle(rank);
      return message;
    }
  }

  /** Says that this rank is about to connect to a newcomer, or what the ranks have agreed on. */
  usher(message: InviteMessage | WelcomeMessage): void {
    if (!this.#closed) this.#channel.send(message).catch(() => {});
  }

  /** Reads what comes from here on, for {@linkcode RendezvousClient.start} to hear, or who asks what this knows. */
  readAhead(): void {
    this.#listening ??= this.#listen();
  }

  /** Starts to listen to the rendezvous; does not keep the process alive. */
  start(events: JobEvents): void {
    this.#channel.unref();
    this.#events = events;
    for (const message of this.#early.splice(0)) this.#hear(message).catch(() => {});
    this.readAhead();
    this.#listening!.then(() => this.#end());
  }

  async #listen(): Promise<void> {
    try {
      for (;;) {
        const value = await this.#channel.receive();
        if (value === null) break;
        await this.#hear(checkServerMessage(value, this.#options.size, this.#mostRanks));
      }
    } catch {
      // The same as its end.
    }
  }

  /** Takes a message in; what nobody listens to yet is kept for who will. */
  async #hear(message: ServerMessage): Promise<void> {
    const events = this.#events;
    if (message.type === "knock") return this.#note(message);
    if (message.type === "lost" && !this.lost.has(message.rank)) {
      this.lost.add(message.rank);
      this.onLost?.();
    }
    if (events === null) return void this.#early.push(message);
    if (message.type === "lost") events.lost(message.rank, message.reason);
    if (message.type === "abort") events.abort(message.code, message.message);
    if (message.type === "finalized") this.#finalized?.();
    if (message.type === "inquiry") await this.#respond();
  }

  /** Nothing more comes. */
  #end(): void {
    if (this.#closed) return;
    const finalized = this.#finalized;
    this.close();
    if (finalized !== null) finalized();
    else this.#events?.gone();
  }

  /** Says in which operations this rank waits for others. */
  async #respond(): Promise<void> {
    const operations = (this.#events?.pending() ?? []).slice(0, MOST_PENDING)
      .map((operation) => shorten(operation, 200));
    await this.#channel.send({ type: "pending", operations });
  }

  /** Says what went wrong. */
  report(report: Omit<ReportMessage, "type">): Promise<void> {
    return this.#channel.send({
      type: "report",
      ...report,
      message: shorten(report.message),
      operation: report.operation === null ? null : shorten(report.operation, 200),
    });
  }

  /** Asks for the end of the job. */
  abort(code: number, message: string): Promise<void> {
    return this.#channel.send({ type: "abort", code, message: shorten(message) });
  }

  /** Says that this rank has taken its leave of all others; resolves when that is known. */
  async finalize(): Promise<void> {
    if (this.#closed) return;
    const known = new Promise<void>((resolve) => this.#finalized = resolve);
    // The promise alone would not keep the process alive until the answer is here.
    const hold = platform.setTimeout(() => this.#finalized?.(), 2000);
    try {
      await this.#channel.send({ type: "finalized" });
      await known;
    } catch {
      // Nobody left to tell.
    } finally {
      platform.clearTimeout(hold);
    }
  }

  /** Ends the connection. */
  close(): void {
    this.#closed = true;
    this.#channel.close();
  }
}
