/**
 * The command line of the project: `deno task <command>`.
 *
 * @module
 */

import { VERSION } from "../run/version.ts";
import { type CommandSpec, runCommandLine } from "./command_line.ts";

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
  const [name = ""] = Deno.args;
  const wanted = Object.hasOwn(COMMANDS, name) ? [COMMANDS[name]] : Object.values(COMMANDS);
  const commands = await Promise.all(wanted.map((load) => load()));
  Deno.exit(await runCommandLine("celgc", VERSION, commands, Deno.args));
}
