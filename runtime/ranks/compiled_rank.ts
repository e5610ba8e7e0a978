/**
 * Ranks of a compiled program (`deno compile`).
 *
 * A compiled program cannot start `deno run`: what it can start is itself. So each of its ranks begins as
 * the whole program does, with the same arguments, up to the call that launches ranks; there it turns
 * into a rank, and runs the rank's program instead of launching anything.
 *
 * @module
 */

import { secretLine } from "../bootstrap/launcher_pipe.ts";
import { processEnvironment } from "../bootstrap/environment.ts";

/** Whether this process is a compiled program. */
export function isCompiled(): boolean {
  return Deno.build.standalone;
}

/** What a compiled program's ranks need to know beside what every rank does. */
export function compiledRankEnvironment(
  program: URL,
  args: readonly string[],
): Record<string, string> {
  return { CELGC_PROGRAM: program.href, CELGC_ARGS: JSON.stringify(args) };
}

/**
 * In a rank of a compiled program: runs the rank's program, and ends this process when that has been
 * evaluated. Whoever launches ranks calls this first. Elsewhere it does nothing.
 *
 * The program must be part of the compiled one (`deno compile --include`).
 */
export async function becomeCompiledRank(): Promise<void> {
  const program = isCompiled() ? processEnvironment("CELGC_PROGRAM") : undefined;
  if (program === undefined) return;
  const args = JSON.parse(processEnvironment("CELGC_ARGS") ?? "[]");
  Object.defineProperty(Deno, "args", { value: args, configurable: true, enumerable: true });
  secretLine();
  try {
    await import(program);
    // Launchers, which are no ranks, need not load all that a rank is made of.
    await (await import("../bootstrap/init.ts")).leaveJob();
  } catch (error) {
    // As if nobody could catch it: the launching program must not take it for an error of its own.
    setTimeout(() => {
      throw error;
    });
    await new Promise(() => {});
  }
  Deno.exit();
}
