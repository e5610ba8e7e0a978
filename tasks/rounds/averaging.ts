/**
 * The algorithm's traffic between the ranks: averages of gradients and of weights, with their bytes and
 * their time.
 *
 * @module
 */

import type { EncodedNumbers } from "../../runtime/algorithms/encoded_numbers.ts";
import type { Request } from "../../runtime/base/request.ts";
import type { Communicator } from "../../runtime/communicator.ts";
import { loadNumber, type StateDict, type Stateful } from "../run/checkpoint.ts";
import { platform } from "../../runtime/base/platform.ts";

/** What averaging has cost this rank so far. */
export interface Traffic {
  /** Payload bytes. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Wall clock, waiting for the others included. */
  readonly seconds: number;
}

/** How a run's averages have travelled in fewer bytes, on this rank. */
export interface CompressionTraffic {
  /** As in `--compress`. */
  readonly codec: string;
  /** Payload bytes that this rank has sent for averages, as in {@linkcode Traffic}. */
  readonly bytesSent: number;
  /** What it would have sent in float32: 2·4n(N−1)/N for n numbers. */
  readonly plainBytes: number;
  /** Σ e² over all that this rank has lost and not yet made up for. */
  readonly residualSquares: number;
}

/** An average on its way. */
export interface PendingAverage {
  /** Lets it move on: a turn of the event loop, which steps on the CPU hold up. */
  progress(): Promise<void>;
  /** Waits until the average is there. To be called once. */
  wait(): Promise<void>;
}

/** How an average travels in fewer bytes. */
export interface CompressedAverage {
  /** As in `--compress`. */
  readonly compress: string;
  /** What this rank has lost so far, as many floats as are averaged; becomes what it has lost then. */
  readonly residual: Float32Array;
}

/** A compressed average with which other values travel as they are. */
export interface MixedAverage extends CompressedAverage {
  /** Become their mean as well. */
  readonly exact: Float32Array;
}

/** What exchanges have sent that began together. */
interface Burst {
  bytes: number;
}

const NO_VALUES = new Float32Array();
const NOTHING = { bytesSent: 0, bytesReceived: 0, seconds: 0 };

/** Sets of ranks whose communicators are kept; of many ranks, another set may be drawn for each round. */
const MOST_GROUPS = 64;

/** Averages arrays over ranks and keeps count. */
export class WeightAveraging implements Stateful {
  readonly #comm: Communicator;
  readonly #groups = new Map<string, Communicator | null>();
  /** All ranks again, for what goes on beside other exchanges: those that none is using. */
  readonly #beside: Communicator[] = [];
  #traffic = { ...NOTHING };
  /** Of what begins at this moment; null: it is not asked. */
  #burst: Burst | null = null;
  #peakBytes = 0;
  /** Bytes that would have been sent in float32. */
  #plainBytes = 0;
  readonly #compress: string;
  readonly #residuals: Float32Array[] = [];

  /**
   * @param comm the ranks of the run; stays the caller's
   * @param compress how averages travel that ask for it by {@linkcode compression}
   */
  constructor(comm: Communicator, compress = "none") {
    this.#comm = comm;
    this.#compress = compress;
  }

  /** Whether averages travel in fewer bytes than float32 has. */
  get compresses(): boolean {
    return this.#compress !== "none";
  }

