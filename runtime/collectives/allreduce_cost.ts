/**
 * What an allreduce costs on a network, calculated.
 *
 * The model is the usual α–β one: a message of n bytes takes α + n·β, where α is the latency and 1/β
 * the bandwidth of a rank's link, each way; a rank sends or receives one message at a time. What the
 * arithmetic costs is left out. (Thakur, Rabenseifner and Gropp, Optimization of Collective
 * Communication Operations in MPICH, IJHPCA 19(1), 2005, section 3.)
 *
 * @module
 */

import { SEGMENT_BYTES, SMALL_BYTES, TREE_RADIX, WINDOW_SEGMENTS } from "../engine/tuning.ts";

/** A network on which every rank has one link. */
export interface NetworkCost {
  /** α: seconds that an empty message takes one way. */
  readonly latencySeconds: number;
  /** 1/β: bandwidth of a rank's link, each way. */
  readonly bytesPerSecond: number;
}

/**
 * Seconds of an allreduce of `bytes` on `ranks` ranks.
 *
 * Small buffers travel in the tree exchange, up a tree of depth d = ⌈log₈N⌉ to rank 0, whose link
 * carries all of them, and down again: 2dα + (N−1)nβ + min(N−1, 7d)nβ. Large ones first agree by
 * such an exchange, then are reduced in chunks and gathered again, two steps in which a rank sends
 * and receives (N−1)/N·n each: 2dα + 2α + 2(N−1)/N·nβ. Not more than four segments of a chunk are
 * in flight from one rank to another, so a chunk of s segments takes ⌈s/4⌉ round trips at least.
 */
export function allreduceSeconds(network: NetworkCost, ranks: number, bytes: number): number {
  if (ranks === 1) return 0;
  const { latencySeconds: alpha, bytesPerSecond } = network;
  const depth = Math.ceil(Math.log(ranks) / Math.log(TREE_RADIX) - 1e-9);
  const exchange = 2 * depth * alpha;
  if (bytes <= SMALL_BYTES) {
    const carried = ranks - 1 + Math.min(ranks - 1, (TREE_RADIX - 1) * depth);
    return exchange + carried * bytes / bytesPerSecond;
  }
  const carried = 2 * (ranks - 1) / ranks * bytes / bytesPerSecond;
  const windows = Math.ceil(bytes / ranks / (SEGMENT_BYTES * WINDOW_SEGMENTS));
  return exchange + Math.max(2 * alpha + carried, windows * 2 * alpha);
}

/** Bytes that all ranks together send for an allreduce of `bytes`, headers left out. */
export function allreduceTraffic(ranks: number, bytes: number): number {
  return 2 * (ranks - 1) * bytes;
}
