/**
 * Launching on several hosts, loaded when a job leaves this one.
 *
 * @module
 */

import type { AgentOutcome } from "../agents/agent.ts";
import type { Invitation } from "../agents/invitation.ts";
import { processEnvironment } from "../bootstrap/environment.ts";
import { RANK_VARIABLES } from "../bootstrap/foreign_launchers.ts";
import type { SshOptions } from "../agents/ssh.ts";
import type { InterruptOptions } from "./interrupts.ts";
import type { JoinLaunchOptions } from "./join.ts";

/** This process's place among the launchers that srun, mpirun or the like has started. */
export interface LauncherPlace {
  /** Its number; 0 is the coordinator. */
  readonly index: number;
  /** How many there are. */
  readonly count: number;
  /** Whose variables say so, in words. */
  readonly source: string;
}

/** Which hosts a job is to run on, and how they find each other. */
export interface WorldOptions extends InterruptOptions {
  /** Ranks of this host. */
  readonly ranks: number;
  /** All ranks: those that this host does not have join from others with an invitation. */
  readonly world?: number;
  /**
   * Most ranks that there may be at a time: other hosts may come, with the invitation, while a job with `onFailure:
   * "return"` runs, and their ranks wait to be let in by `Communicator.grow()`. Ranks may then talk to any host. Not
   * with `place`, whose launcher decides which hosts there are.
   * @default {nobody comes once all are there}
   */
  readonly mostRanks?: number;
  /** Hosts to reach by ssh, such as `a:4,b:4`, each with its ranks. This host may be one of them. */
  readonly hosts?: string;
  /** The same as a file, in Open MPI's format. */
  readonly hostfile?: string;
  /** This process's place among those that something else has started; see `launcherPlace()`. */
  readonly place?: LauncherPlace;
  /** The one port that other hosts need of this one, or with ssh of every host. @default {any, and one of each rank} */
  readonly port?: number;
  /** Address, network (`10.0.0.0/8`) or card (`eth0`) to listen on. @default {all addresses} */
  readonly listen?: string;
  /** Version of the program; agents of another are refused. @default {the runtime's} */
  readonly version?: string;
  /** File to write the invitation to. @default {one in the folder for temporary files} */
  readonly invitation?: string;
  /** Seconds that other hosts may take to come. @default {600 by invitation, else 60} */
  readonly joinTimeout?: number;
  /** As in `LaunchProgramOptions`. @default {60} */
  readonly timeout?: number;
  /** As in `LaunchProgramOptions`: not every world can talk over everything. */
  readonly transport?: "auto" | "tcp" | "unix" | "mpi";
  /** How agents are started by ssh. */
  readonly ssh?: Partial<SshOptions>;
  /** Says a line to the user. @default {on standard error} */
  readonly say?: (line: string) => void;
}

/** Hosts with their launchers. Jobs run on them one after another. */
export interface World extends AsyncDisposable {
  /** Number of all ranks. */
  readonly size: number;
  /** Number of those of this host. */
  readonly here: number;
  /** Who has which ranks, in their order. */
  readonly hosts: readonly HostShare[];
  /** What the launchers of other hosts end with, and say then. @default {as the last job on them has ended} */
  outcome: { readonly code: number; readonly message: string | null };
}

/** The ranks of one launcher of a world. */
export interface HostShare {
  /** The host's name. */
  readonly host: string;
  /** Its first rank. */
  readonly first: number;
  /** How many it has. */
  readonly count: number;
}

/**
 * Finds out whether this process is one of several launchers that something else has started: srun, mpirun,
 * torchrun, an Indexed Job of Kubernetes. The first opens the world (`openWorld({ place })`), the others join
 * it (`joinLaunch(place)`).
 *
 * @returns null if it is the only one
 * @throws RendezvousError if the environment contradicts itself, or says too little
 */
export async function launcherPlace(): Promise<LauncherPlace | null> {
  const signs = ["CELGC_PLACE", ...RANK_VARIABLES];
  if (!signs.some((name) => processEnvironment(name) !== undefined)) return null;
  return (await import("./launcher_place.ts")).launcherPlace();
}

/**
 * The hosts that options name, if this one is not among them: rank 0 is then on the first of them.
 *
 * @throws RangeError if they cannot be read
 */
export async function hostsElsewhere(
  options: Pick<WorldOptions, "world" | "hosts" | "hostfile">,
): Promise<readonly { readonly name: string; readonly slots: number }[] | null> {
  return await (await import("./world_plan.ts")).hostsElsewhere(options);
}

/**
 * Number of all ranks of a world, and of those of this host, as its options say before anybody has come.
 *
 * @throws RangeError if an option is wrong
 */
export async function worldSize(
  options: WorldOptions,
): Promise<{ readonly size: number; readonly here: number }> {
  return await (await import("./world_plan.ts")).worldSize(options);
}

/**
 * Opens the hosts that jobs are to run on, and waits until all are there; then `launchProgram({ on })` runs
 * a job on them, and another one after it.
 *
 * @throws RangeError if an option is wrong
 * @throws RendezvousError if a host does not come, or cannot be reached
 * @throws InterruptedError if it was given up before
 *
 * @example
 * ```ts ignore
 * import { launchProgram, openWorld } from "../mod.ts";
 * await using world = await openWorld({ ranks: 4, world: 8 });
 * const { code } = await launchProgram({ ranks: 8, program: "hello.ts", on: world });
 * ```
 */
export async function openWorld(options: WorldOptions): Promise<World> {
  return await (await import("./world.ts")).openWorld(options);
}

/**
 * Starts ranks on this host for a job that another launcher has begun, until that is at its end. They are
 * ended with it, whatever becomes of the coordinator.
 *
 * @param invitation to the job, or this process's place among launchers that something else has started
 * @returns the job's exit code; 1 if the coordinator was lost
 * @throws RangeError if an option is wrong
 * @throws RendezvousError if the coordinator is not there or refuses this host
 * @throws HandshakeError if the coordinator cannot be trusted, or does not trust this host
 */
export async function joinLaunch(
  invitation: Invitation | string | LauncherPlace,
  options: JoinLaunchOptions,
): Promise<AgentOutcome> {
  return await (await import("./join.ts")).joinLaunch(invitation, options);
}
