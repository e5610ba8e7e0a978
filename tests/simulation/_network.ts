/**
 * TCP as its users see it: bytes in order on each connection and none between connections; pieces of any
 * size; room that runs out when nobody reads; ends by FIN and by RST; silence where a host has no power or
 * something is between the hosts.
 */

import type { Host, Process, World } from "./_world.ts";

/** Most bytes that are accepted and not yet read, each way. */
const ROOM = 128 << 10;
/** When a host that does not answer is given up, in ms: Linux's `tcp_syn_retries` of 6. */
const SYN_MS = 127_000;

type Address = Deno.NetAddr;

/** One end of a connection. */
export class End {
  readonly world: World;
  readonly process: Process;
  readonly localAddr: Address;
  readonly remoteAddr: Address;
  peer!: End;
  /** What has come and was not read. */
  readonly #arrived: Uint8Array[] = [];
  #unread = 0;
  /** What has been accepted for sending and was not read by the other end. */
  #underWay = 0;
  /** When the last that was sent arrives, or has. */
  #lastArrival = 0;
  #ended = false;
  #error: Error | null = null;
  isClosed = false;
  #reader: { into: Uint8Array; settle: PromiseWithResolvers<number | null> } | null = null;
  #writer: { bytes: Uint8Array; settle: PromiseWithResolvers<number> } | null = null;
  /** Pieces that have left and not arrived: what a reset may take with it. */
  readonly #pieces = new Set<() => void>();

  constructor(process: Process, localAddr: Address, remoteAddr: Address) {
    this.world = process.world;
    this.process = process;
    this.localAddr = localAddr;
    this.remoteAddr = remoteAddr;
  }

  /** The process has it. */
  give(): this {
    this.process.open.set(this, (how) => this.#abandon(how));
    return this;
  }

  /** Nobody has wanted it any more when it was made. */
  refuse(): void {
    this.isClosed = true;
    this.#reset();
  }

  ref(): void {}
  unref(): void {}
  setNoDelay(): void {}
  setKeepAlive(): void {}

  read(into: Uint8Array): Promise<number | null> {
    if (!this.world.call()) return never();
    if (this.isClosed) return Promise.reject(new Deno.errors.BadResource("Bad resource ID"));
    if (this.#reader !== null) return Promise.reject(new Deno.errors.Busy("Resource is busy"));
    if (into.length === 0) return Promise.resolve(0);
    const settle = Promise.withResolvers<number | null>();
    this.#reader = { into, settle };
    this.#serveReader();
    return settle.promise;
  }

  #serveReader(): void {
    const reader = this.#reader;
    if (reader === null) return;
    const { into, settle } = reader, piece = this.#arrived[0];
    if (piece !== undefined) {
      this.#reader = null;
      let n = 0;
      while (n < into.length && this.#arrived.length > 0) {
        const [next] = this.#arrived, part = next.subarray(0, into.length - n);
        into.set(part, n);
        n += part.length;
        if (part.length === next.length) this.#arrived.shift();
        else this.#arrived[0] = next.subarray(part.length);
      }
      this.#unread -= n;
      settle.resolve(n);
      const { peer, world } = this, freed = n;
      // There is room again when the other end hears of it.
      world.atTime(this.#back(), peer.process, "room", () => {
        peer.#underWay -= freed;
        if (peer.#writer === null) return false;
        peer.#serveWriter();
      });
    } else if (this.#error !== null) {
      this.#reader = null;
      settle.reject(this.#error);
    } else if (this.#ended) {
      this.#reader = null;
      settle.resolve(null);
    }
  }

  #back(): number {
    return this.world.arrival(this.process.host, this.peer.process.host);
  }

  write(bytes: Uint8Array): Promise<number> {
    const isOpen = () => !this.isClosed && this.#error === null && this.#underWay < ROOM;
    // Killed in the call: some of it may have gone out.
    const some = () => isOpen() && this.#send(bytes.slice(0, this.world.pick(bytes.length)));
    if (!this.world.call(some)) return never();
    if (this.isClosed) return Promise.reject(new Deno.errors.BadResource("Bad resource ID"));
    if (this.#error !== null) return Promise.reject(brokenPipe());
    const settle = Promise.withResolvers<number>();
    this.#writer = { bytes, settle };
    this.#serveWriter();
    return settle.promise;
  }

  #serveWriter(): void {
    const writer = this.#writer;
    if (writer === null) return;
    if (this.#error !== null) {
      this.#writer = null;
      writer.settle.reject(brokenPipe());
      return;
    }
    const { world } = this, room = ROOM - this.#underWay;
    if (room <= 0 && writer.bytes.length > 0) return;
    let n = Math.min(room, writer.bytes.length);
    if (n > 1 && world.chance(0.1)) n = 1 + world.pick(n - 1);
    this.#writer = null;
    this.#send(writer.bytes.slice(0, n));
    writer.settle.resolve(n);
  }

  /** Lets bytes leave, in pieces as TCP makes them. */
  #send(bytes: Uint8Array): void {
    const { world, peer } = this;
    this.#underWay += bytes.length;
    for (let at = 0; at < bytes.length;) {
      const left = bytes.length - at;
      const size = left > 1 && world.chance(0.1) ? 1 + world.pick(left - 1) : left;
      const piece = bytes.subarray(at, at + size);
      at += size;
      this.#arrive(`${size} bytes`, () => peer.#take(piece));
    }
  }

