/**
 * What an allreduce costs on a network, calculated.
 *
 * The model is the usual α–β one: a message of n bytes takes α + n·β, where α is the latency and 1/β
 * the bandwidth of a host's link, each way; a host sends or receives one message at a time. What the
 * arithmetic and memory within a host cost is left out. (Thakur, Rabenseifner and Gropp, Optimization of Collective
 * Communication Operations in MPICH, IJHPCA 19(1), 2005, section 3.)
 *
 * @module
 */

import type { NetworkCost } from "../algorithms/network_probe.ts";
import { SEGMENT_BYTES, SMALL_BYTES, TREE_RADIX, WINDOW_SEGMENTS } from "../engine/tuning.ts";

export type { NetworkCost };

/** The algorithms whose cost is known. `halving-doubling` stands beside them; nothing here uses it. */
const COSTED_ALGORITHMS = [
  "tree",
  "direct",
  "two-level",
  "ring",
  "halving-doubling",
] as const;

/** An algorithm whose cost is known. */
export type CostedAlgorithm = typeof COSTED_ALGORITHMS[number];

/** What an allreduce costs. */
export interface AllreduceCost {
  /** Of the whole call. */
  readonly seconds: number;
  /** Bytes that the busiest host sends to the others, headers left out. */
  readonly hostBytes: number;
  /** Frames that the busiest rank sends. */
  readonly frames: number;
  /** Connections that a rank sends over. */
  readonly connections: number;
  /** Memory in bytes that a rank needs beside the buffer. */
  readonly scratchBytes: number;
}

/** Seconds of processor time that a frame takes at each end, whatever is in it. */
const FRAME_SECONDS = 20e-6;
/** Bytes of an exact partial sum over those of its float32 values, as a rule: see `exact_partials.ts`. */
const PARTIAL_SHARE = 4.2 / 4;

/** Children of the root of a tree. */
const childrenAtMost = (places: number) =>
  Math.min(places - 1, (TREE_RADIX - 1) * treeDepth(places));
const treeDepth = (ranks: number) => Math.ceil(Math.log(ranks) / Math.log(TREE_RADIX) - 1e-9);

/**
 * What an allreduce of `bytes` in float32 costs with one algorithm, on N `ranks`, as many on each of H
 * `hosts`. n stands for the bytes, L for the ranks of a host, d = ⌈log₈H⌉ for the depth of the tree of hosts by
 * which all but halving-doubling agree at first (2dα), o for a frame's time at both ends.
 *
 * - `tree`: all inputs up to rank 0 and the result down again: (N−L + min(H−1, 7d))nβ.
 * - `direct`: 2α + 2nL(N−L)/N·β + 2(N−1)o, or ⌈s/4⌉ round trips for chunks of s segments if that is more.
 * - `two-level`: 2α + (w+1)n(H−1)/H·β, where partial sums take w = 1.05 of their inputs' bytes if L > 1,
 *   else 1; and o for each of N parts of the buffer, or each segment if those are more, that a rank sends
 *   within its host and between hosts.
 * - `ring`: 2(H−1)α + 3nβ + (2N−3+S)o: accumulators are float64, S segments.
 * - `halving-doubling`: 2⌈log₂H⌉α + 2n(H−1)/H·β + 2⌈log₂N⌉o, after a reduction within each host. It rounds
 *   partial sums at each step, and so has other bits for other placements.
 */
