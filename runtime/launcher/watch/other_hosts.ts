/**
 * The hosts of a job's ranks beside this one, and which of them has none left.
 *
 * @module
 */

import type { RemoteHost } from "../../agents/remote_host.ts";

/** Keeps account of which ranks other hosts have, and have lost for good. */
export class OtherHosts {
  readonly #hosts = new Map<number, RemoteHost>();
  readonly #ended = new Set<number>();
  readonly #settled = new Set<number>();
  readonly #emptied: (host: RemoteHost, last: number) => void;

  /** @param emptied told of a host that has lost all its ranks for good, and of the last of them */
  constructor(emptied: (host: RemoteHost, last: number) => void) {
    this.#emptied = emptied;
  }

  /** A rank is on a host. */
  place(rank: number, host: RemoteHost): void {
    this.#hosts.set(rank, host);
  }

  /** The host of a rank; undefined: this one. */
  of(rank: number): RemoteHost | undefined {
    return this.#hosts.get(rank);
  }

  /** The process of a rank has ended, and what it has printed is read. */
  ended(rank: number): void {
    this.#ended.add(rank);
    this.#hosts.get(rank)?.forget(rank);
    this.#check(rank);
  }

  /** A rank is lost, and who comes in its stead is there by now, or nobody will. */
  settled(rank: number): void {
    this.#settled.add(rank);
    this.#check(rank);
  }

  #check(rank: number): void {
    const host = this.#hosts.get(rank);
    if (host === undefined) return;
    for (const [other, its] of this.#hosts) {
      if (its === host && !(this.#ended.has(other) && this.#settled.has(other))) return;
    }
    this.#emptied(host, rank);
  }
}
