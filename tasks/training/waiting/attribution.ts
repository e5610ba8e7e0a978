/**
 * Who is waited for when ranks meet, from nothing but the time that each of them spent in the meeting: all leave
 * it together, so who spent less came later.
 *
 * @module
 */

/** The waiting of one meeting, in ms. */
export interface Waiting {
  /** By rank: what all others together have waited for it. */
  readonly forRank: readonly number[];
  /** What even the last spent in it: the exchange itself. */
  readonly exchange: number;
}

/**
 * Shares out the waiting of a meeting: while some ranks are there and others are not, those who are wait, and each
 * of the absent is to blame for an equal part of it.
 *
 * @param spent ms that each rank spent in the meeting; null for one that took no part
 */
export function attribute(spent: readonly (number | null)[]): Waiting {
  const forRank = new Array<number>(spent.length).fill(0);
  const came = spent.flatMap((ms, rank) => ms === null || Number.isNaN(ms) ? [] : { ms, rank })
    .sort((a, b) => b.ms - a.ms);
  for (let there = 1; there < came.length; there++) {
    const absent = came.slice(there);
    const waited = there * (came[there - 1].ms - absent[0].ms);
    for (const { rank } of absent) forRank[rank] += waited / absent.length;
  }
  return { forRank, exchange: came.at(-1)?.ms ?? 0 };
}
