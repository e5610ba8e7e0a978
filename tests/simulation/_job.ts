/** Ranks of a job in a world: they join as under a launcher that is not ours, where rank 0 serves the rendezvous. */

import { type Communicator, worldCommunicator } from "../../runtime/communicator.ts";
import type { ProcessInfo } from "../../runtime/bootstrap/environment.ts";
import { joinJob } from "../../runtime/bootstrap/join.ts";
import type { MeshTransport } from "../../runtime/transport/mesh_transport.ts";
import { parseLink } from "../../runtime/transport/access_link.ts";
import type { RankOutcome } from "./_invariants.ts";
import { type Fault, JOIN_MS, type Plan, TIMEOUT_MS } from "./_plan.ts";
import { End } from "./_network.ts";
import { type Host, type Process, ProcessEnded, World } from "./_world.ts";

/** A job's name and secret. */
export const JOB = "simulated", SECRET = "5a".repeat(32);
const SECRET_FILE = "/secret", RENDEZVOUS_FILE = "/meeting", RENDEZVOUS_PORT = 29_500;

/** A rank's process. */
export interface SimulatedRank {
  readonly rank: number;
  readonly process: Process;
  /** Whether it is connected with all others. */
  isJoined: boolean;
  isDone: boolean;
  error: unknown;
  atMs: number;
  /** What was open when it gave up joining. */
  left: { readonly open: number; readonly timers: number } | null;
}

/** What a rank does in a job. `stead`: one of those that began, in whose stead it comes; null: it began itself. */
export type RankProgram = (
  comm: Communicator,
  rank: number,
  stead: number | null,
) => Promise<void>;

/** What one rank's process knows of itself. */
function infoOf(
  plan: Plan,
  world: World,
  { rank, rendezvous = null, host: own = plan.hosts[rank] }: RankStart,
): ProcessInfo {
  const host = (rank: number) => world.hosts[plan.hosts[rank]];
  const byFile = rendezvous === null && plan.meeting !== "address";
  return {
    rank,
    size: plan.ranks,
    job: JOB,
    launcher: rendezvous === null ? "kubernetes" : null,
    rendezvous: rendezvous ??
      (byFile ? null : { hostname: host(0).address, port: RENDEZVOUS_PORT }),
    rendezvousFile: byFile ? RENDEZVOUS_FILE : null,
    address: null,
    near: byFile,
    isNewcomer: rank >= plan.ranks,
    timeoutMs: TIMEOUT_MS,
    onFailure: plan.survives ? "return" : "abort",
    joinMs: JOIN_MS,
    transport: "tcp",
    sockets: null,
    host: world.hosts[own].name,
    link: plan.link === null ? null : parseLink(plan.link),
    connections: plan.connections,
    secretFile: byFile ? null : SECRET_FILE,
    mpiLibrary: null,
    mpiLauncher: null,
    tls: null,
    addresses: null,
    port: 0,
    gateway: null,
    dialsOut: false,
  };
}

/** Makes the hosts of a plan. */
export function openWorld(plan: Plan): World {
  const world = new World(plan.seed, plan.pace);
  for (let i = 0; i <= Math.max(...plan.hosts); i++) {
    const { disk } = world.addHost();
    const put = (path: string, text: string) => {
      const file = disk.open(path, { create: true, write: true, mode: 0o600 });
      if ("bytes" in file) disk.write(file, 0, new TextEncoder().encode(text));
      disk.sync(file);
    };
    put(SECRET_FILE, SECRET);
    // Of a job that was killed: nobody listens there.
    const old = { hostname: "127.0.0.1", port: 9, secret: "ab".repeat(32) };
    if (plan.meeting === "file, beside an old one") put(RENDEZVOUS_FILE, JSON.stringify(old));
    disk.sync(disk.folder("/"));
  }
  return world;
}

/** Starts a job's ranks, each with the same program. */
export function startJob(world: World, plan: Plan, program: RankProgram): SimulatedRank[] {
  return plan.startMs.map((startMs, rank) => startRank(world, plan, { rank, startMs, program }));
}

/** What a rank is started with. */
export interface RankStart {
  readonly rank: number;
  readonly startMs: number;
  readonly program: RankProgram;
  /** Where our launcher serves the rendezvous. @default {null: rank 0 does, under another launcher} */
  readonly rendezvous?: ProcessInfo["rendezvous"];
  /** The number of its host. @default {as the plan has it} */
  readonly host?: number;
  /** One of those that began, in whose stead it comes. @default {it is one of them} */
  readonly stead?: number;
}

