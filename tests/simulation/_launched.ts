/** A job under our launcher, which starts its ranks through agents on the hosts and ends them when one fails. */

import { platform } from "../../runtime/base/platform.ts";
import { type LaunchOutcome, launchProgram } from "../../runtime/launcher/launch.ts";
import type { ExitStatus, Rank } from "../../runtime/ranks/rank.ts";
import { credentials } from "../../runtime/security/handshake.ts";
import {
  errorsNameTheLost,
  nobodyHangs,
  nothingFailsByItself,
  theLauncherTellsTheCause,
  Violation,
} from "./_invariants.ts";
import {
  arrangeFaults,
  boundOf,
  hitRanks,
  JOB,
  outcomesOf,
  SECRET,
  type SimulatedRank,
  startRank,
} from "./_job.ts";
import { messagesOf } from "./_messages.ts";
import { type Fault, JOIN_MS, type Plan, TIMEOUT_MS } from "./_plan.ts";
import type { Host, Process, World } from "./_world.ts";

/** How long it takes until an agent's host is given up, in ms. */
const HOST_MS = 15_000;

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

/** Our launcher's job in a world. Returns what it is called and how it is played. */
export function launchedScenario(world: World, plan: Plan) {
  const ends: string[] = [];
  return { words: "messages under our launcher", ends, play: () => play(world, plan, ends) };
}

async function play(world: World, plan: Plan, ends: string[]): Promise<void> {
  const ranks: SimulatedRank[] = [];
  let outcome: LaunchOutcome | null = null, failure: unknown, endedAt = 0;
  const launcher = world.start("launcher", world.addHost(), 0, async () => {
    try {
      outcome = await launch(world, plan, launcher, ranks);
    } catch (error) {
      failure = error;
    }
    endedAt = world.now;
    world.kill(launcher, "exit 0");
  });
  const byMs = boundOf(plan) + HOST_MS;
  await world.run(byMs);
  if (failure !== undefined) throw failure;
  const hit = hitRanks(plan), outcomes = outcomesOf(ranks, hit);
  ends.push(...outcomes.map(({ isDone, error, end }) => isDone ? "done" : `${error ?? end}`));
  const { code = null, failure: told } = (outcome ?? {}) as Partial<LaunchOutcome>;
  ends.push(`the launcher: ${code}, ${told?.headline ?? "no failure"}`);
  for (const { error } of outcomes) if (error instanceof Violation) throw error;
  nothingFailsByItself(outcomes, plan.faults.length);
  errorsNameTheLost(outcomes, plan.link !== null);
  nobodyHangs(outcomes.filter(({ isHit }) => !isHit), byMs);
  if (code === null) throw new Violation("nobodyHangs", `the launcher has not ended by ${byMs} ms`);
  theLauncherTellsTheCause(outcomes, { code, rank: told?.rank ?? null });
  const soft = plan.faults.every(({ kind }) => kind === "kill") && plan.pace.slow === 0;
  const first = Math.min(
    ...ranks.filter(({ isDone }) => !isDone).map(({ process }) => process.endedAt),
  );
  if (soft && first < Infinity && endedAt - first > 5000 && told !== undefined) {
    throw new Violation("allEndSoon", `${endedAt - first} ms after the first rank had ended`);
  }
}

async function launch(
  world: World,
  plan: Plan,
  launcher: Process,
  ranks: SimulatedRank[],
): Promise<LaunchOutcome> {
  const { address } = launcher.host, listener = platform.listen({ hostname: address, port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const start = ({ first, count }: { first: number; count: number }) => {
    const started = Array.from({ length: count }, (_, i) => {
      const rank = first + i, startMs = plan.startMs[rank];
      const rendezvous = { hostname: address, port };
      return startRank(world, plan, { rank, startMs, program: messagesOf(plan.seed), rendezvous });
    });
    ranks.push(...started);
    if (ranks.length === plan.ranks) arrangeFaults(world, ranks, plan.faults);
    return started.map((each) => {
      const host = plan.hosts[each.rank];
      const faults = plan.faults.filter(({ rank }) => plan.hosts[rank] === host);
      return rankOf(world, launcher, each, faults);
    });
  };
  const byHost = Map.groupBy(plan.hosts.keys(), (rank) => world.hosts[plan.hosts[rank]]);
  const places = [...byHost].map(([{ name }, [first, ...rest]]: [Host, number[]]) => ({
    host: name,
    first,
    count: 1 + rest.length,
    remote: { start },
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
    handleSignals: false,
    on: hosts as unknown as NonNullable<Parameters<typeof launchProgram>[0]["on"]>,
  });
}
