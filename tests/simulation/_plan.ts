/** What one seed makes of a world: drawn first, so that it can be said before anything happens. */

import { Random } from "../../runtime/base/random.ts";
import type { Pace } from "./_world.ts";

/** Something that goes wrong with one rank, or between hosts. */
export type Fault =
  /** The rank is killed in the call of its platform with this number. */
  | { readonly kind: "kill"; readonly rank: number; readonly call: number }
  /** Its host loses power. */
  | { readonly kind: "power"; readonly rank: number; readonly atMs: number }
  /** Nothing in it moves for a while. */
  | { readonly kind: "pause"; readonly rank: number; readonly atMs: number; readonly forMs: number }
  /** Nothing passes between its host and the others. */
  | {
    readonly kind: "partition";
    readonly rank: number;
    readonly atMs: number;
    readonly forMs: number;
  }
  /** Nothing passes any more between its host and that of another rank, and all else does. */
  | {
    readonly kind: "cut";
    readonly rank: number;
    readonly other: number;
    readonly atMs: number;
    /** Whether that is told to both ends, as by a relay that ends. */
    readonly isTold: boolean;
  };

/** What becomes of the ranks that are started in the stead of lost ones, each in its turn. */
export interface Comers {
  /** How long after a loss each is started, in ms: no more of them than these. */
  readonly pauseMs: readonly number[];
  /** The call of its platform in which each is killed, or stopped for some ms; null: none. */
  readonly ends: readonly ({ readonly call: number; readonly forMs: number | null } | null)[];
  /** One of those that let them in, and the call in which it is killed, counted from when it begins to; null: none is. */
  readonly letsIn: { readonly rank: number; readonly call: number } | null;
}

/** A world to be. */
export interface Plan {
  readonly seed: number;
  readonly ranks: number;
  /** Of each rank, the number of its host. */
  readonly hosts: readonly number[];
  readonly pace: Pace;
  /** Connections between ranks of different hosts. */
  readonly connections: number;
  /** The access link that every rank is behind; null: none. */
  readonly link: string | null;
  /** Whether ranks go on when others are lost. @default {false} */
  readonly survives?: boolean;
  /** Who is started in the stead of lost ranks, under our launcher. @default {nobody} */
  readonly comers?: Comers;
  /** How ranks of one host find rank 0 without our launcher: by a known address, or a file; one may be left from before. */
  readonly meeting: "address" | "file" | "file, beside an old one";
  /** When our launcher is killed, where it is it that has started them, in ms; Infinity: never. */
  readonly launcherMs: number;
  /** When each rank begins, in ms. */
  readonly startMs: readonly number[];
  readonly faults: readonly Fault[];
}

/** Time without a sign of life until a rank is given up, and for all ranks to join, in ms. */
export const TIMEOUT_MS = 20_000, JOIN_MS = 30_000;

/** About how many calls a rank makes of its platform. */
const CALLS = 400;
/** After how many most have met, how many they make after that, and how many one that comes later. */
const MET = 30, ROUNDS_CALLS = 60, COMERS_CALLS = 60;
/** About how many calls one makes that lets another in. */
const LETS_IN_CALLS = 20;

/** Draws a plan. @param most ranks @param survives whether ranks go on when others are lost */
export function drawPlan(seed: number, most: number, survives = false): Plan {
  const random = new Random(seed, "plan");
  const ranks = 2 + random.integer(most - 1), hostCount = 1 + random.integer(ranks);
  // Ranks of a host follow each other, as launchers number them.
  const hosts = Array.from({ length: ranks }, (_, rank) => Math.floor(rank * hostCount / ranks));
  const pace: Pace = random.uniform() < 0.3
    ? { delayMs: [0.1, 10], slow: 0.05 }
    : { delayMs: [0.05, 0.5], slow: 0 };
  const connections = random.uniform() < 0.2 ? 2 + random.integer(2) : 1;
  const links = ["10mbit,2ms", "100mbit", "1gbit,5ms,window=16KiB"];
  const link = random.uniform() < 0.15 ? links[random.integer(links.length)] : null;
  const launcherMs = random.uniform() < 0.1 ? random.uniform() * 100 : Infinity;
  const file = new Random(seed, "meeting").uniform(), isNear = hostCount === 1;
  const meeting = isNear && file < 0.25
    ? "file, beside an old one"
    : isNear && file < 0.5
    ? "file"
    : "address";
  const place = {
    seed,
    ranks,
    hosts,
    pace,
    connections,
    link,
    survives,
    meeting,
    launcherMs,
  } as const;
  return drawAttempt({ ...place, startMs: [], faults: [] }, 0);
}

/** The same ranks on the same hosts, begun anew: when each begins, and what goes wrong this time. */
export function drawAttempt(plan: Plan, attempt: number): Plan {
  const { seed, ranks, pace, survives = false } = plan,
    random = new Random(seed, "attempt", attempt);
  const late = random.uniform() < 0.2 ? 3000 : 30;
  const startMs = Array.from({ length: ranks }, () => random.uniform() * late);
  const faults: Fault[] = [];
  const number = survives ? 1 + random.integer(3) : [0, 1, 1, 1, 1, 2][random.integer(6)];
  // Parts of a network that fell apart would each go on by itself, where ranks go on.
  const last = survives ? "pause" : "partition";
  const kinds = ["kill", "kill", "kill", "power", "pause", last] as const;
  for (let i = 0; i < number; i++) {
    const kind = kinds[random.integer(kinds.length)], rank = random.integer(ranks);
    // Most of what happens, happens soon.
    const atMs = late * random.uniform() + random.uniform() ** 3 * (pace.slow > 0 ? 3000 : 200);
    const forMs = [10, 1000, 5000, 60_000, Infinity][random.integer(kind === "pause" ? 4 : 5)];
    if (kind === "kill") {
      faults.push({ kind, rank, call: 1 + Math.floor(random.uniform() ** 2 * CALLS) });
    } else if (kind === "power") faults.push({ kind, rank, atMs });
    else faults.push({ kind, rank, atMs, forMs });
  }
  return { ...plan, startMs, faults: drawCut(plan, Math.max(...startMs)) ?? faults };
}