export function allreduceCost(
  algorithm: CostedAlgorithm,
  network: NetworkCost,
  ranks: number,
  bytes: number,
  hosts: number = ranks,
): AllreduceCost {
  if (ranks === 1) return { seconds: 0, hostBytes: 0, frames: 0, connections: 0, scratchBytes: 0 };
  const { latencySeconds: alpha, bytesPerSecond } = network, depth = treeDepth(hosts);
  const perHost = ranks / hosts, exchange = 2 * depth * alpha, segments = bytes / SEGMENT_BYTES;
  const far = hosts > 1 ? 1 : 0, share = (hosts - 1) / hosts;
  const frameTime = 2 * FRAME_SECONDS;
  switch (algorithm) {
    case "tree": {
      const farOut = childrenAtMost(hosts), fanOut = farOut + childrenAtMost(perHost);
      const carried = (ranks - perHost + farOut) * bytes;
      return {
        seconds: far * exchange + carried / bytesPerSecond,
        hostBytes: farOut * bytes,
        frames: fanOut,
        connections: fanOut,
        scratchBytes: ranks * bytes,
      };
    }
    case "direct": {
      const hostBytes = 2 * perHost * bytes * (ranks - perHost) / ranks;
      const windows = Math.ceil(bytes / ranks / (SEGMENT_BYTES * WINDOW_SEGMENTS));
      const frames = 2 * (ranks - 1) * Math.max(1, Math.ceil(segments / ranks));
      const carried = 2 * alpha + hostBytes / bytesPerSecond;
      return {
        seconds: far * (exchange + Math.max(carried, windows * 2 * alpha)) +
          many(frames, ranks) * frameTime,
        hostBytes,
        frames,
        connections: ranks - 1,
        scratchBytes: Math.min(WINDOW_SEGMENTS * SEGMENT_BYTES * (ranks - 1), bytes),
      };
    }
    case "two-level": {
      const partial = perHost > 1 ? PARTIAL_SHARE : 1, parts = Math.max(ranks, segments);
      const hostBytes = (partial + 1) * share * bytes;
      const frames = 2 * parts * (perHost - 1) / perHost + 2 * (hosts - 1) * parts / ranks;
      return {
        seconds: far * (exchange + 2 * alpha + hostBytes / bytesPerSecond) +
          many(frames, ranks) * frameTime,
        hostBytes,
        frames: Math.ceil(frames),
        connections: perHost - 1 + hosts - 1,
        scratchBytes: bytes / hosts + 2 * partial * bytes / perHost,
      };
    }
    case "ring": {
      const steps = 2 * ranks - 3 + Math.ceil(segments);
      return {
        seconds: far * (exchange + 2 * (hosts - 1) * alpha + 3 * bytes / bytesPerSecond) +
          steps * frameTime,
        hostBytes: far * 3 * bytes,
        frames: 3 * Math.ceil(segments),
        connections: 2,
        scratchBytes: Math.min(2 * WINDOW_SEGMENTS * SEGMENT_BYTES, 2 * bytes),
      };
    }
    case "halving-doubling": {
      const steps = 2 * Math.ceil(Math.log2(ranks)), crossing = 2 * Math.ceil(Math.log2(hosts));
      const hostBytes = 2 * share * bytes;
      return {
        seconds: crossing * alpha + hostBytes / bytesPerSecond + steps * frameTime,
        hostBytes,
        frames: steps,
        connections: Math.ceil(Math.log2(ranks)),
        scratchBytes: bytes / 2,
      };
    }
  }
}

/** Frames beyond those of a small job, whose time is in the latency. */
function many(frames: number, ranks: number): number {
  return ranks > MANY_RANKS ? frames : 0;
}

/** From how many ranks on frames take time that counts beside the latency. */
const MANY_RANKS = 64;

/**
 * The algorithm that `allreduce` takes for a buffer of `bytes` on ranks that share no memory with all
 * others: as many on each of `hosts`.
 */
function algorithmFor(ranks: number, bytes: number, hosts: number = ranks): CostedAlgorithm {
  if (bytes <= SMALL_BYTES) return "tree";
  return hosts > 1 && hosts < ranks ? "two-level" : "direct";
}

/**
 * Seconds of an allreduce of `bytes` on `ranks` ranks, as many on each of `hosts`, with the algorithm that
 * it takes: see {@linkcode allreduceCost}.
 *
 * @param hosts each rank's own by default
 */
export function allreduceSeconds(
  network: NetworkCost,
  ranks: number,
  bytes: number,
  hosts: number = ranks,
): number {
  return allreduceCost(algorithmFor(ranks, bytes, hosts), network, ranks, bytes, hosts).seconds;
}

/** Bytes that all hosts together send each other for an allreduce of `bytes`, headers left out. */
export function allreduceTraffic(ranks: number, bytes: number, hosts: number = ranks): number {
  if (hosts === ranks) return 2 * (ranks - 1) * bytes;
  if (hosts === 1) return 0;
  if (bytes <= SMALL_BYTES) return (ranks - ranks / hosts + hosts - 1) * bytes;
  return hosts * allreduceCost("two-level", NO_TIME, ranks, bytes, hosts).hostBytes;
}

const NO_TIME: NetworkCost = { latencySeconds: 0, bytesPerSecond: Infinity };
