/**
 * The coordinator of a world: takes in the agents of other hosts until all ranks have a place, and has them
 * start their ranks of one job after another. Agents and the ranks of all hosts come to the same port, and so
 * do those who want to a rank behind it.
 *
 * @module
 */

import { RendezvousError } from "../base/errors.ts";
import { counted } from "../base/words.ts";
import { BEHIND, Gateway } from "../rendezvous/gateway.ts";
import { MOST_ADDRESSES } from "../rendezvous/messages.ts";
import { AuthenticatingListener } from "../security/authenticating_listener.ts";
import { makeCertificate } from "../security/certificate.ts";
import { formatAddress, listenAt, listenAtAll, type TlsMaterial } from "../security/endpoint.ts";
import { COORDINATOR_RANK, type Credentials, credentials } from "../security/handshake.ts";
import { AgentChannel } from "./channel.ts";
import type { Invitation } from "./invitation.ts";
import { nameHosts, type Place, placeHosts, type Placement } from "./placement.ts";
import {
  type AgentMessage,
  checkAgentMessage,
  type HelloMessage,
  LARGEST_AGENT_MESSAGE,
} from "./messages.ts";
import { isReached } from "./probe.ts";
import { RemoteHost } from "./remote_host.ts";
import { type HostFacts, ownAddresses, thisHost } from "./this_host.ts";

/** How long an agent may take to say who it is, in ms. */
const HELLO_MS = 5000;
/** How long last words may be on their way, in ms. */
const CLOSE_MS = 1000;
/** Most agents of a world. */
const MOST_AGENTS = 4096;
/** How long an invitation is good for to a job that hosts may come to as long as it runs, in seconds. */
const OPEN_SECONDS = 366 * 86_400;

/** What makes a world complete. */
export type Expected =
  /** So many ranks in all, from whichever hosts. */
  | { readonly kind: "ranks"; readonly size: number }
  /** Every seat is taken, each by an agent with so many ranks; null for as many as it has. */
  | {
    readonly kind: "seats";
    readonly seats: readonly { readonly name: string; readonly ranks: number | null }[];
  };

/** How to make a world. */
export interface CoordinatorOptions {
  /** Ranks of this host; 0 if it has none. */
  readonly ranks: number;
  readonly expected: Expected;
  /** Most ranks of a job to which other hosts may come while it runs; null if none may. */
  readonly mostRanks: number | null;
  /** Version of the program; agents of another are refused. */
  readonly version: string;
  /** Addresses of this host to listen on; null for all. */
  readonly listen: readonly string[] | null;
  /** The port of the coordinator; 0 for any. */
  readonly port: number;
  /** Whether connections run under TLS. */
  readonly tls: boolean;
  /** The job's name and 32 bytes that all launchers know beforehand. @default {made up} */
  readonly known?: { readonly job: string; readonly secret: Uint8Array };
  /** After how many seconds without a word an agent is taken for gone. */
  readonly timeout: number;
  /** How many seconds all agents may take to come. */
  readonly joinTimeout: number;
  /** Says a line to the user. */
  say(line: string): void;
}

/** What a running job does with hosts that come to it. */
export interface Latecomers {
  /** How many more ranks it may have. */
  room(): number;
  /** A host is there whose ranks have no place yet: `first` is for the job to say. */
  take(place: Omit<Place, "first">): void;
}

/** The coordinator of a world. */
export class Coordinator {
  /** Where agents and ranks come in. */
  readonly door: AuthenticatingListener;
  readonly job: Credentials;
  /** The job's secret, in hexadecimal digits. */
  readonly secret: string;
  readonly tls: TlsMaterial | null;
  /** The way to `door` and to ranks from other hosts; null without TLS, where all are on this host. */
  readonly gateway: Gateway | null;
  readonly port: number;
  /** Where this host's own ranks find the rendezvous. */
  readonly near: string;
  /** This host. */
  readonly host: HostFacts = thisHost();
  /** Called when an agent's user, or a signal to it, ends the job; with who it is. */
  onInterrupt: ((how: string, from: object) => void) | null = null;
  readonly #options: CoordinatorOptions;
  readonly #hosts = new Set<RemoteHost>();
  /** Those that have ranks of the job that runs, or is to. */
  #placed = new Set<RemoteHost>();
  #latecomers: Latecomers | null = null;
  #changed: (() => void) | null = null;
  #closed = false;