  /** How one array travels from time to time, with a residual of its own; null: as it is. */
  compression(length: number): CompressedAverage | null {
    if (!this.compresses) return null;
    const residual = new Float32Array(length);
    this.#residuals.push(residual);
    return { compress: this.#compress, residual };
  }

  /** What compression has come to; null without. */
  get compressed(): CompressionTraffic | null {
    if (!this.compresses) return null;
    return {
      codec: this.#compress,
      bytesSent: this.#traffic.bytesSent,
      plainBytes: this.#plainBytes,
      residualSquares: this.#residuals.reduce((sum, each) => sum + norm(each) ** 2, 0),
    };
  }

  /** What was sent and received, and how long it took. */
  get traffic(): Traffic {
    return { ...this.#traffic };
  }

  /** Most payload bytes of the exchanges of one {@linkcode burst}, as far as they have ended. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  /** Counts together what the exchanges send that begin in some work, whenever they end. */
  async burst<T>(work: () => Promise<T>): Promise<T> {
    this.#burst = { bytes: 0 };
    try {
      return await work();
    } finally {
      this.#burst = null;
    }
  }

  /**
   * Replaces `values` by their mean over some ranks, in place; the result is the same on all of them,
   * bit for bit. Collective over all ranks.
   *
   * @param values null on a rank that takes no part
   * @param participants in increasing order, the same on every rank; all of them by default
   * @param weight how much the rank counts for; in the mean over those that take part, 1
   */
  async average(
    values: Float32Array | null,
    participants?: readonly number[],
    compressed: CompressedAverage | null = null,
    weight = 1,
  ): Promise<void> {
    const whole = !participants || participants.length === this.#comm.size;
    const group = whole ? this.#comm : await this.#group(participants);
    if (!values || !group || group.size === 1) return;
    if (weight !== 1) { for (let i = 0; i < values.length; i++) values[i] *= weight; }
    this.#countPlain(group, values);
    await this.#count(group, () => mean(group, values, compressed));
  }

  /**
   * Replaces `values` by their mean over some ranks, in place, on every rank: those that take no part get it
   * from the first that does, or with them where it is compressed. Collective over all ranks.
   *
   * @param participants in increasing order, the same on every rank
   * @returns false on a single rank, which has nobody to meet, and whose values stay as they are
   */
  async averageForAll(
    values: Float32Array,
    participants: readonly number[],
    compressed: CompressedAverage | MixedAverage | null = null,
  ): Promise<boolean> {
    const comm = this.#comm, { rank, size } = comm, [root] = participants;
    if (size === 1) return false;
    const contributes = participants.includes(rank);
    if (compressed) {
      const exact = "exact" in compressed ? compressed.exact : NO_VALUES;
      this.#countPlain(comm, values);
      this.#countPlain(comm, exact);
      await this.#count(comm, async () => {
        await comm.allreduce(values, { ...compressed, contributes });
        divide(values, participants.length);
        divide(exact, participants.length);
      });
      return true;
    }
    await this.average(contributes ? values : null, participants);
    if (participants.length === size) return true;
    const members = Array.from({ length: size }, (_, each) => each)
      .filter((each) => each === root || !participants.includes(each));
    const group = await this.#group(members);
    if (group) await this.#count(group, () => group.bcast(values, members.indexOf(root)));
    return true;
  }

  /**
   * Sums numbers over all ranks that are encoded where they lie, on each that has its own elsewhere than in this
   * process's memory; the others call {@linkcode averageForAll}. Collective over all ranks.
   *
   * @param contributes whether this rank's numbers count
   * @param exact values that travel with them as they are, and become their sum
   */
  async sumEncoded(
    numbers: EncodedNumbers,
    contributes: boolean,
    exact: Float32Array = NO_VALUES,
  ): Promise<void> {
    const comm = this.#comm, compress = this.#compress;
    this.#countPlain(comm, { byteLength: numbers.length * Float32Array.BYTES_PER_ELEMENT });
    this.#countPlain(comm, exact);
    const options = { op: "sum", compress, contributes, exact } as const;
    await this.#count(comm, () => comm.allreduce(numbers, options));
  }

  /**
   * What all ranks give, in their order. Collective over all ranks.
   *
   * @param bytes as many on every rank
   * @param plain bytes that they stand for in float32
   */
  async gather(bytes: Uint8Array, plain: number): Promise<Uint8Array> {
    const comm = this.#comm, all = new Uint8Array(bytes.length * comm.size);
    if (comm.size === 1) return bytes;
    this.#plainBytes += 2 * plain * (comm.size - 1) / comm.size;
    await this.#count(comm, () => comm.allgather(bytes, all));
    return all;
  }

  /**
   * Replaces `values` by their mean over all ranks, in place, without counting what that costs: a run that
   * goes on after its end has not had the average with which it ended. Collective.
   *
   * @returns what it has cost
   */
  async averageAtEnd(values: Float32Array): Promise<Traffic> {
    const traffic = { ...NOTHING }, before = totals(this.#comm);
    await this.#count(this.#comm, () => mean(this.#comm, values), { before, traffic });
    return traffic;
  }

  /**
   * Begins to replace `values` by their mean over all ranks, in place; they are the exchange's until it
   * has ended. Collective.
   */
  async begin(values: Float32Array, compressed?: CompressedAverage): Promise<PendingAverage> {
    if (this.#comm.size === 1) {
      return { progress: () => Promise.resolve(), wait: () => Promise.resolve() };
    }
    return await this.#begin(
      values,
      (comm) => comm.iallreduce(values, { op: "sum", ...compressed }),
      ({ size }) => divide(values, size),
    );
  }

  /** Begins to sum numbers over all ranks that are encoded where they lie, as {@linkcode sumEncoded} does. Collective. */
  beginEncoded(numbers: EncodedNumbers): Promise<PendingAverage> {
    const options = { op: "sum", compress: this.#compress } as const;
    return this.#begin(
      { byteLength: numbers.length * Float32Array.BYTES_PER_ELEMENT },
      (comm) => comm.iallreduce(numbers, options),
    );
  }