  /** Something arrives at the other end, after all that was sent before. */
  #arrive(label: string, act: () => void): void {
    const { world, peer } = this;
    const time = Math.max(this.#lastArrival, world.arrival(this.process.host, peer.process.host));
    this.#lastArrival = time;
    const cancel = world.atTime(time, peer.process, label, () => {
      this.#pieces.delete(cancel);
      act();
    }, true);
    this.#pieces.add(cancel);
  }

  #take(piece: Uint8Array): void {
    if (this.isClosed) return this.#reset();
    this.#arrived.push(piece);
    this.#unread += piece.length;
    this.#serveReader();
  }

  /** The other end hears that this one is gone. */
  #reset(): void {
    const { peer } = this;
    this.#arrive("RST", () => peer.#takeReset());
  }

  /** Something on the way has given it up. */
  sever(): void {
    this.#takeReset();
  }

  #takeReset(): void {
    if (this.isClosed || this.#error !== null) return;
    this.#error = new Deno.errors.ConnectionReset("Connection reset by peer (os error 104)");
    this.#serveReader();
    this.#serveWriter();
  }

  #takeEnd(): void {
    if (this.isClosed) return;
    this.#ended = true;
    this.#serveReader();
  }

  close(): void {
    if (!this.process.isAlive) return;
    if (this.isClosed) throw new Deno.errors.BadResource("Bad resource ID");
    this.#finish();
    const interrupted = () => new Deno.errors.Interrupted("operation canceled");
    this.#reader?.settle.reject(interrupted());
    this.#writer?.settle.reject(interrupted());
    this.#reader = this.#writer = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #abandon(how: "exit" | "crash"): void {
    if (how === "exit") this.#finish();
    else {
      this.isClosed = true;
      // What had left the host arrives; what its system had still to send does not.
      if (this.world.chance(0.5)) this.#drop();
    }
  }

  #finish(): void {
    const { peer, world } = this;
    this.isClosed = true;
    this.process.open.delete(this);
    if (this.#error !== null) return;
    if (this.#unread > 0) {
      // RFC 2525, section 2.17: what nobody has read is answered by a reset, which may overtake what waits.
      if (world.chance(0.5)) this.#drop();
      this.#reset();
    } else {
      this.#arrive("FIN", () => peer.#takeEnd());
    }
  }

  /** Of the pieces under way the last ones are lost. */
  #drop(): void {
    const pieces = [...this.#pieces], kept = this.world.pick(pieces.length + 1);
    for (const cancel of pieces.slice(kept)) {
      cancel();
      this.#pieces.delete(cancel);
    }
  }
}

/** Waits for connections. */
class SimulatedListener {
  readonly addr: Address;
  readonly #process: Process;
  readonly #network: Network;
  readonly #backlog: End[] = [];
  #waiting: PromiseWithResolvers<End> | null = null;
  #closed = false;

