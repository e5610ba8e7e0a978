/**
 * The command line of the project: `deno task <command>`.
 *
 * @module
 */

import { VERSION } from "../run/version.ts";
import { runCommandLine } from "./command_line.ts";
import { exportCommand } from "./export_command.ts";
import { launchCommand } from "./launch_command.ts";
import { planCommand } from "./plan_command.ts";
import { reportCommand } from "./report_command.ts";
import { sweepCommand } from "./sweep_command.ts";

if (import.meta.main) {
  const commands = [launchCommand, sweepCommand, planCommand, reportCommand, exportCommand];
  Deno.exit(await runCommandLine("celgc", VERSION, commands, Deno.args));
}
