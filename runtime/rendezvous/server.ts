/**
 * Where the ranks of a job find each other. A server, in the launcher or in whichever process is
 * rank 0, takes in one proven connection a rank, waits until all have said where they listen, and
 * gives everyone the table. The connections stay open: through them the ranks learn of each other's
 * end, and the server learns why.
 *
 * @module
 */

import { JsonChannel } from "./json_channel.ts";
import {
  checkRankMessage,
  type JoinMessage,
  largestMessage,
  type RankMessage,
  type ReportMessage,
  type ServerMessage,
  shorten,
  type TableEntry,
} from "./messages.ts";
import { Newcomers } from "./newcomers.ts";
import type { OnFailure } from "../transport/transport.ts";
import { type Admission, AuthenticatingListener } from "../security/authenticating_listener.ts";
import { type Credentials, RENDEZVOUS_RANK } from "../security/handshake.ts";
import { platform } from "../base/platform.ts";

/** What happens at the rendezvous. */
export interface RendezvousEvents {
  /** A rank has said where it is, and what the loss of a rank is to be to the others. */
  joined?(rank: number, host: string, onFailure: OnFailure): void;
  /** All have. */
  complete?(): void;
  report?(rank: number, report: ReportMessage): void;
  abort?(rank: number, code: number, message: string): void;
  /** A rank has said goodbye to all others. */
  finalized?(rank: number): void;
  /** A rank that was asked says in which operations it waits for others. */
  pending?(rank: number, operations: readonly string[]): void;
  /** A process that had come to the running job is a rank of it. */
  admitted?(rank: number): void;
  /** A rank's connection has ended. */
  gone?(rank: number): void;
}

/** What a {@linkcode RendezvousServer} needs. */
export interface RendezvousOptions {
  /**
   * Where ranks come in: a listener of its own, which the rendezvous closes once all have joined, or one
   * that has other visitors too, which stays.
   */
  readonly listener: Deno.Listener | AuthenticatingListener;
  readonly job: Credentials;
  /** Number of ranks. */
  readonly size: number;
  readonly events: RendezvousEvents;
  /**
   * Whether there is no launcher: then it does not keep the process alive once a rank has come, and
   * passes a rank's abort on to all. It also ends the job, saying who is missing, if a rank leaves
   * before all have joined, or all have not joined by the deadline. @default {false}
   */
  readonly alone?: boolean;
  /**
   * Without a launcher, what the loss of a rank is to the others: with `return` they are told of it.
   * @default {"abort"}
   */
  readonly onFailure?: OnFailure;
  /** When all must have joined, on the clock of `performance.now()`; used without a launcher. */
  readonly deadline?: number;
}

/** The server's side; the ranks' side is `RendezvousClient`. */
export class RendezvousServer {
  readonly #options: RendezvousOptions;
  /** Lets no more ranks in. */
  readonly #shut: () => void;
  readonly #channels = new Map<number, JsonChannel>();
  readonly #served = new Map<number, Promise<void>>();
  readonly #table: (TableEntry | undefined)[];
  readonly #finalized = new Set<number>();
  /** What the loss of a rank is to be to the others, with a rank that wants it. */
  readonly #wishes = new Map<OnFailure, number>();
  /** Processes that come to the running job, by the ranks that they are to be. */
  readonly #newcomers: Newcomers;
  #missing: number;
  #expiry: ReturnType<typeof setTimeout> | undefined;
  #ended = false;