  constructor(network: Network, process: Process, addr: Address) {
    this.#network = network;
    this.#process = process;
    this.addr = addr;
    process.open.set(this, () => this.#shut());
  }

  ref(): void {}
  unref(): void {}

  accept(): Promise<End> {
    if (!this.#process.world.call()) return never();
    if (this.#closed) return Promise.reject(new Deno.errors.BadResource("Bad resource ID"));
    const end = this.#backlog.shift();
    if (end !== undefined) return Promise.resolve(end);
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  /** A connection has been made. */
  offer(end: End): void {
    if (this.#closed || !this.#process.isAlive) return end.refuse();
    const waiting = this.#waiting;
    this.#waiting = null;
    end.give();
    if (waiting !== null) waiting.resolve(end);
    else this.#backlog.push(end);
  }

  close(): void {
    if (!this.#process.isAlive) return;
    if (this.#closed) throw new Deno.errors.BadResource("Bad resource ID");
    this.#shut();
    for (const end of this.#backlog) end.close();
    this.#waiting?.reject(new Deno.errors.BadResource("operation canceled"));
    this.#waiting = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #shut(): void {
    this.#closed = true;
    this.#process.open.delete(this);
    this.#network.forget(this, this.#process.host);
  }
}

/** All listeners and connections of a world. */
export class Network {
  readonly #world: World;
  readonly #listeners = new Map<string, SimulatedListener>();
  readonly #owners = new Map<SimulatedListener, Process>();

  constructor(world: World) {
    this.#world = world;
  }

  listen({ hostname = "0.0.0.0", port }: { hostname?: string; port: number }): SimulatedListener {
    const { current: process } = this.#world;
    if (process === null) throw new Error("nobody listens");
    if (!this.#world.call()) throw new Deno.errors.Interrupted("the process has ended");
    const { host } = process;
    if (!isOwn(hostname, host)) {
      throw new Deno.errors.AddrNotAvailable("Cannot assign requested address (os error 99)");
    }
    const chosen = port === 0 ? host.nextPort++ : port, key = `${host.address}:${chosen}`;
    if (this.#listeners.has(key)) {
      throw new Deno.errors.AddrInUse("Address already in use (os error 98)");
    }
    const listener = new SimulatedListener(this, process, {
      transport: "tcp",
      hostname,
      port: chosen,
    });
    this.#listeners.set(key, listener);
    this.#owners.set(listener, process);
    return listener;
  }

  forget(listener: SimulatedListener, host: Host): void {
    this.#listeners.delete(`${host.address}:${listener.addr.port}`);
    this.#owners.delete(listener);
  }

  connect(
    { hostname = "127.0.0.1", port, signal }: {
      hostname?: string;
      port: number;
      signal?: AbortSignal;
    },
  ): Promise<End> {
    const world = this.#world, process = world.current;
    if (process === null || !world.call()) return never();
    const from = process.host;
    const to = isOwn(hostname, from)
      ? from
      : world.hosts.find(({ address, name }) => address === hostname || name === hostname);
    if (to === undefined) {
      return Promise.reject(new Error("failed to lookup address information"));
    }
    const outcome = Promise.withResolvers<End>();
    const local: Address = { transport: "tcp", hostname: from.address, port: from.nextPort++ };
    const remote: Address = { transport: "tcp", hostname: to.address, port };
    const giveUp = world.at(SYN_MS, process, "SYN timeout", () => {
      outcome.reject(new Deno.errors.TimedOut("Connection timed out (os error 110)"));
    });
    let given = false;
    signal?.addEventListener("abort", () => {
      given = true;
      giveUp();
      outcome.reject(signal.reason);
    });
    world.atTime(world.arrival(from, to), null, "SYN", () => {
      if (!to.isUp || given || !process.isAlive) return;
      const back = world.arrival(to, from);
      const listener = this.#listeners.get(`${to.address}:${port}`);
      if (listener === undefined) {
        world.atTime(back, process, "refused", () => {
          giveUp();
          outcome.reject(new Deno.errors.ConnectionRefused("Connection refused (os error 111)"));
        });
        return;
      }
      const owner = this.#owners.get(listener)!;
      const one = new End(process, local, remote), other = new End(owner, remote, local);
      one.peer = other;
      other.peer = one;
      world.atTime(world.now, owner, "accept", () => listener.offer(other), true);
      world.atTime(back, process, "connected", () => {
        giveUp();
        if (given || !process.isAlive) one.refuse();
        else outcome.resolve(one.give());
      }, true);
    });
    return outcome.promise;
  }
}

function isOwn(hostname: string, host: Host): boolean {
  return ["0.0.0.0", "127.0.0.1", "localhost", host.address, host.name].includes(hostname);
}

const brokenPipe = () => new Deno.errors.BrokenPipe("Broken pipe (os error 32)");

/** What a process that has ended waits for. */
export function never<T>(): Promise<T> {
  return new Promise(() => {});
}
