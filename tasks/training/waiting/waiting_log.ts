/**
 * What the ranks of a run have waited for, summed up on rank 0: ranks that come late, and links from which nothing
 * has come although both their ends were there. What stands out is said at once, and again in the summary.
 *
 * @module
 */

import type { WaitingSummary } from "../../logs/records.ts";
import { attribute } from "./attribution.ts";

/** Meetings that are looked at together: one that is late once is no straggler. */
export const MEETINGS = 16;
/** How long these have to take at least, in ms: a moment's noise is none either. */
const LEAST_MS = 1000;
/** How long nothing is said again of a rank that has been named, in ms of the run. */
const QUIET_MS = 60_000;
/** Share of the ranks' time that the others must have waited for a rank before it is named. */
export const LEAST_TIME = 0.05;

/** Share of all waiting that must be for one of so many ranks before it is named. Equal ranks have 1/N each. */
export const leastShare = (ranks: number): number => Math.max(0.25, 1.5 / ranks);

/** From whom a rank has heard nothing although it waited and had asked for a sign of life. */
export interface Silence {
  /** The rank that waited. */
  readonly rank: number;
  /** The rank from which nothing came. */
  readonly peer: number;
  readonly seconds: number;
}

/** What a rank has spent, in ms. */
export interface Spent {
  /** On its steps, exchanges included. */
  readonly total: number;
  /** In exchanges. */
  readonly sync: number;
}

/** Sums over some meetings. */
class Sums {
  readonly forRank: number[];
  /** Waiting for links, by the two ranks at their ends, such as `2,5`; in ms. */
  readonly forLink = new Map<string, { waited: number; seconds: number }>();
  /** By rank, between exchanges, in ms. */
  readonly working: number[];
  /** Of all ranks, in ms. */
  time = 0;
  meetings = 0;

  constructor(ranks: number) {
    this.forRank = new Array(ranks).fill(0);
    this.working = new Array(ranks).fill(0);
  }

  get waited(): number {
    const links = [...this.forLink.values()].map(({ waited }) => waited);
    return [...this.forRank, ...links].reduce((sum, each) => sum + each, 0);
  }

  share(waited: number): number {
    return this.waited > 0 ? waited / this.waited : 0;
  }

  /** Ranks that are waited for more than is fair. */
  get stragglers(): { rank: number; share: number }[] {
    return this.forRank
      .map((waited, rank) => ({ rank, waited, share: this.share(waited) }))
      .filter(({ waited, share }) =>
        share >= leastShare(this.forRank.length) && waited >= LEAST_TIME * this.time
      )
      .map(({ rank, share }) => ({ rank, share }));
  }

  get links(): { ends: string; seconds: number; share: number }[] {
    return [...this.forLink].map(([ends, { waited, seconds }]) => ({
      ends,
      seconds,
      share: this.share(waited),
    }));
  }

  /** How many times as long as the others' a rank's steps take, in the mean. */
  slowness(rank: number): number {
    const others = this.working.filter((_, other) => other !== rank);
    const mean = others.reduce((sum, each) => sum + each, 0) / others.length;
    return mean > 0 ? this.working[rank] / mean : NaN;
  }
}

/** The waiting of a run; on rank 0. */
export class WaitingLog {
  readonly #ranks: number;
  readonly #members: readonly number[];
  readonly #say: (line: string) => void;
  readonly #whole: Sums;
  #latest: Sums;
  /** Who stood out in the meetings before. */
  #before = new Set<number>();
  /** When each was last named, in ms of the run. */
  readonly #named = new Map<number, number>();

  /**
   * @param members the ranks' numbers in the run, by which they are named
   * @param say gets a line about each rank or link that stands out
   */
  constructor(members: readonly number[], say: (line: string) => void) {
    const ranks = members.length;
    this.#members = members;
    this.#ranks = ranks;
    this.#say = say;
    this.#whole = new Sums(ranks);
    this.#latest = new Sums(ranks);
  }

