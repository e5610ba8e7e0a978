/**
 * Ranks that average as fast as they can, while every one to two seconds one of them is killed or another comes, six
 * to four, as in the stress test of PCCL.
 *
 * @module
 */

import { launchProgram } from "../../runtime/launcher/launch.ts";
import { hashOf, replay, type Stretch } from "./_course.ts";

/** What is asked. */
export interface SoakOptions {
  readonly minutes: number;
  /** Ranks at the beginning, and the most there are. */
  readonly ranks: number;
  readonly seed: number;
  /** Gets a line now and then. @default {nobody} */
  readonly say?: (line: string) => void;
}

/** What a rank says of itself. */
interface Stand {
  /** When it said so, by its own clock: who reads it may come to it late. */
  readonly at: number;
  readonly rounds: number;
  readonly size: number;
  readonly descriptors: number;
  readonly megabytes: number;
}

/** What has come of it. */
export interface Soaked {
  readonly code: number;
  readonly killed: number;
  readonly came: number;
  readonly rounds: number;
  /** Changes of who averages. */
  readonly changes: number;
  /** Longest time in seconds in which no round was completed. */
  readonly longestStall: number;
  /** Most descriptors and megabytes of any rank, in the first and in the last third of the time. */
  readonly ranks: readonly [Peak, Peak];
  /** The same of the launcher. */
  readonly launcher: readonly [Peak, Peak];
  /** SHA-256 of the weights that the ranks ended with; several if they differ. */
  readonly hashes: readonly string[];
  /** That of a replay of who was there when. */
  readonly replayed: string;
}

/** The most at any time. */
interface Peak {
  readonly descriptors: number;
  readonly megabytes: number;
}

/** Before the first event, when ranks have to find each other, and after the last, in ms. */
const SETTLING_MS = 3000;

/** Share of the events at which a rank is killed. */
const KILLS = 0.6;

/** Draws numbers from 0 up to 1. */
function drawing(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = state + 0x6d2b79f5 | 0;
    let mixed = Math.imul(state ^ state >>> 15, 1 | state);
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed;
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
  };
}

/** When something happens: every one to two seconds. */
function eventsUntil(from: number, to: number, random: () => number) {
  const events: { readonly at: number; readonly kills: boolean }[] = [];
  for (let at = from; at < to; at += 1000 * (1 + random())) {
    events.push({ at, kills: random() < KILLS });
  }
  return events;
}

/** The most in the first and in the last third of a time, in ms; it keeps no more, or it would grow itself. */
function peaks(from: number, to: number) {
  const third = (to - from) / 3, none: Peak = { descriptors: 0, megabytes: 0 };
  const found: [Peak, Peak] = [none, none];
  const see = (at: number, { descriptors, megabytes }: Peak) => {
    const place = at < from + third ? 0 : at >= to - third ? 1 : null;
    if (place === null || at >= to) return;
    const most = found[place];
    found[place] = {
      descriptors: Math.max(most.descriptors, descriptors),
      megabytes: Math.max(most.megabytes, megabytes),
    };
  };
  return { found, see };
}

/** Runs it. */
export async function soak({ minutes, ranks, seed, say = () => {} }: SoakOptions): Promise<Soaked> {
  const random = drawing(seed), began = Date.now(), until = began + 60_000 * minutes;
  const alive = new Map<number, number>();
  const theirs = peaks(began, until), own = peaks(began, until);
  const courses = new Map<number, Stretch[]>();
  const over: { rounds: number; hash: string; course: readonly Stretch[] }[] = [];
  let killed = 0, came = 0, rounds = 0, progressed = began, longestStall = 0;
  const onOutput = (rank: number, line: string) => {
    const [, word, rest] = /^(\w+) (.*)$/.exec(line) ?? [];
    if (word === "pid") {
      alive.set(rank, Number(rest));
      if (rank >= ranks) came++;
    } else if (word === "stands") {
      const stand: Stand = JSON.parse(rest), { at } = stand;
      theirs.see(at, stand);
      if (stand.rounds <= rounds) return;
      longestStall = Math.max(longestStall, (at - progressed) / 1000);
      [rounds, progressed] = [stand.rounds, at];
    } else if (word === "stretch") {
      // A line each: a launcher cuts a line that is too long.
      const course = courses.get(rank) ?? [];
      courses.set(rank, course);
      course.push(JSON.parse(rest));
    } else if (word === "over") over.push({ course: courses.get(rank) ?? [], ...JSON.parse(rest) });
    else say(`[${rank}] ${line}`);
  };
  const kill = () => {
    const candidates = [...alive];
    if (candidates.length <= Math.max(2, ranks / 2)) return;
    const [rank, pid] = candidates[Math.floor(random() * candidates.length)];
    alive.delete(rank);
    killed++;
    try {
      Deno.kill(pid, "SIGKILL");
    } catch {
      // It has gone by itself.
    }
  };
  /** When ranks are killed, and when others come, which is decided at the loss that they make up for. */
  const events = eventsUntil(began + SETTLING_MS, until - SETTLING_MS, random);
  const comings = events.filter(({ kills }) => !kills).map(({ at }) => at);
  const stop = new AbortController();
  const chaos = (async () => {
    for (const { at, kills } of events) {
      while (Date.now() < at && !stop.signal.aborted) await pause(Math.min(100, at - Date.now()));
      if (stop.signal.aborted) return;
      if (kills && Math.max(...alive.keys()) >= ranks - 1) kill();
      const descriptors = [...Deno.readDirSync("/proc/self/fd")].length;
      own.see(Date.now(), { descriptors, megabytes: Deno.memoryUsage().rss / 1e6 });
      say(`${Math.round((Date.now() - began) / 1000)} s: ${rounds} rounds, ${alive.size} ranks`);
    }
  })();
  const outcome = await launchProgram({
    ranks,
    program: new URL("./_rank.ts", import.meta.url),
    args: [`${until}`],
    allow: ["env=CELGC_RANK", "all"],
    quiet: true,
    handleSignals: false,
    onFailure: "return",
    onOutput,
    respawn: () => {
      const at = comings.findIndex((at) => at > Date.now());
      return at < 0 ? null : comings.splice(0, at + 1)[at] - Date.now();
    },
  });
  stop.abort();
  await chaos;
  const last = over[0] ?? { rounds: 0, course: [], hash: "" };
  return {
    code: outcome.code,
    ...{ killed, came, rounds: last.rounds, changes: last.course.length - 1, longestStall },
    ...{ ranks: theirs.found, launcher: own.found },
    hashes: [...new Set(over.map(({ hash }) => hash))],
    replayed: await hashOf(replay(last.course, last.rounds)),
  };
}

const pause = (ms: number) => new Promise<void>((wake) => setTimeout(wake, ms));
