/**
 * The algorithm's traffic between the ranks: averages of gradients and of weights, with their bytes and
 * their time.
 *
 * @module
 */

import type { Communicator } from "../runtime/communicator.ts";
import { type Memory, recallNumber, type Remembers } from "./checkpoint.ts";

/** What the exchanges have cost this rank so far. */
export interface Traffic {
  /** Payload bytes. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Wall clock, waiting for the others included. */
  readonly seconds: number;
}

/** Averages arrays over ranks and keeps count. */
export class Exchange implements Remembers {
  readonly #comm: Communicator;
  readonly #groups = new Map<string, Communicator | null>();
  #traffic = { bytesSent: 0, bytesReceived: 0, seconds: 0 };

  /** @param comm the ranks of the job; stays the caller's */
  constructor(comm: Communicator) {
    this.#comm = comm;
  }

  /** What was sent and received, and how long it took. */
  get traffic(): Traffic {
    return { ...this.#traffic };
  }

  /**
   * Replaces `values` by their mean over some ranks, in place; the result is the same on all of them,
   * bit for bit. The ranks that take no part leave theirs alone. Collective over all ranks.
   *
   * @param participants in increasing order, the same on every rank; all of them by default
   */
  async average(values: Float32Array, participants?: readonly number[]): Promise<void> {
    const all = !participants || participants.length === this.#comm.size;
    const group = all ? this.#comm : await this.#group(participants);
    if (!group || group.size === 1) return;
    const start = performance.now(), before = totals(group);
    await mean(group, values);
    const after = totals(group);
    this.#traffic.bytesSent += after.bytesSent - before.bytesSent;
    this.#traffic.bytesReceived += after.bytesReceived - before.bytesReceived;
    this.#traffic.seconds += (performance.now() - start) / 1000;
  }

  /** What the exchanges have cost. */
  save(): Promise<Memory> {
    return Promise.resolve({ tensors: [], numbers: { ...this.#traffic } });
  }

  /** Goes on counting from there. */
  restore(memory: Memory): Promise<void> {
    const number = (name: keyof Traffic) => recallNumber(memory, name);
    this.#traffic = {
      bytesSent: number("bytesSent"),
      bytesReceived: number("bytesReceived"),
      seconds: number("seconds"),
    };
    return Promise.resolve();
  }

  /** The communicator of some of the ranks, null on the others; made once for each set of ranks. */
  async #group(participants: readonly number[]): Promise<Communicator | null> {
    const key = participants.join();
    let group = this.#groups.get(key);
    if (group === undefined) {
      const inside = participants.includes(this.#comm.rank);
      group = await this.#comm.split(inside ? 0 : null, this.#comm.rank);
      this.#groups.set(key, group);
    }
    return group;
  }
}

/** Replaces `values` by their mean over the ranks of a communicator, in place. Collective. */
export async function mean(comm: Communicator, values: Float32Array): Promise<void> {
  await comm.allreduce(values, "sum");
  for (let i = 0; i < values.length; i++) values[i] /= comm.size;
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