/** Starts a rank. */
export function startRank(
  world: World,
  plan: Plan,
  start: RankStart,
): SimulatedRank {
  const { rank, startMs, program } = start;
  const run = async () => {
    let transport: MeshTransport | null = null;
    try {
      transport = await joinJob(infoOf(plan, world, start));
      state.isJoined = true;
      const comm = worldCommunicator(transport);
      await program(comm, rank, start.stead ?? null);
      await comm.close();
      state.isDone = true;
    } catch (error) {
      if (error instanceof ProcessEnded) throw error;
      state.error = error;
      // As init() does for a program that ends with an error.
      transport?.report({ message: String(error) }).catch(() => {});
    }
    state.atMs = world.now;
    if (!state.process.isAlive) return;
    // The way to the rendezvous outlives the communicator, for last words.
    if (transport === null) {
      state.left = { open: state.process.open.size, timers: state.process.timers.size };
    }
    world.kill(state.process, state.isDone ? "exit 0" : "exit 1");
  };
  const host = world.hosts[start.host ?? plan.hosts[rank]];
  const process = world.start(`rank ${rank}`, host, startMs, run);
  const state: SimulatedRank = {
    rank,
    process,
    isJoined: false,
    isDone: false,
    error: undefined,
    atMs: 0,
    left: null,
  };
  return state;
}

/** Lets the faults of a plan come. */
export function arrangeFaults(
  world: World,
  ranks: readonly SimulatedRank[],
  faults: readonly Fault[],
): void {
  for (const fault of faults) {
    const { process } = ranks[fault.rank], { host } = process;
    switch (fault.kind) {
      case "kill":
        process.diesAt = Math.min(process.diesAt, fault.call);
        break;
      case "power":
        world.at(fault.atMs, null, "power", () => world.crash(host, "power lost"));
        break;
      case "pause":
        world.at(
          fault.atMs,
          null,
          "pause",
          () => process.pausedUntil = Math.max(process.pausedUntil, world.now + fault.forMs),
        );
        break;
      case "partition":
        world.partitions.push({
          separates: (one, other) => (one === host) !== (other === host),
          from: world.now + fault.atMs,
          to: world.now + fault.atMs + fault.forMs,
        });
        break;
      case "cut": {
        const ends = [host, ranks[fault.other].process.host];
        world.partitions.push({
          separates: (one, other) => one !== other && ends.includes(one) && ends.includes(other),
          from: world.now + fault.atMs,
          to: Infinity,
        });
        if (fault.isTold) world.at(fault.atMs, null, "cut", () => sever(world, ends));
        break;
      }
    }
  }
}

/** Ends the connections between two hosts, at both ends. */
function sever(world: World, hosts: readonly Host[]): void {
  for (const process of world.processes) {
    if (!hosts.includes(process.host)) continue;
    for (const end of process.open.keys()) {
      if (!(end instanceof End)) continue;
      const isBetween = hosts.some((host) =>
        host !== process.host && host.address === end.remoteAddr.hostname
      );
      if (isBetween) world.at(world.between(0, 1), process, "RST", () => end.sever());
    }
  }
}

/** The latest end of a job after its last fault, in ms: to join twice and build the mesh, two silences, last words. */
const BOUND_MS = 2 * JOIN_MS + 13_000 + 2 * TIMEOUT_MS + 5000;

/** How long a job may take at most, in ms. */
export function boundOf({ startMs, faults }: Plan): number {
  const lasts = faults.map((fault) =>
    fault.kind === "kill"
      ? 0
      : fault.kind === "power" || fault.kind === "cut"
      ? fault.atMs
      : fault.atMs + Math.min(fault.forMs, 60_000)
  );
  return Math.max(...startMs) + Math.max(0, ...lasts) + BOUND_MS;
}

/** The ranks that something was to happen to. */
export function hitRanks(plan: Plan): Set<number> {
  const hit = new Set<number>();
  for (const fault of plan.faults) {
    const { kind, rank } = fault, far = kind === "cut" ? plan.hosts[fault.other] : null;
    for (const [other, host] of plan.hosts.entries()) {
      const isHit = other === rank || host === far ||
        host === plan.hosts[rank] && kind !== "kill" && kind !== "pause";
      if (isHit) hit.add(other);
    }
  }
  return hit;
}

/** What has become of the ranks. */
export function outcomesOf(
  ranks: readonly SimulatedRank[],
  hit: ReadonlySet<number>,
): RankOutcome[] {
  return ranks.map(({ rank, process, isJoined, isDone, error, atMs }) => ({
    rank,
    isJoined,
    isHit: hit.has(rank),
    end: process.end,
    isDone,
    error,
    atMs,
    endedMs: process.endedAt,
  }));
}
