/**
 * What one exchange of a run costs: in time, in bytes, and on the busiest rank.
 *
 * @module
 */

import {
  allreduceCost,
  allreduceSeconds,
  allreduceTraffic,
  type NetworkCost,
} from "../../runtime/collectives/allreduce_cost.ts";
import { chunks } from "../../runtime/algorithms/partition.ts";
import type { Codec } from "../../runtime/compression/codec.ts";
import { compressedSeconds } from "../../runtime/compression/cost.ts";
import { SMALL_BYTES } from "../../runtime/engine/tuning.ts";
import { parseLink } from "../../runtime/transport/access_link.ts";
import type { Measured, TimedAllreduce } from "./measured.ts";

/** What an exchange costs. */
export interface ExchangeCost {
  readonly seconds: number;
  /** Payload bytes that all ranks send. */
  readonly bytes: number;
  /** Payload bytes that the busiest rank sends. */
  readonly rankBytes: number;
}

/** An exchange of nothing. */
export const FREE: ExchangeCost = { seconds: 0, bytes: 0, rankBytes: 0 };

/** Several, one after the other. */
export function inTurn(costs: readonly ExchangeCost[]): ExchangeCost {
  return costs.reduce((sum, each) => ({
    seconds: sum.seconds + each.seconds,
    bytes: sum.bytes + each.bytes,
    rankBytes: sum.rankBytes + each.rankBytes,
  }), FREE);
}

/** Where a run is to be: as many ranks on each host, or every rank behind a link of its own. */
export interface Scale {
  readonly ranks: number;
  readonly hosts: number;
}

/** The network of ranks, or hosts, of which each is behind an access link, such as `100mbit,20ms`. */
export function networkBehind(link: string): NetworkCost {
  const { delayMs, bitsPerSecond } = parseLink(link);
  return { latencySeconds: delayMs / 1000, bytesPerSecond: bitsPerSecond / 8 };
}

/** How a mean is formed. */
export interface MeanOptions {
  /** How many ranks it is of. */
  readonly among: number;
  /** Whether the others get it too. @default {false} */
  readonly forAll?: boolean;
  /** How it travels; null: as it is. @default {null} */
  readonly codec?: Codec | null;
  /** Floats that travel with it as they are, where it does not. @default {0} */
  readonly exact?: number;
}

/** Exchanges on a network, from those that were timed. */
export class ExchangeCosts {
  readonly #timed: readonly TimedAllreduce[];
  readonly #codecs: NonNullable<Measured["codecs"]>;
  readonly #network: NetworkCost | null;
  readonly #scale: Scale;

  /**
   * @param measured allreduces on the ranks' own network, and codecs
   * @param network the network that the run will have; null for that one
   */
  constructor(
    { allreduce, codecs = {} }: Pick<Measured, "allreduce" | "codecs">,
    network: NetworkCost | null,
    scale: Scale,
  ) {
    this.#timed = allreduce;
    this.#codecs = codecs;
    this.#network = network;
    this.#scale = scale;
  }

