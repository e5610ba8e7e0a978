/**
 * An agent's ranks of one job: local processes, whose output and end go to the coordinator.
 *
 * @module
 */

import { BEHIND, type Gateway } from "../rendezvous/gateway.ts";
import { hasSockets, HostRanks, peersOf, type TlsPaths } from "../ranks/host_ranks.ts";
import { openLog, RankOutput } from "../ranks/output.ts";
import type { RankProcess } from "../ranks/rank_process.ts";
import type { StreamName } from "../ranks/rank.ts";
import { formatAddress } from "../security/endpoint.ts";
import { type AgentChannel, SendWindow } from "./channel.ts";
import { findProgram } from "./program.ts";
import {
  type BytesMessage,
  type CoordinatorMessage,
  type KillMessage,
  MOST_BYTES,
  type RespawnMessage,
  type StartMessage,
  type TakenMessage,
} from "./messages.ts";

/** How long what a rank has left behind may hold its output open, in ms. */
const DRAIN_MS = 500;

/** The ranks of a job that an agent is to start. */
export interface AgentPlace {
  /** The first of them. */
  readonly first: number;
  /** How many they are. */
  readonly count: number;
  /** Whether they come to a job that runs already. */
  readonly comes: boolean;
  /** How many ranks of this host are before the first, those of other launchers. */
  readonly before: number;
  /** Number of all ranks. */
  readonly size: number;
  /** This host's name. */
  readonly host: string;
}

/** What a host may have otherwise than the coordinator says. */
export interface Preparation {
  /** The program's arguments. */
  readonly args?: readonly string[];
  /** Environment variables beside those of the coordinator. */
  readonly env?: Readonly<Record<string, string>>;
  /** Variables of each rank beside those, in their order, such as which GPU it sees. */
  readonly rankEnv?: readonly Readonly<Record<string, string>>[];
  /** Permissions instead of those of the coordinator. */
  readonly allow?: readonly string[];
  /** Folder the ranks run in. */
  readonly cwd?: string;
  /** Folder, which exists, for each rank's `rank-<r>.log`, beside what the coordinator is sent. */
  readonly logDir?: string;
}

/**
 * Prepares a host for its ranks; whatever it throws ends the job.
 *
 * @param details what the coordinator's caller has to say to its agents
 */
export type Prepare = (
  details: unknown,
  place: AgentPlace,
) => Preparation | void | Promise<Preparation | void>;

/** What an agent knows that does not come with the job. */
export interface AgentFacts {
  readonly channel: AgentChannel<CoordinatorMessage>;
  /** The job's name. */
  readonly name: string;
  /** In hexadecimal digits. */
  readonly secret: string;
  readonly rendezvous: { readonly hostname: string; readonly port: number };
  readonly addresses: readonly string[];
  /** This host's gateway, through which others reach its ranks; null if they dial them. */
  readonly gateway: Gateway | null;
  /** Whether other hosts cannot reach this one. */
  readonly dialsOut: boolean;
  /** The agent's own folder for sockets. */
  readonly sockets: string;
  /** What its ranks need for TLS, or null. */
  readonly tls: TlsPaths | null;
  readonly prepare: Prepare | undefined;
}

/** An agent's part of a job. */
export class AgentJob {
  /** By which messages name it. */
  readonly number: number;
  /** Whether it was there before this host has come. */
  readonly comes: boolean;
  /** Resolves when all of its ranks have ended: with why they could not be started, or null. */
  readonly done: Promise<string | null>;
  readonly #facts: AgentFacts;
  readonly #processes = new Map<number, RankProcess>();
  /** What each rank's output may have on its way. */
  readonly #windows = new Map<number, Readonly<Record<StreamName, SendWindow>>>();
  /** Input that has come for ranks that are still being started. */
  readonly #early: Map<number, BytesMessage[]>;
  #ending = false;
  #ranks: HostRanks | null = null;
  #logDir: string | undefined;
  /** The ends of all ranks so far. */
  readonly #ends: Promise<void>[] = [];
  /** Resolves when no more ranks will be started. */
  readonly #over = Promise.withResolvers<void>();