/** Where ranks go on: two hosts that lose each other, once all have begun, and nothing else; null in most worlds. */
function drawCut({ seed, hosts, pace, survives = false }: Plan, from: number): Fault[] | null {
  const random = new Random(seed, "cut"), hostCount = 1 + hosts.at(-1)!;
  // Word that takes as long as the patience of the one that is to go comes too late for it.
  const isDrawn = survives && hostCount >= 3 && pace.slow === 0 && random.uniform() < 0.4;
  if (!isDrawn) return null;
  const one = random.integer(hostCount),
    other = (one + 1 + random.integer(hostCount - 1)) % hostCount;
  const atMs = from + random.uniform() ** 2 * 150;
  const isTold = random.uniform() < 0.5;
  return [{ kind: "cut", rank: hosts.indexOf(one), other: hosts.indexOf(other), atMs, isTold }];
}

/** Lets ranks be started in the stead of those that are lost once all have met. */
export function withComers(plan: Plan): Plan {
  const random = new Random(plan.seed, "comers"), count = 1 + random.integer(3);
  const each = (draw: () => number) => Array.from({ length: count }, draw);
  const kill = (rank: number): Fault => {
    return { kind: "kill", rank, call: MET + random.integer(ROUNDS_CALLS) };
  };
  const faults = plan.faults.map((fault, i) => {
    const isKill = fault.kind === "kill" || fault.kind !== "cut" && i === 0;
    return isKill ? kill(fault.rank) : fault;
  });
  const comers = {
    pauseMs: each(() => [0, 5, 40][random.integer(3)]),
    ends: Array.from({ length: count }, () => {
      const kind = random.uniform(), call = 1 + random.integer(COMERS_CALLS);
      const forMs = [1000, 4000, 60_000][random.integer(3)];
      return kind < 0.4 ? { call, forMs: null } : kind < 0.6 ? { call, forMs } : null;
    }),
    letsIn: random.uniform() < 0.4
      ? { rank: random.integer(plan.ranks), call: 1 + random.integer(LETS_IN_CALLS) }
      : null,
  };
  return { ...plan, faults, comers, launcherMs: Infinity };
}

/** A plan in words. */
export function describePlan(plan: Plan): string {
  const { ranks, hosts, pace, connections, link, meeting, faults, comers } = plan;
  const wrong = faults.map((fault) => {
    switch (fault.kind) {
      case "kill":
        return `rank ${fault.rank} is killed in its call ${fault.call}`;
      case "power":
        return `the host of rank ${fault.rank} loses power at ${fault.atMs.toFixed(3)} ms`;
      case "pause":
        return `rank ${fault.rank} stands still at ${
          fault.atMs.toFixed(3)
        } ms for ${fault.forMs} ms`;
      case "partition":
        return `the host of rank ${fault.rank} is cut off at ${
          fault.atMs.toFixed(3)
        } ms for ${fault.forMs} ms`;
      case "cut":
        return `the hosts of ranks ${fault.rank} and ${fault.other} are cut from each other at ${
          fault.atMs.toFixed(3)
        } ms${fault.isTold ? ", and told so" : ""}`;
    }
  });
  const [least, most] = pace.delayMs;
  return [
    `${ranks} ranks on hosts ${hosts.join(" ")}`,
    `messages take ${least} + up to ${most} ms${
      pace.slow > 0 ? ", some up to 100 times that" : ""
    }`,
    ...connections > 1 ? [`${connections} connections`] : [],
    ...link === null ? [] : [`behind ${link}`],
    ...meeting === "address" ? [] : [`met by a ${meeting}`],
    ...wrong.length > 0 ? wrong : ["nothing goes wrong"],
    ...comers ? [describeComers(comers)] : [],
  ].join("; ");
}

function describeComers({ pauseMs, ends, letsIn }: Comers): string {
  const each = pauseMs.map((ms, i) => {
    const { call, forMs } = ends[i] ?? {};
    const what = forMs === null ? "killed" : `stopped for ${forMs} ms`;
    return `after ${ms} ms${call === undefined ? "" : `, ${what} in its call ${call}`}`;
  });
  return `in the stead of the lost come ${each.length}: ${each.join("; ")}` +
    (letsIn ? `; rank ${letsIn.rank} is killed in call ${letsIn.call} of letting them in` : "");
}

/** The ranks that are to go if two hosts lose each other: those of the one with the higher. */
export function cutOff({ faults: [fault], hosts }: Plan): Set<number> {
  if (fault?.kind !== "cut") return new Set();
  const gone = hosts[Math.max(fault.rank, fault.other)];
  return new Set([...hosts.keys()].filter((rank) => hosts[rank] === gone));
}

/** The ranks that stand still for longer than others wait. */
export function givenUp({ faults }: Plan): Set<number> {
  return new Set(
    faults.flatMap((fault) =>
      fault.kind === "pause" && fault.forMs >= TIMEOUT_MS ? [fault.rank] : []
    ),
  );
}
