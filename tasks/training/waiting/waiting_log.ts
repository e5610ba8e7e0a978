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
const LEAST_TIME = 0.05;

/** Share of all waiting that must be for one of so many ranks before it is named. Equal ranks have 1/N each. */
const leastShare = (ranks: number): number => Math.max(0.25, 1.5 / ranks);

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

/** Sums over some meetings. Ranks are those of the run, by their numbers in it. */
class Sums {
  readonly forRank = new Map<number, number>();
  /** Waiting for links, by the two ranks at their ends, such as `2,5`; in ms. */
  readonly forLink = new Map<string, { waited: number; seconds: number }>();
  /** By rank: how long it was there, and how much of that between exchanges, in ms. */
  readonly times = new Map<number, { there: number; working: number }>();
  /** Of all ranks, in ms. */
  time = 0;
  meetings = 0;

  copy(): Sums {
    const { time, meetings } = this, copy = Object.assign(new Sums(), { time, meetings });
    for (const [rank, ms] of this.forRank) copy.forRank.set(rank, ms);
    for (const [ends, link] of this.forLink) copy.forLink.set(ends, { ...link });
    for (const [rank, times] of this.times) copy.times.set(rank, { ...times });
    return copy;
  }

  /** A rank was there for some ms. */
  addTime(rank: number, there: number, working: number): void {
    const before = this.times.get(rank);
    this.times.set(rank, {
      there: (before?.there ?? 0) + there,
      working: (before?.working ?? 0) + working,
    });
    this.time += there;
  }

  /** Others have waited for a rank. */
  addWaiting(rank: number, ms: number): void {
    this.forRank.set(rank, (this.forRank.get(rank) ?? 0) + ms);
  }

  /** Ranks have waited for a link. */
  addLink(ends: string, waited: number, seconds: number): void {
    const link = this.forLink.get(ends);
    this.forLink.set(ends, {
      waited: (link?.waited ?? 0) + waited,
      seconds: (link?.seconds ?? 0) + seconds,
    });
  }

  get waited(): number {
    const links = [...this.forLink.values()].map(({ waited }) => waited);
    return [...this.forRank.values(), ...links].reduce((sum, each) => sum + each, 0);
  }

  share(waited: number): number {
    return this.waited > 0 ? waited / this.waited : 0;
  }

  /** Ranks that are waited for more than is fair. */
  get stragglers(): { rank: number; share: number }[] {
    return [...this.forRank]
      .map(([rank, waited]) => ({ rank, waited, share: this.share(waited) }))
      .filter(({ waited, share }) =>
        share >= leastShare(this.times.size) && waited >= LEAST_TIME * this.time
      )
      .map(({ rank, share }) => ({ rank, share }))
      .sort((a, b) => a.rank - b.rank);
  }

  get links(): { ranks: [number, number]; seconds: number; share: number }[] {
    return [...this.forLink].map(([ends, { waited, seconds }]) => ({
      ranks: endsOf(ends),
      seconds,
      share: this.share(waited),
    }));
  }

  /** How many times as long as the others' a rank's steps take, in the mean. */
  slowness(rank: number): number {
    const busy = ({ there, working }: { there: number; working: number }) => working / there;
    const others = [...this.times].flatMap(([other, times]) =>
      other !== rank && times.there > 0 ? [busy(times)] : []
    );
    const mean = others.reduce((sum, each) => sum + each, 0) / others.length;
    const own = this.times.get(rank);
    return own && mean > 0 ? busy(own) / mean : NaN;
  }
}

/** The ranks at a link's ends. */
function endsOf(ends: string): [number, number] {
  const [one, other] = ends.split(",").map(Number);
  return [one, other];
}

/** The waiting of a run; on the rank that writes. */
export class WaitingLog {
  readonly #members: readonly number[];
  readonly #say: (line: string) => void;
  #whole = new Sums();
  #latest = new Sums();
  /** Who stood out in the meetings before. */
  #before = new Set<number>();
  /** When each was last named, in ms of the run. */
  #named = new Map<number, number>();
  /** How long the run has gone on, in ms. */
  #now = 0;

