/** A job under our launcher, which starts its ranks through agents on the hosts and ends them when one fails. */

import { platform } from "../../runtime/base/platform.ts";
import { type LaunchOutcome, launchProgram } from "../../runtime/launcher/launch.ts";
import type { ExitStatus, Rank } from "../../runtime/ranks/rank.ts";
import { credentials } from "../../runtime/security/handshake.ts";
import {
  arrangeFaults,
  JOB,
  type RankProgram,
  SECRET,
  type SimulatedRank,
  startRank,
} from "./_job.ts";
import { type Fault, JOIN_MS, type Plan, TIMEOUT_MS } from "./_plan.ts";
import type { Host, Process, World } from "./_world.ts";

/** How long it takes until an agent's host is given up, in ms. */
export const HOST_MS = 15_000;

/** A rank's output: nothing, until it ends. */
function silentUntil(end: Promise<unknown>): Rank["stdout"] {
  const { promise: cut, resolve } = Promise.withResolvers<void>();
  const next = async () => {
    await Promise.race([end, cut]);
    return { done: true, value: undefined };
  };
  const stream = { destroy: resolve, [Symbol.asyncIterator]: () => ({ next }) };
  return stream as unknown as Rank["stdout"];
}

/** A rank as its launcher sees it. @param faults those of its host */
function rankOf(
  world: World,
  launcher: Process,
  { process }: SimulatedRank,
  faults: readonly Fault[],
): Rank {
  const ended = Promise.withResolvers<ExitStatus>();
  const lost: ExitStatus = { code: 1, signal: null, lost: "was lost with its launcher" };
  for (const fault of faults) {
    if (fault.kind !== "partition" || fault.forMs < HOST_MS) continue;
    world.at(fault.atMs + HOST_MS, launcher, "host lost", () => ended.resolve(lost));
  }
  process.watchers.push((how) => {
    const here = launcher.host, [, code = "137"] = /^exit (\d+)$/.exec(process.end!) ?? [];
    const signal = Number(code) > 128 ? process.end : null;
    const [time, status] = how === "exit"
      ? [world.arrival(process.host, here), { code: Number(code), signal, lost: null }]
      : [world.now + HOST_MS, lost];
    world.atTime(time, launcher, "status", () => ended.resolve(status));
  });
  return {
    stdout: silentUntil(ended.promise),
    stderr: silentUntil(ended.promise),
    stdin: null,
    status: ended.promise,
    kill(signal) {
      const time = world.arrival(launcher.host, process.host);
      world.atTime(time, null, signal, () => world.kill(process, signal));
    },
  };
}

/** A job that our launcher has brought to its end. */
export interface Launched {
  readonly ranks: readonly SimulatedRank[];
  /** Null if the launcher has not ended. */
  readonly outcome: LaunchOutcome | null;
  /** When it has, in ms. */
  readonly endedAt: number;
}

/** Launches a job, and lets its world go on until a time. */
export async function launchJob(
  world: World,
  plan: Plan,
  program: RankProgram,
  untilMs: number,
): Promise<Launched> {
  const ranks: SimulatedRank[] = [];
  let outcome: LaunchOutcome | null = null, failure: unknown, endedAt = Infinity;
  const launcher = world.start("launcher", world.addHost(), 0, async () => {
    try {
      outcome = await launch(world, plan, program, launcher, ranks);
    } catch (error) {
      failure = error;
    }
    endedAt = world.now;
    world.kill(launcher, "exit 0");
  });
  world.atTime(plan.launcherMs, null, "kill", () => world.kill(launcher, "killed"));
  await world.run(untilMs);
  if (failure !== undefined) throw failure;
  return { ranks, outcome, endedAt };
}

async function launch(
  world: World,
  plan: Plan,
  program: RankProgram,
  launcher: Process,
  ranks: SimulatedRank[],
): Promise<LaunchOutcome> {
  const { address } = launcher.host, listener = platform.listen({ hostname: address, port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const start = ({ first, count }: { first: number; count: number }) => {
    const started = Array.from({ length: count }, (_, i) => {
      const rank = first + i, startMs = plan.startMs[rank];
      const rendezvous = { hostname: address, port };
      return startRank(world, plan, { rank, startMs, program, rendezvous });
    });
    ranks.push(...started);
    if (ranks.length === plan.ranks) arrangeFaults(world, ranks, plan.faults);
    return started.map((each) => {
      const host = plan.hosts[each.rank];
      const faults = plan.faults.filter(({ rank }) => plan.hosts[rank] === host);
      return rankOf(world, launcher, each, faults);
    });
  };
  const hostOf = (rank: number) => ranks.find((each) => each.rank === rank)!.process.host;
  const steads = new Map<number, number>();
  const respawn = (rank: number, lost: number) => {
    const stead = steads.get(lost) ?? lost;
    steads.set(rank, stead);
    const host = hostOf(lost), number = rank - plan.ranks;
    const startMs = world.arrival(launcher.host, host) - world.now + 5;
    const rendezvous = { hostname: address, port };
    const started = startRank(world, plan, {
      ...{ rank, startMs, program, rendezvous, stead },
      host: world.hosts.indexOf(host),
    });
    const end = plan.comers!.ends[number];
    if (end?.forMs === null) started.process.diesAt = end.call;
    else started.process.stops = end && { call: end.call, forMs: end.forMs };
    ranks.push(started);
    return rankOf(world, launcher, started, []);
  };
  let losses = 0;
  const byHost = Map.groupBy(plan.hosts.keys(), (rank) => world.hosts[plan.hosts[rank]]);
  const places = [...byHost].map(([host, [first, ...rest]]: [Host, number[]]) => ({
    host: host.name,
    first,
    count: 1 + rest.length,
    remote: {
      start,
      respawn,
      forget: () => {},
      get lost() {
        return host.isUp ? null : "it has no power";
      },
    },
    sockets: null,
    launcher: null,
  }));
  const job = await credentials(JOB, Uint8Array.fromHex(SECRET));
  const hosts = {
    complete: () => Promise.resolve({ size: plan.ranks, places, addresses: [], peers: [] }),
    openHost: () => ({ listener, job, secret: SECRET, host: null }),
    nextJob: () => 1,
    describe: () => Promise.resolve({}),
    coordinator: {},
    mostRanks: null,
    sockets: "",
    outcome: {},
  };
  return await launchProgram({
    ranks: plan.ranks,
    program: "https://simulated.invalid/program.ts",
    timeout: TIMEOUT_MS / 1000,
    joinTimeout: JOIN_MS / 1000,
    transport: "tcp",
    quiet: true,
    onFailure: plan.survives ? "return" : "abort",
    onLost: () => {},
    ...plan.comers ? { respawn: () => plan.comers!.pauseMs[losses++] ?? null } : {},
    handleSignals: false,
    on: hosts as unknown as NonNullable<Parameters<typeof launchProgram>[0]["on"]>,
  });
}
