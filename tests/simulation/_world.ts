/**
 * A world in one process: a clock that only events move, hosts with processes, and one seed that decides all
 * that a real world leaves to chance.
 *
 * An event belongs to a process. The world takes the next one, lets it happen, and lets the process run until
 * it waits for something again: only then comes the next. So whatever code asks the platform for something
 * asks it for the process of the event that goes on.
 */

import { setImmediate } from "node:timers";
import { Random } from "../../runtime/base/random.ts";
import { Disk } from "./_disk.ts";

/** A computer: its address, what is on its disk, and whether it has power. */
export class Host {
  readonly name: string;
  readonly address: string;
  readonly disk: Disk;
  isUp = true;
  nextPort = 40_000;

  constructor(world: World, index: number) {
    this.name = `host${index}`;
    this.address = `10.0.0.${index + 1}`;
    this.disk = new Disk(world);
  }
}

/** A process of a host. */
export class Process {
  readonly world: World;
  readonly id: number;
  readonly name: string;
  readonly host: Host;
  /** Its clock began at another moment than those of others. */
  readonly clockOffset: number;
  /** Why it has ended; null while it runs. */
  end: string | null = null;
  /** When, in ms. */
  endedAt = Infinity;
  /** Until when nothing in it moves, as if it were stopped or swapped out. */
  pausedUntil = 0;
  /** What it has asked of its platform so far. */
  calls = 0;
  /** The call in which it is killed; Infinity: none. */
  diesAt = Infinity;
  /** The call in which it is stopped, and for how many ms; null: none. */
  stops: { readonly call: number; readonly forMs: number } | null = null;
  /** What the system does with its connections and listeners when it ends, the oldest first. */
  readonly open = new Map<object, (how: "exit" | "crash") => void>();
  /** Told once it has ended, and how. */
  readonly watchers: ((how: "exit" | "crash") => void)[] = [];
  /** Timers that have not fired. */
  readonly timers = new Set<object>();

  constructor(world: World, id: number, name: string, host: Host) {
    this.world = world;
    this.id = id;
    this.name = name;
    this.host = host;
    this.clockOffset = world.random.uniform() * 1e6;
  }

  get isAlive(): boolean {
    return this.end === null;
  }
}

/** What ends a process from within, where the platform must not return. */
export class ProcessEnded extends Error {
  override readonly name = "ProcessEnded";
}

interface Event {
  time: number;
  readonly order: number;
  readonly process: Process | null;
  readonly label: string;
  /** Whether it is the system's to do, also when the process has ended. */
  readonly bySystem: boolean;
  act: Act | null;
}

/** What happens; false if it has woken nobody, so that no process has anything to do. */
type Act = () => unknown;

/** How fast the things of a world are. */
export interface Pace {
  /** Least time on the way between two hosts, in ms, and how much may be added. */
  readonly delayMs: readonly [number, number];
  /** Share of messages that take up to a hundred times as long. */
  readonly slow: number;
}

/** Hosts between which nothing passes for a while. */
interface Partition {
  separates(one: Host, other: Host): boolean;
  readonly from: number;
  readonly to: number;
}

/** The clock, the hosts and the queue of what is to happen. */
export class World {
  readonly seed: number;
  readonly random: Random;
  readonly pace: Pace;
  readonly hosts: Host[] = [];
  readonly processes: Process[] = [];
  /** The process of the event that goes on. */
  current: Process | null = null;
  now = 0;
  /** Events so far. */
  events = 0;
  /** Of all events so far, in their order. */
  traceHash = 0x811c9dc5;
  /** Told of every event. @default {nobody is} */
  onEvent: ((line: string) => void) | undefined;
  /** Between which hosts nothing passes, and when. */
  readonly partitions: Partition[] = [];
  readonly #heap: Event[] = [];
  #order = 0;

  constructor(seed: number, pace: Pace) {
    this.seed = seed;
    this.random = new Random(seed, "simulation");
    this.pace = pace;
  }

  addHost(): Host {
    const host = new Host(this, this.hosts.length);
    this.hosts.push(host);
    return host;
  }

  /** Starts a process, whose program begins after a while. */
  start(name: string, host: Host, delayMs: number, program: () => Promise<void>): Process {
    const process = new Process(this, this.processes.length, name, host);
    this.processes.push(process);
    this.at(delayMs, process, "start", () => {
      program().catch((error) => {
        if (error instanceof ProcessEnded) return;
        throw error;
      });
    });
    return process;
  }

  /** A number from 0 up to, but not, `below`. */
  pick(below: number): number {
    return Math.floor(this.random.uniform() * below);
  }

  /** Whether something of this probability happens. */
  chance(probability: number): boolean {
    return probability > 0 && this.random.uniform() < probability;
  }