  /**
   * @param members the ranks' numbers in the run, by which they are named
   * @param say gets a line about each rank or link that stands out
   * @param from what this one goes on from, a copy of it: that of the ranks there were before
   */
  constructor(
    members: readonly number[],
    say: (line: string) => void,
    from: WaitingLog | null = null,
  ) {
    this.#members = members;
    this.#say = say;
    if (!from) return;
    this.#whole = from.#whole.copy();
    this.#latest = from.#latest.copy();
    this.#before = new Set(from.#before);
    this.#named = new Map(from.#named);
    this.#now = from.#now;
  }

  /** As it is now, whatever is noted from now on. */
  copy(): WaitingLog {
    return new WaitingLog(this.#members, this.#say, this);
  }

  /**
   * Takes in what has been measured since the last call.
   *
   * @param meetings of each, ms by place, null for one that took no part
   * @param spent by place
   * @param silences of ranks from which others had nothing, by their places
   */
  note(
    meetings: readonly (readonly (number | null)[])[],
    spent: readonly Spent[],
    silences: readonly Silence[],
  ): void {
    const members = this.#members, waits = meetings.map(attribute);
    const exchange = waits.reduce((sum, each) => sum + each.exchange, 0) / 1000;
    // Ranks that meet have the same time from one meeting to the next, whatever each of them counts as a step's.
    const time = Math.max(0, ...spent.map(({ total }) => total));
    this.#now += time;
    for (const sums of [this.#whole, this.#latest]) {
      sums.meetings += waits.length;
      for (const { forRank } of waits) {
        forRank.forEach((ms, place) => sums.addWaiting(members[place], ms));
      }
      spent.forEach(({ sync }, place) =>
        sums.addTime(members[place], time, Math.max(0, time - sync))
      );
    }
    for (const silence of worst(silences)) this.#blame(silence, exchange);
    const latest = this.#latest;
    if (latest.meetings < MEETINGS || latest.time < LEAST_MS * members.length) return;
    const { stragglers } = latest, now = this.#now;
    for (const { rank, share } of stragglers) {
      if (this.#before.has(rank) || now - (this.#named.get(rank) ?? -Infinity) < QUIET_MS) continue;
      this.#named.set(rank, now);
      const times = latest.slowness(rank);
      // A rank can be late for another reason than its steps, such as a disk.
      const why = times >= 1.1 ? `; its steps take ${times.toFixed(1)} × the others' time` : "";
      this.#say(`straggler: rank ${rank}, ${percent(share)} of all waiting${why}`);
    }
    this.#before = new Set(stragglers.map(({ rank }) => rank));
    this.#latest = new Sums();
  }

  /** Everybody's exchange went on for as long as nothing came over a link. */
  #blame(silence: Silence & { many: boolean }, exchange: number): void {
    const members = this.#members, { seconds, many } = silence;
    const stalled = Math.min(seconds, exchange), waited = 1000 * stalled * members.length;
    // While a rank was merely late, it is not the link that was waited for.
    if (stalled < seconds / 2) return;
    const rank = members[silence.rank], peer = members[silence.peer];
    const ends = [rank, peer].sort((a, b) => a - b);
    for (const sums of [this.#whole, this.#latest]) {
      if (many) sums.addWaiting(peer, waited);
      else sums.addLink(`${ends}`, waited, stalled);
    }
    const share = `${percent(this.#latest.share(waited))} of all waiting`;
    const what = many
      ? `straggler: rank ${peer}, ${share}: it gave no sign of life`
      : `stalled link: ranks ${ends.join(" and ")}, ${share}: nothing came`;
    this.#say(`${what} for ${stalled.toFixed(1)} s`);
  }

  /** What there is to say at the end; null if nobody has met. */
  get summary(): WaitingSummary | null {
    const { meetings, waited, time, stragglers, links } = this.#whole;
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
