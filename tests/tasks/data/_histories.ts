/** Ranks that come and go at random. */

import type { Random } from "../../../runtime/base/random.ts";
import { changeWorlds, membersOf, type Worlds } from "../../../tasks/data/sampling/worlds.ts";

/** One step of a random history: who takes it, who is lost at its end, who meets then, who is lost or comes after that. */
export interface Event {
  readonly members: readonly number[];
  readonly lost: readonly number[];
  readonly meets: readonly number[];
  readonly lostAfter: readonly number[];
  readonly joins: readonly number[];
}

/** A history in which ranks meet now and then, some of them each time, and are lost and come back. */
export function history(random: Random, steps: number, ranks: number): Event[] {
  const events: Event[] = [];
  let members = Array.from({ length: ranks }, (_, rank) => rank);
  for (let step = 0; step < steps; step++) {
    const chance = (p: number) => random.uniform() < p;
    const lost = chance(0.3) ? members.filter(() => chance(0.4)) : [];
    if (lost.length === members.length) lost.pop();
    const present = members.filter((rank) => !lost.includes(rank));
    const meets = chance(0.4) ? present.filter(() => chance(0.8)) : [];
    const lostAfter = chance(0.2) ? present.filter(() => chance(0.3)) : [];
    if (lostAfter.length === present.length) lostAfter.pop();
    const stay = present.filter((rank) => !lostAfter.includes(rank));
    const absent = Array.from({ length: ranks }, (_, rank) => rank)
      .filter((rank) => !present.includes(rank));
    const joins = chance(0.3) ? absent.filter(() => chance(0.5)) : [];
    events.push({ members, meets, lost, lostAfter, joins });
    members = [...stay, ...joins].sort((a, b) => a - b);
  }
  return events;
}

/** The worlds of a history, as a run would note them. */
export function worldsOf(events: readonly Event[], ranks: number): Worlds[] {
  let worlds: Worlds = [{ step: 0, ranks }];
  const since = new Map<number, number>();
  return events.map(({ meets, lost, lostAfter, joins }, i) => {
    const before = worlds, step = i + 1, noted = (rank: number) => since.get(rank) ?? 0;
    for (const rank of meets) since.set(rank, step);
    const present = membersOf(worlds.at(-1)!).filter((rank) => !lost.includes(rank));
    worlds = changeWorlds(worlds, present, { step, isDone: false, since: noted });
    const stay = present.filter((rank) => !lostAfter.includes(rank));
    const members = [...stay, ...joins].sort((a, b) => a - b);
    worlds = changeWorlds(worlds, members, { step, isDone: true, since: noted });
    for (const rank of joins) since.set(rank, step);
    return before;
  });
}