  /** Starts the ranks; if that fails, says so to the coordinator. */
  constructor(message: StartMessage, facts: AgentFacts) {
    this.number = message.job;
    this.comes = message.comes;
    this.#facts = facts;
    this.#early = new Map(message.stdin.map((rank) => [rank, []]));
    this.done = this.#run(message).then(() => null, async (error) => {
      for (const process of this.#processes.values()) process.kill("SIGKILL");
      const words = (error instanceof Error ? error.message : String(error))
        .replace(/^cannot launch: /, "");
      await facts.channel.send({ type: "failed", job: this.number, message: words });
      return words;
    });
  }

  /** Takes what the coordinator has for a rank. */
  take(message: BytesMessage | TakenMessage | KillMessage): void {
    const { rank } = message, process = this.#processes.get(rank);
    if (message.type === "kill") return process?.kill(message.signal);
    if (message.type === "taken") {
      // What an ended rank has sent is no longer counted.
      return this.#windows.get(rank)?.[message.stream].taken(message.count);
    }
    const early = this.#early.get(rank);
    if (early !== undefined) return void early.push(message); // not taken yet, so there is little
    const stdin = process?.stdin, bytes = Uint8Array.fromBase64(message.bytes);
    const { length: count } = bytes, job = this.number;
    const taken = () =>
      this.#facts.channel.send({ type: "taken", job, rank, stream: message.stream, count });
    if (count === 0) stdin?.end();
    else if (!stdin || stdin.destroyed || stdin.writableEnded) taken();
    else stdin.write(bytes, taken);
  }

  /** Starts a rank in the stead of one that is lost; that it cannot is its end. */
  async respawn({ rank, lost }: RespawnMessage): Promise<void> {
    try {
      if (this.#ranks === null || this.#ending) throw new Error("the job is over");
      await this.#start(this.#ranks, rank, false, lost);
    } catch (error) {
      const { channel } = this.#facts, job = this.number;
      const bytes = new TextEncoder().encode(`${(error as Error).message}\n`).toBase64();
      channel.send({ type: "output", job, rank, stream: "stderr", bytes });
      channel.send({ type: "exit", job, rank, code: 1, signal: null });
      for (const stream of ["stdout", "stderr"] as const) {
        channel.send({ type: "output", job, rank, stream, bytes: "" });
      }
    }
  }

  /** No rank will be started in another's stead any more. */
  finish(): void {
    this.#over.resolve();
  }

  /** Ends the ranks, those that do not end by themselves after `ms`. */
  async end(ms: number): Promise<void> {
    this.#ending = true;
    this.finish();
    for (const process of this.#processes.values()) process.kill("SIGTERM");
    const timer = setTimeout(() => {
      for (const process of this.#processes.values()) process.kill("SIGKILL");
    }, ms);
    await this.done;
    clearTimeout(timer);
  }

  async #run(message: StartMessage): Promise<void> {
    const { name, secret, rendezvous, addresses, gateway, dialsOut, sockets, tls, prepare } =
      this.#facts;
    const { first, count, comes, before, size, host } = message;
    const program = await findProgram(message), place = { first, count, comes, before, size, host };
    const prepared = await prepare?.(message.details, place) ?? {};
    if (this.#ending) return;
    gateway?.forget();
    if (message.sockets === sockets) Deno.mkdirSync(sockets, { recursive: true });
    await using ranks = new HostRanks(
      {
        name,
        size,
        program,
        args: prepared.args ?? message.args,
        env: { ...message.env, ...prepared.env },
        allow: prepared.allow ?? message.allow,
        timeout: message.timeout,
        joinTimeout: message.joinTimeout,
        transport: message.transport,
        link: message.link,
        connections: message.connections,
        onFailure: message.onFailure,
      },
      {
        first,
        host,
        launcher: message.launcher,
        rendezvous: formatAddress(rendezvous.hostname, rendezvous.port),
        peers: peersOf(
          message.peers,
          rendezvous.hostname,
          ...addresses,
          ...gateway === null ? [] : [gateway.near, BEHIND],
        ),
        sockets: hasSockets(message.transport) ? message.sockets : null,
        cwd: prepared.cwd,
        rankEnv: prepared.rankEnv,
        tls,
        addresses,
        dialsOut,
        gateway: gateway && formatAddress(gateway.near, gateway.port),
      },
      secret,
      null,
    );
    this.#ranks = ranks;
    this.#logDir = prepared.logDir;
    for (let rank = first; rank < first + count; rank++) {
      await this.#start(ranks, rank, message.stdin.includes(rank), comes ? null : undefined);
    }
    if (message.onFailure === "return") await this.#over.promise;
    for (const end of this.#ends) await end; // more may come meanwhile
    this.#ranks = null;
  }

  async #start(
    ranks: HostRanks,
    rank: number,
    stdin: boolean,
    lost?: number | null,
  ): Promise<void> {
    const logDir = this.#logDir;
    using opened = new DisposableStack();
    const log = logDir === undefined ? null : opened.use(await openLog(logDir, rank));
    const process = await ranks.start(rank, stdin, lost);
    opened.move(); // to whoever watches it
    this.#processes.set(rank, process);
    const early = this.#early.get(rank) ?? [];
    this.#early.delete(rank);
    for (const message of early) this.take(message);
    this.#ends.push(this.#watch(rank, process, ranks, log));
    if (this.#ending) process.kill("SIGTERM");
  }

  async #watch(
    rank: number,
    process: RankProcess,
    ranks: HostRanks,
    log: Deno.FsFile | null,
  ): Promise<void> {
    const { channel } = this.#facts, job = this.number;
    const windows = { stdout: new SendWindow(), stderr: new SendWindow() };
    this.#windows.set(rank, windows);
    const send = (bytes: Uint8Array, stream: StreamName) =>
      this.#send(rank, stream, bytes, windows[stream]);
    const output = new RankOutput(process.stdout, process.stderr, {
      rank,
      log,
      bytes: send,
      line: () => {},
      logFailed: (text) => send(new TextEncoder().encode(`${text}\n`), "stderr"),
    });
    const { code, signal } = await process.status;
    channel.send({ type: "exit", job, rank, code, signal });
    const timer = setTimeout(() => {
      for (const window of Object.values(windows)) window.open();
    }, DRAIN_MS);
    await output.drain(DRAIN_MS);
    clearTimeout(timer);
    for (const stream of ["stdout", "stderr"] as const) {
      await channel.send({ type: "output", job, rank, stream, bytes: "" });
    }
    ranks.bury(process);
    this.#processes.delete(rank);
    this.#windows.delete(rank);
  }

  /** Sends what a rank has printed, as fast as it is passed on. */
  async #send(
    rank: number,
    stream: StreamName,
    all: Uint8Array,
    window: SendWindow,
  ): Promise<void> {
    const { channel } = this.#facts, job = this.number;
    for (let at = 0; at < all.length; at += MOST_BYTES) {
      const part = all.subarray(at, at + MOST_BYTES);
      await window.admit(part.length);
      await channel.send({ type: "output", job, rank, stream, bytes: part.toBase64() });
    }
  }
}
