/**
 * The launcher: starts a program as N ranks, looks after them, and ends them all when one fails.
 *
 * @module
 */

import type { Placement } from "../agents/placement.ts";
import { Job } from "./_job.ts";
import { InterruptedError, signalCode } from "./interrupts.ts";
import { becomeCompiledRank } from "../ranks/compiled_rank.ts";
import { openWorld, type World } from "./across_hosts.ts";
import type { OpenedWorld } from "./world.ts";
import { checkOptions, type LaunchOutcome, type LaunchProgramOptions } from "./options.ts";

export type { LaunchOutcome, LaunchProgramOptions } from "./options.ts";
export type { LaunchFailure } from "./root_cause.ts";

/**
 * Runs a program on N ranks, as `mpirun -n N` does, until all have ended. When one fails, the others
 * end within 5 s. No process is left behind, not even if this one is killed.
 *
 * The program joins the job with `init()`; one that never does is run all the same. In a program made by
 * `deno compile`, the ranks' program must be a part of it (`--include`), and each rank first does what
 * the compiled program does before this call.
 *
 * @throws RangeError if an option is wrong or there is no such program
 * @throws what a function among the options throws; that ends the ranks
 *
 * @example
 * ```ts ignore
 * import { launchProgram } from "./launch.ts";
 * const { code, failure } = await launchProgram({ ranks: 4, program: "hello.ts" });
 * if (failure) console.error(failure.message);
 * Deno.exit(code);
 * ```
 */
export async function launchProgram(options: LaunchProgramOptions): Promise<LaunchOutcome> {
  await becomeCompiledRank();
  if (options.on !== undefined) return await runOn(options, options.on as OpenedWorld);
  if (!leavesHost(options)) return await run(options, null);
  let world: World;
  try {
    world = await openWorld(options);
  } catch (error) {
    return givenUp(error);
  }
  await using hosts = world;
  return await runOn(options, hosts as OpenedWorld);
}

/** Whether a job is not this host's alone. */
function leavesHost(
  { ranks, world, mostRanks, hosts, hostfile, place }: LaunchProgramOptions,
): boolean {
  return hosts !== undefined || hostfile !== undefined || place !== undefined ||
    mostRanks !== undefined || (world !== undefined && world !== ranks);
}

/** The outcome of a job that was given up before all hosts were there; whatever else it was is thrown. */
function givenUp(error: unknown): LaunchOutcome {
  if (!(error instanceof InterruptedError)) throw error;
  return { code: signalCode(error.how), interrupted: error.how };
}

/** Runs a job on all hosts of a world. */
async function runOn(options: LaunchProgramOptions, world: OpenedWorld): Promise<LaunchOutcome> {
  let placement: Placement;
  try {
    placement = await world.complete();
  } catch (error) {
    return givenUp(error);
  }
  try {
    const outcome = await run(options, { world, placement });
    world.outcome = { code: outcome.code, message: outcome.failure?.headline ?? null };
    return outcome;
  } catch (error) {
    world.outcome = { code: 1, message: (error as Error).message };
    throw error;
  }
}

async function run(
  options: LaunchProgramOptions,
  on: { readonly world: OpenedWorld; readonly placement: Placement } | null,
): Promise<LaunchOutcome> {
  const program = await checkOptions(options, on?.placement.size);
  const job = new Job(options, program, on);
  try {
    const outcome = await job.run();
    options.onEnd?.(outcome);
    return outcome;
  } finally {
    await job.cleanUp();
  }
}
