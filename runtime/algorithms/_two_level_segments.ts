import type { Hosts } from "../base/hosts.ts";
import { chunks, type Range, segments } from "./partition.ts";

/** A part of the buffer, and who deals with it. */
export interface HostSegment extends Range {
  /** Its place among all segments, the same on all ranks. */
  readonly index: number;
  /** The host of its owner, who reduces it. */
  readonly host: number;
  /** On each host the rank that speaks for it; the owner on its own. */
  readonly delegates: readonly number[];
}

/**
 * Divides a buffer among hosts in equal parts, and each part among the owner host's ranks and among the
 * delegates of every other host in equal parts, so that all ranks of a host carry as much over the wire.
 *
 * @param count elements
 * @param width elements that must stay together
 * @param most elements of the longest segment
 */
export function hostSegments(
  count: number,
  hosts: Hosts,
  width: number,
  most: number,
): HostSegment[] {
  const sizes = [...new Set(hosts.map((ranks) => ranks.length))];
  const list: HostSegment[] = [];
  for (const [host, { start, end }] of chunks(count, hosts.length, width).entries()) {
    const parts = new Map(sizes.map((size) => [size, chunks(end - start, size, width)]));
    const cuts = [...new Set([...parts.values()].flat().map((part) => part.end))];
    cuts.sort((a, b) => a - b);
    let from = 0;
    for (const to of cuts) {
      if (to === from) continue;
      const delegates = hosts.map((ranks) =>
        ranks[parts.get(ranks.length)!.findIndex((part) => part.end >= to)]
      );
      for (const range of segments({ start: start + from, end: start + to }, most)) {
        list.push({ ...range, index: list.length, host, delegates });
      }
      from = to;
    }
  }
  return list;
}

/**
 * Divides a buffer of which every rank is to own its chunk; the delegates of other hosts take turns.
 *
 * @param most elements of the longest segment
 */
export function ownedSegments(
  owned: readonly Range[],
  hosts: Hosts,
  most: number,
): HostSegment[] {
  const list: HostSegment[] = [];
  for (const [host, ranks] of hosts.entries()) {
    for (const [place, rank] of ranks.entries()) {
      for (const [s, range] of segments(owned[rank], most).entries()) {
        const delegates = hosts.map((others, h) =>
          h === host ? rank : others[(place + s) % others.length]
        );
        list.push({ ...range, index: list.length, host, delegates });
      }
    }
  }
  return list;
}

/**
 * The order in which the ranks of a host turn to the segments: those of the next host first and its own
 * last, so that not all hosts turn to the same; of each host's, the first of every rank, then the second.
 */
export function orderOf(
  list: readonly HostSegment[],
  host: number,
  hosts: number,
): HostSegment[] {
  const nth = new Map<number, number>(), place = new Map<HostSegment, number>();
  for (const segment of list) {
    const owner = segment.delegates[segment.host], count = nth.get(owner) ?? 0;
    nth.set(owner, count + 1);
    place.set(segment, ((segment.host - host - 1 + hosts) % hosts) * list.length + count);
  }
  return list.toSorted((a, b) => place.get(a)! - place.get(b)!);
}
