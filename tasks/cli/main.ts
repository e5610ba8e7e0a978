/**
 * The command line of the project: `deno task <command>`.
 *
 * @module
 */

import { refuseOldDeno, VERSION } from "../run/version.ts";
import type { CommandSpec } from "./command_line.ts";

/** The commands; one that is not asked for is not loaded. */
const COMMANDS: Readonly<Record<string, () => Promise<CommandSpec>>> = {
  launch: async () => (await import("./launch_command.ts")).launchCommand,
  join: async () => (await import("./join/join_command.ts")).joinCommand,
  sweep: async () => (await import("./sweep_command.ts")).sweepCommand,
  plan: async () => (await import("./plan_command.ts")).planCommand,
  reproduce: async () => (await import("./reproduce_command.ts")).reproduceCommand,
  report: async () => (await import("./report_command.ts")).reportCommand,
  runs: async () => (await import("./runs_command.ts")).runsCommand,
  generate: async () => (await import("./generate_command.ts")).generateCommand,
  export: async () => (await import("./export_command.ts")).exportCommand,
};

if (import.meta.main) {
  // Nothing else is loaded before: an old Deno cannot even read all of it.
  const refusal = refuseOldDeno(Deno.version.deno);
  if (refusal !== null) {
    console.error(`celgc: ${refusal}`);
    Deno.exit(1);
  }
  const { runCommandLine } = await import("./command_line.ts");
  const [name = ""] = Deno.args;
  const wanted = Object.hasOwn(COMMANDS, name) ? [COMMANDS[name]] : Object.values(COMMANDS);
  const commands = await Promise.all(wanted.map((load) => load()));
  Deno.exit(await runCommandLine("celgc", VERSION, commands, Deno.args));
}
