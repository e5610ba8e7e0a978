/**
 * The tree that tree exchanges run on, with rank 0 at the root: a k-nomial tree of hosts, in which the
 * first rank of each stands for it, and below that a k-nomial tree of the host's ranks. So all hosts but
 * that of rank 0 have one connection up the tree that leads to another host.
 *
 * In a k-nomial tree of n places the parent of place p is p with its lowest digit other than 0 cleared,
 * in base k, so a subtree is a range of places, and its depth is ⌈log_k n⌉ at most. (Thakur,
 * Rabenseifner, Gropp: Optimization of Collective Communication Operations in MPICH, IJHPCA 2005, for
 * k = 2.)
 *
 * @module
 */

import type { Hosts } from "../base/hosts.ts";
import { TREE_RADIX } from "./tuning.ts";

/** k to the position of the lowest digit of `place` that is not 0; at least `size` for place 0. */
function span(place: number, size: number): number {
  let power = 1;
  while (power < size && place % (power * TREE_RADIX) === 0) power *= TREE_RADIX;
  return power;
}

/** The parent of a place other than 0 in a k-nomial tree of `size` places. */
export function parentOf(place: number, size: number): number {
  return place - place % (span(place, size) * TREE_RADIX);
}

/** Children of a place, in the order of places, which is that of the sizes of their subtrees. */
export function childrenOf(place: number, size: number): number[] {
  const children = [], limit = span(place, size);
  for (let power = 1; power < limit; power *= TREE_RADIX) {
    for (let digit = 1; digit < TREE_RADIX && place + digit * power < size; digit++) {
      children.push(place + digit * power);
    }
  }
  return children;
}

/** Places in the subtree below and including `place`, which are those that follow it. */
export function subtreeSize(place: number, size: number): number {
  return Math.min(span(place, size), size - place);
}

/** A rank in the tree. */
export interface TreeNode {
  readonly rank: number;
  /** Where it stands in {@linkcode Tree.order}. */
  readonly position: number;
  /** Ranks in the subtree below and including it, which are those that follow it in the order. */
  readonly size: number;
}

/** The tree of the ranks of some hosts. */
export class Tree {
  /** All ranks, those of a host one behind the other: the order in which subtrees are ranges. */
  readonly order: readonly number[];
  readonly #hosts: Hosts;
  /** Position of the first rank of each host, and of what would be behind the last. */
  readonly #starts: readonly number[];

  /** @param hosts the ranks on each, rank 0 the first of the first */
  constructor(hosts: Hosts) {
    const starts = [0];
    for (const ranks of hosts) starts.push(starts.at(-1)! + ranks.length);
    this.order = hosts.flat();
    this.#hosts = hosts;
    this.#starts = starts;
  }

  /** The parent of a rank other than 0. */
  parentOf(rank: number): number {
    const { host, place, ranks } = this.#find(rank);
    if (place > 0) return ranks[parentOf(place, ranks.length)];
    return this.#hosts[parentOf(host, this.#hosts.length)][0];
  }

  /** Where a rank stands in the order. */
  positionOf(rank: number): number {
    const { host, place } = this.#find(rank);
    return this.#starts[host] + place;
  }

  /** Children of a rank, in that order: those of its host before those that stand for others. */
  childrenOf(rank: number): TreeNode[] {
    const { host, place, ranks } = this.#find(rank), hosts = this.#hosts, starts = this.#starts;
    const near = childrenOf(place, ranks.length).map((child) => ({
      rank: ranks[child],
      position: starts[host] + child,
      size: subtreeSize(child, ranks.length),
    }));
    if (place > 0) return near;
    const far = childrenOf(host, hosts.length).map((child) => ({
      rank: hosts[child][0],
      position: starts[child],
      size: starts[child + subtreeSize(child, hosts.length)] - starts[child],
    }));
    return [...near, ...far];
  }

  #find(rank: number): { host: number; place: number; ranks: readonly number[] } {
    const host = this.#hosts.findIndex((ranks) => ranks.includes(rank)), ranks = this.#hosts[host];
    return { host, place: ranks.indexOf(rank), ranks };
  }
}
