/**
 * The coordinator's side of an agent: the ranks on another host as if they were here.
 *
 * @module
 */

import { PassThrough, Writable } from "node:stream";
import { type AgentChannel, SendWindow } from "./channel.ts";
import { type AgentMessage, type HelloMessage, MOST_BYTES, type StartMessage } from "./messages.ts";
import type { ExitStatus, Rank, StreamName } from "../ranks/rank.ts";

/** How long an agent may take to say that a rank has been killed, in ms. */
const KILL_MS = 3000;

/** What a remote host tells whoever runs the job. */
export interface RemoteHostEvents {
  /** It is gone. */
  lost(reason: string): void;
  /** Its user has ended the job. */
  interrupt(how: string): void;
}

/** A host with an agent that has been let in. */
export class RemoteHost {
  /** What it has said of itself. */
  readonly hello: HelloMessage;
  /** Whether other hosts cannot reach it. */
  readonly dialsOut: boolean;
  readonly #channel: AgentChannel<AgentMessage>;
  #ranks = new Map<number, RemoteRank>();
  #job = 0;
  #lost: string | null = null;

  /** @param channel owned by the host */
  constructor(
    channel: AgentChannel<AgentMessage>,
    hello: HelloMessage,
    dialsOut: boolean,
    events: RemoteHostEvents,
  ) {
    this.hello = hello;
    this.dialsOut = dialsOut;
    this.#channel = channel;
    channel.deliver((message) => this.#take(message, events)).then((reason) => {
      this.#lost = reason;
      for (const rank of this.#ranks.values()) this.#lose(rank, reason);
      events.lost(reason);
    });
  }

  /** Why it is gone, or null. */
  get lost(): string | null {
    return this.#lost;
  }

  /** Starts its ranks of a job; that they cannot be started is the end of each of them. */
  start(message: StartMessage): readonly Rank[] {
    this.#job = message.job;
    const ranks = Array.from({ length: message.count }, (_, i) => {
      const rank = message.first + i;
      return new RemoteRank(message.job, rank, message.stdin.includes(rank), this.#channel);
    });
    this.#ranks = new Map(ranks.map((rank) => [rank.rank, rank]));
    this.#channel.send(message);
    if (this.#lost !== null) { for (const rank of ranks) this.#lose(rank, this.#lost); }
    return ranks;
  }

  /** Starts a rank in the stead of one of its own that is lost. */
  respawn(rank: number, lost: number): Rank {
    const started = new RemoteRank(this.#job, rank, false, this.#channel);
    this.#ranks.set(rank, started);
    this.#channel.send({ type: "respawn", job: this.#job, rank, lost });
    if (this.#lost !== null) this.#lose(started, this.#lost);
    return started;
  }

  /** Whether it has a rank of the job that runs. */
  has(rank: number): boolean {
    return this.#ranks.has(rank);
  }

  /** A rank has ended, and all that it had printed is read. */
  forget(rank: number): void {
    this.#ranks.delete(rank);
  }

  /** Has it fetch a connection for one of its ranks. */
  fetch(rank: number, ticket: number): void {
    this.#channel.send({ type: "fetch", rank, ticket });
  }

  /** Says that there will be no more, and why. */
  async close(code: number, message: string | null): Promise<void> {
    await this.#channel.send({ type: "close", code, message });
    this.#channel.close();
  }

  /** Ends a rank, since this host is gone. */
  #lose(rank: RemoteRank, reason: string): void {
    rank.end({ code: 1, signal: null, lost: `was lost with its launcher: ${reason}` });
  }

  #take(message: AgentMessage, events: RemoteHostEvents): void {
    if (message.type === "interrupt") return events.interrupt(message.how);
    if (message.type === "alive" || message.type === "hello") return;
    if (message.job !== this.#job) return;
    if (message.type === "failed") {
      for (const rank of this.#ranks.values()) {
        rank.end({ code: 1, signal: null, lost: `cannot be started: ${message.message}` });
      }
      return;
    }
    this.#ranks.get(message.rank)?.take(message);
  }
}

/** A rank on another host. */
class RemoteRank implements Rank {
  readonly rank: number;
  readonly stdout = new PassThrough();
  readonly stderr = new PassThrough();
  readonly stdin: Writable | null;
  readonly status: Promise<ExitStatus>;
  readonly #job: number;
  readonly #channel: AgentChannel<AgentMessage>;
  readonly #end: (status: ExitStatus) => void;
  #kill: ReturnType<typeof setTimeout> | undefined;
  #ended = false;
  /** What its input may have on its way. */
  readonly #window = new SendWindow();

  constructor(job: number, rank: number, stdin: boolean, channel: AgentChannel<AgentMessage>) {
    this.rank = rank;
    this.#job = job;
    this.#channel = channel;
    const status = Promise.withResolvers<ExitStatus>();
    this.status = status.promise;
    this.#end = status.resolve;
    for (const stream of [this.stdout, this.stderr]) stream.on("error", () => {});
    this.stdin = stdin
      ? new Writable({
        write: (chunk: Uint8Array, _, done) => this.#feed(chunk, done),
        final: (done) => this.#feed(new Uint8Array(), done),
      })
      : null;
    this.stdin?.on("error", () => {});
  }

  kill(signal: Deno.Signal): void {
    if (this.#ended) return;
    this.#channel.send({ type: "kill", job: this.#job, rank: this.rank, signal });
    if (signal !== "SIGKILL") return;
    this.#kill ??= setTimeout(
      () => this.end({ code: 1, signal: null, lost: "was lost: its launcher does not answer" }),
      KILL_MS,
    );
  }

  /** Its end, as the agent has seen it, or as it must be taken to be. */
  end(status: ExitStatus): void {
    this.#ended = true;
    clearTimeout(this.#kill);
    this.#end(status);
    this.#window.open();
    if (status.lost === null) return;
    this.stdout.end();
    this.stderr.end();
  }

  take(message: AgentMessage & { rank: number }): void {
    if (message.type === "exit") {
      return this.end({ code: message.code, signal: message.signal, lost: null });
    }
    if (message.type === "taken") return this.#window.taken(message.count);
    if (message.type === "output") this.#print(message.stream, message.bytes);
  }

  #print(name: StreamName, base64: string): void {
    const stream = this[name], bytes = Uint8Array.fromBase64(base64);
    if (stream.writableEnded || stream.destroyed) return;
    if (bytes.length === 0) return void stream.end();
    const { length: count } = bytes, { rank } = this, job = this.#job;
    stream.write(
      bytes,
      () => this.#channel.send({ type: "taken", job, rank, stream: name, count }),
    );
  }

  /** Sends input as fast as the rank takes it; empty means its end. */
  async #feed(chunk: Uint8Array, done: () => void): Promise<void> {
    const job = this.#job, { rank } = this;
    for (let at = 0; at === 0 || at < chunk.length; at += MOST_BYTES) {
      const part = chunk.subarray(at, at + MOST_BYTES);
      await this.#window.admit(part.length);
      const bytes = part.toBase64();
      this.#channel.send({ type: "input", job, rank, stream: "stdout", bytes });
    }
    done();
  }
}