  private constructor(
    options: CoordinatorOptions,
    secret: Uint8Array,
    job: Credentials,
    tls: TlsMaterial | null,
    listener: Deno.Listener,
    inner: Deno.Listener | null,
  ) {
    this.#options = options;
    this.job = job;
    this.secret = secret.toHex();
    this.tls = tls;
    this.gateway = inner === null ? null : new Gateway({
      listener,
      job,
      tlsPort: (inner.addr as Deno.NetAddr).port,
      fetchFor: (rank) => this.#fetchFor(rank),
    });
    const { hostname, port } = listener.addr as Deno.NetAddr;
    this.port = port;
    this.near = this.gateway?.near ?? hostname;
    this.door = new AuthenticatingListener({
      listener: inner ?? listener,
      job,
      purpose: "agent",
      self: COORDINATOR_RANK,
      isExpected: () => this.#hosts.size < MOST_AGENTS,
      onAccepted: (_, connection) => void this.#welcome(connection),
      onExpired: ({ remoteAddr }) => this.gateway?.cut((remoteAddr as Deno.NetAddr).port),
    });
  }

  /**
   * Begins to listen.
   *
   * @throws RendezvousError if it cannot listen
   */
  static async open(options: CoordinatorOptions): Promise<Coordinator> {
    const { known, listen, port } = options;
    const secret = known?.secret ?? crypto.getRandomValues(new Uint8Array(32));
    const name = known?.job ?? crypto.getRandomValues(new Uint8Array(8)).toHex();
    const tls = options.tls
      ? await makeCertificate(known === undefined ? {} : { secret: known.secret })
      : null;
    const job = await credentials(name, secret);
    using opened = new DisposableStack();
    let where = listen === null ? `port ${port}` : `${listen.join(", ")}, port ${port}`;
    let listener, inner = null;
    try {
      listener = opened.use(listen === null ? listenEverywhere(port) : listenAtAll(listen, port));
      where = BEHIND;
      if (tls !== null) {
        inner = opened.use(listenAt({ kind: "tcp", hostname: BEHIND, port: 0 }, tls));
      }
    } catch (error) {
      throw new RendezvousError(
        `cannot launch: cannot listen on ${where}: ${(error as Error).message}`,
        { cause: error },
      );
    }
    opened.move(); // its own from here on
    return new Coordinator(options, secret, job, tls, listener, inner);
  }

  /** An invitation to this world, valid for as long as agents may take to come. */
  invitation(): Invitation {
    const { listen, version, joinTimeout, mostRanks } = this.#options;
    const own = listen ?? ownAddresses();
    const hostnames = own.length > 0 ? own : [this.near];
    return {
      version,
      job: this.job.job,
      secret: this.secret,
      addresses: hostnames.map((hostname) => formatAddress(hostname, this.port)),
      ca: this.tls?.ca ?? null,
      expires: Date.now() + 1000 * (mostRanks === null ? joinTimeout : OPEN_SECONDS),
    };
  }

  /** How many ranks have a place so far. */
  get present(): number {
    return this.#options.ranks + ranksOf(this.#members());
  }