  /** @param plain how much it is in float32 @param end what is done when it has arrived */
  async #begin(
    plain: { readonly byteLength: number },
    start: (comm: Communicator) => Request,
    end: (comm: Communicator) => void = () => {},
  ): Promise<PendingAverage> {
    // Each that is under way has its own, so that its bytes can be told from those of the others.
    const comm = this.#beside.pop() ?? await this.#comm.dup();
    this.#countPlain(comm, plain);
    const before = totals(comm), burst = this.#burst, request = start(comm);
    return {
      progress: async () => void await request.test(),
      wait: () =>
        this.#count(comm, async () => {
          await request.wait();
          end(comm);
        }, { before, burst }).finally(() => this.#beside.push(comm)),
    };
  }

  #countPlain({ size }: Communicator, { byteLength }: { readonly byteLength: number }): void {
    this.#plainBytes += 2 * byteLength * (size - 1) / size;
  }

  /** Adds what is done to the traffic: its bytes since `before`, and the time that it is waited for. */
  async #count(
    comm: Communicator,
    work: () => Promise<void>,
    { before = totals(comm), traffic = this.#traffic, burst = this.#burst } = {},
  ) {
    const start = platform.now();
    await work();
    const after = totals(comm), bytesSent = after.bytesSent - before.bytesSent;
    traffic.bytesSent += bytesSent;
    if (burst) this.#peakBytes = Math.max(this.#peakBytes, burst.bytes += bytesSent);
    traffic.bytesReceived += after.bytesReceived - before.bytesReceived;
    traffic.seconds += (platform.now() - start) / 1000;
  }

  /** What the exchanges have cost. */
  save(): Promise<StateDict> {
    const plain: Record<string, number> = this.compresses ? { plainBytes: this.#plainBytes } : {};
    return Promise.resolve({ tensors: [], numbers: { ...this.#traffic, ...plain } });
  }

  /** Goes on counting from there. */
  restore(state: StateDict): Promise<void> {
    const number = (name: keyof Traffic) => loadNumber(state, name);
    this.#traffic = {
      bytesSent: number("bytesSent"),
      bytesReceived: number("bytesReceived"),
      seconds: number("seconds"),
    };
    if (this.compresses) this.#plainBytes = loadNumber(state, "plainBytes");
    return Promise.resolve();
  }

  /** Calls all ranks out of the exchanges that they wait in, after one was lost. */
  revoke(): void {
    for (const comm of [this.#comm, ...this.#groups.values()]) comm?.revoke();
  }

  /** The communicator of some of the ranks, null on the others; kept for the next time. */
  async #group(participants: readonly number[]): Promise<Communicator | null> {
    const key = participants.join();
    let group = this.#groups.get(key);
    if (group === undefined) {
      const inside = participants.includes(this.#comm.rank);
      group = await this.#comm.split(inside ? 0 : null, this.#comm.rank);
    }
    // The set that was used last stands last, on every rank alike.
    this.#groups.delete(key);
    this.#groups.set(key, group);
    if (this.#groups.size > MOST_GROUPS) {
      const [[oldest, unused]] = this.#groups;
      this.#groups.delete(oldest);
      unused?.free();
    }
    return group;
  }
}

/** Replaces `values` by their mean over the ranks of a communicator, in place. Collective. */
export async function mean(
  comm: Communicator,
  values: Float32Array,
  compressed: CompressedAverage | null = null,
): Promise<void> {
  await comm.allreduce(values, { op: "sum", ...compressed });
  divide(values, comm.size);
}

function divide(values: Float32Array, by: number): void {
  for (let i = 0; i < values.length; i++) values[i] /= by;
}

/** What several exchanges have cost together. */
export function sumOf(all: readonly Traffic[]): Traffic {
  return all.reduce((sum, each) => ({
    bytesSent: sum.bytesSent + each.bytesSent,
    bytesReceived: sum.bytesReceived + each.bytesReceived,
    seconds: sum.seconds + each.seconds,
  }), NOTHING);
}

function totals(comm: Communicator): { bytesSent: number; bytesReceived: number } {
  let bytesSent = 0, bytesReceived = 0;
  for (const operation of Object.values(comm.stats())) {
    bytesSent += operation.bytesSent;
    bytesReceived += operation.bytesReceived;
  }
  return { bytesSent, bytesReceived };
}

/** ‖a − b‖₂, summed in float64. */
export function distance(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return Math.sqrt(sum);
}

/** ‖a‖₂, summed in float64. */
export function norm(a: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] ** 2;
  return Math.sqrt(sum);
}