  constructor(options: RendezvousOptions) {
    this.#options = options;
    this.#missing = options.size;
    this.#table = new Array(options.size).fill(undefined);
    this.#newcomers = new Newcomers({
      hosts: () => this.#table.map((entry) => entry?.host ?? ""),
      announce: (message) => this.announce(message),
      tell: (rank, message) => void this.#channels.get(rank)?.send(message).catch(() => {}),
      admitted: (rank) => options.events.admitted?.(rank),
    });
    const admission: Admission = {
      purpose: "rendezvous",
      self: RENDEZVOUS_RANK,
      isExpected: (rank) => this.#isRank(rank),
      onAccepted: (rank, connection) => {
        this.#served.set(
          rank,
          this.#serve(rank, new JsonChannel(connection, largestMessage(options.size))),
        );
      },
    };
    const { listener, job, alone, deadline } = options;
    if (listener instanceof AuthenticatingListener) {
      this.#shut = listener.serve(admission);
    } else {
      const own = new AuthenticatingListener({ ...admission, listener, job });
      this.#shut = () => own.close();
    }
    if (alone && deadline !== undefined) {
      const ms = Math.max(0, deadline - platform.now());
      this.#expiry = platform.setTimeout(
        () => this.#giveUp("not all ranks have joined in time"),
        ms,
      );
    }
  }

  /** Ranks that have not said where they are. */
  get missing(): number[] {
    return [...this.#table.keys()].filter((rank) => this.#table[rank] === undefined);
  }

  /** A process is about to come to the running job, which would be a rank beyond its size. */
  expect(rank: number): void {
    this.#newcomers.expect(rank);
  }

  /** Resolves once nothing more can come from a rank: it has never come, or its connection has ended. */
  async gone(rank: number): Promise<void> {
    await this.#served.get(rank);
  }

  /** Tells all ranks that are still connected. */
  announce(message: ServerMessage): void {
    for (const channel of this.#channels.values()) channel.send(message).catch(() => {});
  }

  /** Ends all connections. */
  close(): void {
    this.#ended = true;
    platform.clearTimeout(this.#expiry);
    this.#shut();
    for (const channel of this.#channels.values()) channel.close();
  }

  async #serve(rank: number, channel: JsonChannel): Promise<void> {
    this.#channels.set(rank, channel);
    if (this.#options.alone) channel.unref();
    try {
      for (;;) {
        const value = await channel.receive();
        if (value === null) break;
        await this.#take(rank, channel, checkRankMessage(value));
      }
    } catch {
      // A rank that breaks off or breaks the protocol is gone.
    }
    this.#channels.delete(rank);
    channel.close();
    this.#options.events.gone?.(rank);
    this.#newcomers.gone(rank);
    const { alone, onFailure } = this.#options;
    if (!alone || this.#ended) return;
    if (this.#missing > 0) {
      this.#table[rank] = undefined;
      this.#giveUp(`rank ${rank} left before all had joined`);
    } else if (onFailure === "return" && !this.#finalized.has(rank)) {
      this.announce({ type: "lost", rank, reason: "its process has ended" });
    }
  }

  /** Without a launcher: ends a job that cannot become complete. */
  #giveUp(reason: string): void {
    const ranks = this.missing, words = ranks.length === 1 ? "rank" : "ranks";
    this.#refuse(`${reason}; missing: ${words} ${ranks.join(", ")}`);
  }

  /** Ends a job that cannot begin. */
  #refuse(reason: string, rank = this.missing[0]): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#shut();
    platform.clearTimeout(this.#expiry);
    const message = shorten(reason);
    this.announce({ type: "abort", code: 1, message });
    if (!this.#options.alone) this.#options.events.abort?.(rank, 1, message);
  }

  async #take(rank: number, channel: JsonChannel, message: RankMessage): Promise<void> {
    const { events } = this.#options;
    switch (message.type) {
      case "join":
        if (rank >= this.#options.size) return this.#newcomers.knock(rank, message);
        return this.#join(rank, message);
      case "invite":
        return this.#newcomers.invite(message);
      case "welcome":
        return this.#newcomers.welcome(message);
      case "pending":
        return events.pending?.(rank, message.operations);
      case "report":
        if (message.lost !== null && !this.#isRank(message.lost)) {
          throw new TypeError(`rank ${rank} lost rank ${message.lost} of ${this.#options.size}`);
        }
        return events.report?.(rank, message);
      case "abort":
        if (this.#options.alone) this.announce(message);
        return events.abort?.(rank, message.code, message.message);
      case "finalized":
        this.#finalized.add(rank);
        events.finalized?.(rank);
        return await channel.send(message);
    }
  }

  #isRank(rank: number): boolean {
    return rank < this.#options.size || this.#newcomers.isExpected(rank);
  }

  #join(rank: number, message: JoinMessage): void {
    const { type: _, pid: __, onFailure = "abort", ...entry } = message, { host } = entry;
    if (this.#table[rank] !== undefined) throw new TypeError(`rank ${rank} joined twice`);
    this.#table[rank] = entry;
    this.#options.events.joined?.(rank, host, onFailure);
    const [other] = this.#wishes;
    this.#wishes.set(onFailure, rank);
    if (other !== undefined && other[0] !== onFailure) {
      const reason =
        `cannot start: rank ${rank} joined with onFailure "${onFailure}", rank ${other[1]} ` +
        `with "${other[0]}", and all ranks of a job take the same`;
      return this.#refuse(reason, rank);
    }
    if (--this.#missing > 0) return;
    if (this.#options.alone || onFailure === "abort") this.#shut();
    platform.clearTimeout(this.#expiry);
    this.announce({ type: "table", ranks: this.#table as TableEntry[] });
    this.#options.events.complete?.();
  }
}