  /**
   * Takes in what has been measured since the last call.
   *
   * @param meetings of each, ms by rank, null for one that took no part
   * @param spent by rank
   * @param silences of ranks from which others had nothing
   */
  note(
    meetings: readonly (readonly (number | null)[])[],
    spent: readonly Spent[],
    silences: readonly Silence[],
  ): void {
    const waits = meetings.map(attribute);
    const exchange = waits.reduce((sum, each) => sum + each.exchange, 0) / 1000;
    // Ranks that meet have the same time from one meeting to the next, whatever each of them counts as a step's.
    const time = Math.max(0, ...spent.map(({ total }) => total));
    for (const sums of [this.#whole, this.#latest]) {
      sums.meetings += waits.length;
      for (const { forRank } of waits) forRank.forEach((ms, rank) => sums.forRank[rank] += ms);
      sums.time += time * this.#ranks;
      spent.forEach(({ sync }, rank) => sums.working[rank] += Math.max(0, time - sync));
    }
    for (const silence of worst(silences)) this.#blame(silence, exchange);
    const latest = this.#latest;
    if (latest.meetings < MEETINGS || latest.time < LEAST_MS * this.#ranks) return;
    const { stragglers } = latest, now = this.#whole.time / this.#ranks;
    for (const { rank, share } of stragglers) {
      if (this.#before.has(rank) || now - (this.#named.get(rank) ?? -Infinity) < QUIET_MS) continue;
      this.#named.set(rank, now);
      const times = this.#latest.slowness(rank);
      // A rank can be late for another reason than its steps, such as a disk.
      const why = times >= 1.1 ? `; its steps take ${times.toFixed(1)} × the others' time` : "";
      this.#say(`straggler: rank ${this.#members[rank]}, ${percent(share)} of all waiting${why}`);
    }
    this.#before = new Set(stragglers.map(({ rank }) => rank));
    this.#latest = new Sums(this.#ranks);
  }

  /** Everybody's exchange went on for as long as nothing came over a link. */
  #blame({ rank, peer, seconds, many }: Silence & { many: boolean }, exchange: number): void {
    const stalled = Math.min(seconds, exchange), waited = 1000 * stalled * this.#ranks;
    // While a rank was merely late, it is not the link that was waited for.
    if (stalled < seconds / 2) return;
    const ends = [rank, peer].sort((a, b) => a - b).join(",");
    for (const sums of [this.#whole, this.#latest]) {
      if (many) {
        sums.forRank[peer] += waited;
        continue;
      }
      const link = sums.forLink.get(ends) ?? { waited: 0, seconds: 0 };
      link.waited += waited;
      link.seconds += stalled;
      sums.forLink.set(ends, link);
    }
    const share = `${percent(this.#latest.share(waited))} of all waiting`;
    const what = many
      ? `straggler: rank ${this.#members[peer]}, ${share}: it gave no sign of life`
      : `stalled link: ranks ${this.#endsOf(ends).join(" and ")}, ${share}: nothing came`;
    this.#say(`${what} for ${stalled.toFixed(1)} s`);
  }

  /** The numbers in the run of a link's ends. */
  #endsOf(ends: string): [number, number] {
    const [one, other] = ends.split(",").map((place) => this.#members[Number(place)]);
    return [one, other];
  }

  /** What there is to say at the end; null if nobody has met. */
  get summary(): WaitingSummary | null {
    const { meetings, waited, time } = this.#whole;
    const stragglers = this.#whole.stragglers
      .map(({ rank, share }) => ({ rank: this.#members[rank], share }));
    const links = this.#whole.links.map(({ ends, ...link }) => ({
      ranks: this.#endsOf(ends),
      ...link,
    }));
    if (meetings === 0 || time === 0) return null;
    return {
      share: waited / time,
      ...stragglers.length > 0 ? { stragglers } : {},
      ...links.length > 0 ? { links } : {},
    };
  }
}

/**
 * Of silences the longest for each pair of ranks, or for each rank from which several heard nothing: then it is
 * not the link.
 */
function* worst(silences: readonly Silence[]): Generator<Silence & { many: boolean }> {
  const left = new Set(silences);
  const longest = (of: readonly Silence[]) => of.reduce((a, b) => b.seconds > a.seconds ? b : a);
  for (const peer of new Set(silences.map(({ peer }) => peer))) {
    const witnesses = silences.filter((each) => each.peer === peer);
    if (witnesses.length < 2) continue;
    for (const each of silences) if (each.peer === peer || each.rank === peer) left.delete(each);
    yield { ...longest(witnesses), many: true };
  }
  while (left.size > 0) {
    const [{ rank, peer }] = left;
    const same = [...left].filter((each) =>
      each.rank === rank && each.peer === peer || each.rank === peer && each.peer === rank
    );
    for (const each of same) left.delete(each);
    yield { ...longest(same), many: false };
  }
}

const percent = (share: number) => `${Math.round(100 * share)} %`;
