/**
 * What ranks of one host need alike, and make once.
 *
 * @module
 */

import type { Communicator } from "./communicator.ts";

/** Ranks that make things for one another. Each call is collective over all of them. */
export interface OncePerHost extends Disposable {
  /**
   * Gives all what one of them makes; the others' functions are not called.
   *
   * @param key says what it is; who needs something else makes it, after all, itself
   */
  make(key: string, make: () => Uint8Array | Promise<Uint8Array>): Promise<Uint8Array>;
  /** Waits until all have come so far. */
  arrive(): Promise<void>;
  /** Lets one fill an array, and gives all what is in it then. */
  fill<T extends Float32Array | Uint8Array>(array: T, fill: (array: T) => void): Promise<void>;
  /**
   * Fills an array of `count` pieces, as many ranks as have a processor some of them each: code runs slowly
   * at first, so that eight ranks take longer to draw a part each on two processors than two do.
   *
   * @param fill fills the pieces from `begin` up to, but not, `end`
   */
  divide(
    array: Uint8Array,
    count: number,
    fill: (begin: number, end: number) => void | Promise<void>,
  ): Promise<void>;
}

/** A rank that makes everything itself. */
export const PER_RANK: OncePerHost = {
  make: async (_key, make) => await make(),
  arrive: () => Promise.resolve(),
  fill: (array, fill) => Promise.resolve(fill(array)),
  divide: async (_array, count, fill) => await fill(0, count),
  [Symbol.dispose]() {},
};

/**
 * Joins this rank to those of its host. Ranks of other hosts are left alone: what is made here would have
 * to cross a network, which may be slower than to make it. Collective.
 *
 * @param comm stays the caller's
 * @param processors that this rank sees; the fewest that one sees count
 */
export async function openOncePerHost(
  comm: Communicator,
  processors: number = navigator.hardwareConcurrency,
): Promise<OncePerHost> {
  const host = await comm.splitHost();
  if (host.size > 1) {
    const fewest = Int32Array.of(processors);
    await host.allreduce(fewest, "min");
    return new Shared(host, Math.min(host.size, fewest[0]));
  }
  host.free();
  return PER_RANK;
}

class Shared implements OncePerHost {
  readonly #comm: Communicator;
  /** Ranks that work at the same time. */
  readonly #workers: number;
  #next = 0;

  constructor(comm: Communicator, workers: number) {
    this.#comm = comm;
    this.#workers = workers;
  }

  async make(
    key: string,
    make: () => Uint8Array | Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    const root = this.#turn(), lengths = new Float64Array(2), isRoot = this.#comm.rank === root;
    const name = isRoot ? new TextEncoder().encode(key) : null;
    const made = isRoot ? await make() : null;
    lengths.set([name?.length ?? 0, made?.length ?? 0]);
    await this.#comm.bcast(lengths, root);
    const theirs = name ?? new Uint8Array(lengths[0]), bytes = made ?? new Uint8Array(lengths[1]);
    await this.#comm.bcast(theirs, root);
    await this.#comm.bcast(bytes, root);
    return new TextDecoder().decode(theirs) === key ? bytes : await make();
  }

  async arrive(): Promise<void> {
    await this.#comm.barrier();
  }

  async fill<T extends Float32Array | Uint8Array>(
    array: T,
    fill: (array: T) => void,
  ): Promise<void> {
    const root = this.#turn();
    if (this.#comm.rank === root) fill(array);
    await this.#comm.bcast(array, root);
  }

  async divide(
    array: Uint8Array,
    count: number,
    fill: (begin: number, end: number) => void | Promise<void>,
  ): Promise<void> {
    const { rank, size } = this.#comm, bytes = array.length / count, workers = this.#workers;
    const begins = Array.from(
      { length: size + 1 },
      (_, i) => Math.floor(Math.min(i, workers) * count / workers),
    );
    if (rank < workers) await fill(begins[rank], begins[rank + 1]);
    const counts = Array.from({ length: size }, (_, i) => (begins[i + 1] - begins[i]) * bytes);
    const own = array.slice(begins[rank] * bytes, begins[rank + 1] * bytes);
    await this.#comm.allgatherv(own, array, counts);
  }

  /** Who makes the next thing: each in turn, so that what can be is made at the same time. */
  #turn(): number {
    return this.#next++ % this.#comm.size;
  }

  [Symbol.dispose](): void {
    this.#comm.free();
  }
}
