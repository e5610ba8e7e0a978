/**
 * The launcher: starts a program as N ranks, looks after them, and ends them all when one fails.
 *
 * @module
 */

import { Job } from "./_job.ts";
import { becomeCompiledRank } from "./compiled_rank.ts";
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
  const program = await checkOptions(options);
  const job = new Job(options, program);
  try {
    return await job.run();
  } finally {
    await job.cleanUp();
  }
}