  /** A mean of so many floats. */
  mean(
    floats: number,
    { among, forAll = false, codec = null, exact = 0 }: MeanOptions,
  ): ExchangeCost {
    const { ranks } = this.#scale, all = forAll ? ranks : among;
    if (floats === 0 || all === 1) return FREE;
    if (codec) {
      // Slices are of whole blocks; their owners send results of their own size.
      const encoded = codec.bytes(floats) + 4 * exact, beside = chunks(exact, all);
      const most = Math.max(
        ...chunks(floats, all, codec.block).map(({ start, end }, i) =>
          codec.bytes(end - start) + 4 * (beside[i].end - beside[i].start)
        ),
      );
      return {
        seconds: this.#direct(encoded, all) + this.#work(codec, floats, all, among),
        bytes: encoded * (all - 1) * (among + all) / all,
        rankBytes: encoded + most * (all - 2),
      };
    }
    // Those that wait for a mean of others get it from one of these.
    const bytes = 4 * floats, waiting = forAll ? ranks - among : 0;
    return {
      seconds: this.#allreduce(floats, waiting > 0 ? ranks : among),
      bytes: allreduceTraffic(among, bytes, this.#hostsOf(among)) + waiting * bytes,
      // Along a chain, or in a tree where it is short.
      rankBytes: this.#busiest(floats, among) +
        (bytes > SMALL_BYTES ? Math.min(1, waiting) * bytes : this.#busiest(floats, waiting + 1)),
    };
  }

  /**
   * What each rank sends to all others, of so many floats: short messages in a tree, all of them on the way down;
   * long ones straight, once to each host, in the time of an allreduce in which a host sends as much.
   */
  gather(floats: number, codec: Codec): ExchangeCost {
    const { ranks, hosts } = this.#scale, own = codec.bytes(floats);
    if (ranks === 1) return FREE;
    // A rank encodes its own, and decodes those of all.
    const cost = this.#codecs[codec.name];
    const work = cost ? floats * (cost.encode + ranks * cost.decode) : 0;
    if (own <= SMALL_BYTES) {
      const down = allreduceCost("tree", NO_TIME, ranks, ranks * own, hosts).hostBytes;
      return {
        seconds: this.#allreduce(ranks * own / 4, ranks) + work,
        bytes: (hosts - 1) * (own * ranks / hosts + ranks * own),
        rankBytes: down,
      };
    }
    return {
      seconds: this.#direct(own * hosts / 2, ranks) + work,
      bytes: own * ranks * (hosts - 1),
      rankBytes: own * (hosts - 1),
    };
  }

  #allreduce(floats: number, among: number): number {
    if (among === 1) return 0;
    const own = timeOf(this.#timed, floats);
    if (!this.#network) return own;
    return own + allreduceSeconds(this.#network, among, 4 * floats, this.#hostsOf(among));
  }

  /** What encoding, summing and decoding so many floats takes; nothing where it was not measured. */
  #work(codec: Codec, floats: number, ranks: number, contributors: number): number {
    const cost = this.#codecs[codec.name];
    return cost ? compressedSeconds(cost, floats, ranks, contributors) : 0;
  }

  /** A direct exchange of so many bytes. */
  #direct(bytes: number, among: number): number {
    const own = timeOf(this.#timed, bytes / 4);
    if (!this.#network) return own;
    return own + allreduceCost("direct", this.#network, among, bytes, this.#hostsOf(among)).seconds;
  }

  /** Bytes that the busiest rank sends for a plain allreduce. */
  #busiest(floats: number, among: number): number {
    const hosts = this.#hostsOf(among), bytes = 4 * floats;
    if (among <= 1) return 0;
    if (bytes <= SMALL_BYTES) return allreduceCost("tree", NO_TIME, among, bytes).hostBytes;
    if (hosts < among) return allreduceTraffic(among, bytes, hosts) / among;
    return bytes + 4 * Math.ceil(floats / among) * (among - 2);
  }

  /** As many hosts as take part, or a host a rank. */
  #hostsOf(among: number): number {
    const { ranks, hosts } = this.#scale;
    return hosts === ranks ? among : Math.min(hosts, among);
  }
}

const NO_TIME: NetworkCost = { latencySeconds: 0, bytesPerSecond: Infinity };

/** The time of an allreduce of any length: on the line through the shortest and the longest. */
function timeOf(timed: readonly TimedAllreduce[], floats: number): number {
  const exact = timed.find((each) => each.floats === floats);
  if (exact) return exact.seconds;
  const [short, long] = [timed[0], timed.at(-1)!];
  const slope = Math.max(0, (long.seconds - short.seconds) / (long.floats - short.floats));
  return Math.max(0, long.seconds + slope * (floats - long.floats));
}