  /** A time between two, in ms. */
  between(least: number, most: number): number {
    return least + this.random.uniform() * (most - least);
  }

  /** How long a message takes from one host to another. */
  delay(from: Host, to: Host): number {
    if (from === to) return this.between(0.01, 0.1);
    const [least, more] = this.pace.delayMs, usual = this.between(least, least + more);
    return this.chance(this.pace.slow) ? usual * this.between(1, 100) : usual;
  }

  /** When what leaves now arrives, if nothing is between the hosts; Infinity: never. */
  arrival(from: Host, to: Host): number {
    let time = this.now + this.delay(from, to);
    for (const { separates, from: begin, to: end } of this.partitions) {
      if (!separates(from, to) || time < begin || time >= end) continue;
      time = end + this.delay(from, to); // sent again
    }
    return time;
  }

  /** Lets something happen in a process, in some ms. */
  at(ms: number, process: Process | null, label: string, act: Act): () => void {
    return this.atTime(this.now + Math.max(0, ms), process, label, act);
  }

  /** Lets something happen at a time. Returns what takes it back. */
  atTime(
    time: number,
    process: Process | null,
    label: string,
    act: Act,
    bySystem = false,
  ): () => void {
    if (time === Infinity) return () => {};
    const event: Event = { time, order: this.#order++, process, label, bySystem, act };
    this.#push(event);
    return () => event.act = null;
  }

  /** Ends a process as the system does, by a signal or its own exit. */
  kill(process: Process, why: string): void {
    if (!process.isAlive) return;
    process.end = why;
    this.note(process, `ends: ${why}`);
    this.#close(process, "exit");
  }

  /** Cuts a host's power: nothing leaves it any more, and its disk has what had reached it. */
  crash(host: Host, why: string): void {
    host.isUp = false;
    for (const process of this.processes) {
      if (process.host !== host || !process.isAlive) continue;
      process.end = why;
      this.note(process, `ends: ${why}`);
      this.#close(process, "crash");
    }
    host.disk.losePower();
  }

  #close(process: Process, how: "exit" | "crash"): void {
    process.endedAt = this.now;
    for (const close of [...process.open.values()]) close(how);
    process.open.clear();
    for (const tell of process.watchers) tell(how);
  }

  /**
   * Something is asked of the platform by the process of this event; false if that has ended, or ends now,
   * before anything has come of it but its last words.
   */
  call(lastWords: () => void = () => {}): boolean {
    const process = this.current;
    if (process === null) throw new Error("nobody asks");
    if (!process.isAlive) return false;
    if (++process.calls === process.stops?.call) {
      process.pausedUntil = Math.max(process.pausedUntil, this.now + process.stops.forMs);
    }
    if (process.calls < process.diesAt) return true;
    lastWords();
    this.kill(process, "killed");
    return false;
  }

  /** Runs until nothing is left to happen, or until a time. Returns whether nothing is left. */
  async run(until: number): Promise<boolean> {
    for (let event = this.#pop(); event !== undefined; event = this.#pop()) {
      if (event.time > until) {
        this.#push(event);
        return false;
      }
      const { process, label, act } = event, isAlive = process === null || process.isAlive;
      if (act === null || !isAlive && !(event.bySystem && process.host.isUp)) continue;
      if (process !== null && isAlive && process.pausedUntil > event.time) {
        event.time = process.pausedUntil;
        this.#push(event);
        continue;
      }
      this.now = event.time;
      this.current = isAlive ? process : null;
      this.note(process, label);
      const isQuiet = act() === false;
      if (isAlive && !isQuiet) await new Promise((resolve) => setImmediate(resolve));
      this.current = null;
    }
    return true;
  }

  /** Adds to the trace. */
  note(process: Process | null, label: string): void {
    this.events++;
    let hash = this.traceHash;
    hash = Math.imul(hash ^ Math.floor(this.now * 1000), 0x01000193);
    hash = Math.imul(hash ^ (process?.id ?? 255), 0x01000193);
    for (let i = 0; i < label.length; i++) {
      hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193);
    }
    this.traceHash = hash;
    this.onEvent?.(`${this.now.toFixed(3).padStart(12)} ms  ${process?.name ?? "-"}  ${label}`);
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (!isBefore(event, heap[up])) break;
      heap[at] = heap[up];
      at = up;
    }
    heap[at] = event;
  }

  #pop(): Event | undefined {
    const heap = this.#heap, first = heap[0], last = heap.pop();
    if (heap.length === 0 || last === undefined) return first ?? last;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      if (down >= heap.length) break;
      if (down + 1 < heap.length && isBefore(heap[down + 1], heap[down])) down++;
      if (!isBefore(heap[down], last)) break;
      heap[at] = heap[down];
      at = down;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(one: Event, other: Event): boolean {
  return one.time < other.time || one.time === other.time && one.order < other.order;
}