  /** The hosts that have a place in the world: where it has room for no more, those that have come first. */
  #members(): RemoteHost[] {
    const { expected, ranks } = this.#options;
    if (expected.kind === "seats") return expected.seats.flatMap((_, seat) => this.#at(seat) ?? []);
    let room = expected.size - ranks;
    return [...this.#hosts].filter(({ hello }) => {
      const fits = hello.ranks <= room;
      if (fits) room -= hello.ranks;
      return fits;
    });
  }

  /** Whoever runs a job to which hosts may come takes them from here on; null when it is done. */
  serve(latecomers: Latecomers | null): void {
    this.#latecomers = latecomers;
    if (latecomers === null) return;
    for (const host of this.#hosts) if (!this.#placed.has(host)) this.#hand(host, latecomers);
  }

  /**
   * Waits until every rank has a place.
   *
   * @param failed rejects if an agent will never come; null where that is not known
   * @throws RendezvousError naming what is missing after `joinTimeout`
   */
  async complete(failed: Promise<never> | null, signal?: AbortSignal): Promise<Placement> {
    const { joinTimeout } = this.#options;
    const givenUp = Promise.withResolvers<never>();
    givenUp.promise.catch(() => {});
    const expire = () =>
      givenUp.reject(
        new RendezvousError(
          `cannot launch: after ${joinTimeout} s ${this.#missing()}; a longer joinTimeout would wait longer`,
        ),
      );
    const timer = setTimeout(expire, 1000 * joinTimeout);
    const abort = () => givenUp.reject(new DOMException("the launch was ended", "AbortError"));
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
    try {
      while (!this.#isComplete()) {
        const changed = new Promise<void>((resolve) => this.#changed = resolve);
        await Promise.race([changed, givenUp.promise, ...failed ? [failed] : []]);
      }
      return this.#place();
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  #isComplete(): boolean {
    const { expected } = this.#options;
    if (expected.kind === "ranks") return this.present === expected.size;
    return expected.seats.every((_, seat) => this.#at(seat) !== undefined);
  }

  #at(seat: number): RemoteHost | undefined {
    return [...this.#hosts].find(({ hello }) => hello.seat === seat);
  }

  /** What is missing, in words. */
  #missing(): string {
    const { expected } = this.#options;
    if (expected.kind === "ranks") {
      const here = this.present;
      const from = this.#members().map(({ hello }) => `${hello.ranks} on ${hello.host.name}`);
      const who = [`${this.#options.ranks} on ${this.host.name}`, ...from].join(", ");
      return `the world has ${here} of ${counted(expected.size, "rank")} (${who}): ${
        expected.size - here
      } are missing`;
    }
    const absent = expected.seats.filter((_, seat) => this.#at(seat) === undefined);
    return `there is nothing from ${absent.map(({ name }) => name).join(", ")}`;
  }

  /** Why an agent cannot be let in, or null. */
  #refusal(hello: HelloMessage): string | null {
    const { mostRanks, version: own } = this.#options, { version, ranks, host } = hello;
    if (version !== own) {
      return `${host.name} runs version ${version} of the program, the coordinator on ${this.host.name} ` +
        `version ${own}: run the same on all hosts`;
    }
    if (ranks < 1) return `${host.name} offers no rank`;
    const noPlace = this.#latecomers === null ? this.#noPlaceFor(hello) : "";
    if (noPlace === null || mostRanks === null) return noPlace;
    const room = this.#latecomers?.room() ?? mostRanks - this.#sizeWithLate();
    if (ranks <= room) return null;
    return room <= 0
      ? `the job has as many ranks as it may have, ${mostRanks}`
      : `${host.name} offers ${
        counted(ranks, "rank")
      }, and the job has room for ${room} more of ${mostRanks}`;
  }

  /** How many ranks there are when all have come that are expected, with those that are there beyond. */
  #sizeWithLate(): number {
    const { expected, ranks } = this.#options, members = new Set(this.#members());
    const size = expected.kind === "ranks"
      ? expected.size
      : expected.seats.reduce((sum, seat) => sum + (seat.ranks ?? 0), ranks);
    return size + ranksOf([...this.#hosts].filter((host) => !members.has(host)));
  }

  /** Why an agent has no place in the world that a job begins with, or null. */
  #noPlaceFor({ ranks, host, seat }: HelloMessage): string | null {
    const { expected } = this.#options;
    if (expected.kind === "ranks") {
      const room = expected.size - this.present;
      if (ranks <= room) return null;
      return room === 0
        ? `the world is complete: it has ${counted(expected.size, "rank")} already`
        : `${host.name} offers ${
          counted(ranks, "rank")
        }, and the world has room for ${room} more of ${expected.size}`;
    }
    if (seat === null || seat >= expected.seats.length) {
      return `${host.name} is not among the hosts that were named`;
    }
    if (this.#at(seat) !== undefined) return `there is an agent for ${expected.seats[seat].name}`;
    const wanted = expected.seats[seat].ranks;
    return wanted === null || wanted === ranks
      ? null
      : `${host.name} offers ${counted(ranks, "rank")} instead of ${wanted}`;
  }

  async #welcome(connection: Deno.Conn): Promise<void> {
    const channel = new AgentChannel(connection, LARGEST_AGENT_MESSAGE, checkAgentMessage);
    const timer = setTimeout(() => channel.close(), HELLO_MS);
    let hello: AgentMessage | null = null;
    try {
      hello = await channel.receive();
    } catch {
      // As if it had said nothing.
    }
    clearTimeout(timer);
    if (hello?.type !== "hello" || this.#closed) return channel.close();
    const { tls } = this, { timeout } = this.#options;
    const refusal = this.#refusal(hello);
    if (refusal !== null) return await this.#refuse(channel, refusal);
    // Ranks of hosts that share this one's network are reached in any case.
    const dialsOut = hello.host.identity !== this.host.identity &&
      !await isReached(this.job, hello.addresses, hello.probe);
    if (this.#closed) return channel.close();
    // Others may have come meanwhile.
    const late = this.#refusal(hello);
    if (late !== null) return await this.#refuse(channel, late);
    if (dialsOut) this.#sayDialsOut(hello.host.name);
    channel.send({
      type: "welcome",
      dialsOut,
      tls: tls === null ? null : { cert: tls.cert, key: tls.key },
      timeout,
    });
    channel.watch(timeout);
    const host: RemoteHost = new RemoteHost(channel, hello, dialsOut, {
      lost: () => {
        this.#hosts.delete(host);
        this.#placed.delete(host);
        this.#changed?.();
      },
      interrupt: (how) => this.onInterrupt?.(how, host),
    });
    this.#hosts.add(host);
    if (this.#latecomers !== null) return this.#hand(host, this.#latecomers);
    this.#changed?.();
  }

  /** Tells an agent why it is not let in. */
  async #refuse(channel: AgentChannel<AgentMessage>, message: string): Promise<void> {
    this.#options.say(`refused an agent: ${message}`);
    await channel.send({ type: "refusal", message });
    channel.close();
  }

  #sayDialsOut(name: string): void {
    const others = [...this.#hosts].filter(({ dialsOut }) => dialsOut);
    const relayed = others.length === 0 ? "" : ", and those of " +
      `${others.map(({ hello }) => hello.host.name).join(", ")} through the relay on this host`;
    this.#options.say(`${name} can only dial out: its ranks dial all others${relayed}`);
  }

  /** How a host that can only dial out is asked to fetch a connection for one of its ranks. */
  #fetchFor(rank: number): ((ticket: number) => void) | undefined {
    const host = [...this.#hosts].find((host) => host.dialsOut && host.has(rank));
    return host && ((ticket) => host.fetch(rank, ticket));
  }

  #place(): Placement {
    const { ranks, listen, expected, mostRanks } = this.#options, remotes = this.#members();
    this.#placed = new Set(remotes);
    const own = { ...this.host, ranks }, isOpen = mostRanks !== null;
    const places = placeHosts(own, remotes, expected.kind === "ranks");
    const dialled = [...new Set(remotes.map(({ hello }) => hello.dialled))];
    // Those that are yet to come may dial others.
    const others = isOpen ? listen ?? ownAddresses() : [];
    const known = [...new Set([...dialled, ...others])].slice(0, MOST_ADDRESSES);
    const addresses = known.length > 0 ? known : [this.near];
    const peers = [
      this.near,
      ...addresses,
      ...remotes.flatMap(({ hello }) => [hello.dialled, ...hello.addresses]),
    ];
    const size = places.reduce((sum, { count }) => sum + count, 0);
    return { size, places, addresses, peers: isOpen ? null : [...new Set(peers)] };
  }

  /** Gives a host to the job that runs. */
  #hand(remote: RemoteHost, { take }: Latecomers): void {
    this.#placed.add(remote);
    const host = nameHosts(this.host, [...this.#placed]).get(remote.hello.host.identity)!;
    take({ host, count: remote.hello.ranks, remote, sockets: null, launcher: null });
  }

  /** Has a host leave the world, whose launcher ends with a code. */
  letGo(host: RemoteHost, code: number, why: string): void {
    this.#options.say(`${host.hello.host.name} has left: ${why}`);
    void host.close(code, `this host has left: ${why}`);
  }

  /** Tells all agents that there will be no more, and stops listening. */
  async close(code: number, message: string | null): Promise<void> {
    this.#closed = true;
    this.door.close();
    await Promise.all([...this.#hosts].map((host) => host.close(code, message)));
    await this.gateway?.drain(CLOSE_MS);
  }
}

function ranksOf(hosts: readonly RemoteHost[]): number {
  return hosts.reduce((sum, { hello }) => sum + hello.ranks, 0);
}

/** Listens on all addresses of both kinds, or of the one kind that there is. */
function listenEverywhere(port: number): Deno.Listener {
  try {
    return listenAt({ kind: "tcp", hostname: "::", port });
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) throw error;
    return listenAt({ kind: "tcp", hostname: "0.0.0.0", port });
  }
}
