import { LogError } from "../logs/log_error.ts";
import { toggle } from "../options/kinds.ts";
import { terminalColumns } from "../terminal/plain_table.ts";
import { listRuns } from "../runs/list.ts";
import { formatRuns } from "../runs/table.ts";
import type { CommandSpec } from "./command_line.ts";

/** Where runs are that were given no `--out`. */
const DEFAULT_FOLDER = "runs";

const OPTIONS = {
  json: toggle({
    flag: "--json",
    group: "The list",
    help: "print the runs as a JSON array on standard output, no table",
  }),
} as const;

/** `runs [DIR…]`: what runs a folder holds, and what they came to. */
export const runsCommand: CommandSpec = {
  name: "runs",
  summary: "list the runs of a folder with their results",
  operands: "[dirs...]",
  epilogue:
    `DIR is a folder that holds runs or sweeps, or one of these; "${DEFAULT_FOLDER}" if none is given.
A run that is neither finished nor going was interrupted or has failed: launch --resume goes on with it
if it has a checkpoint.`,
  options: OPTIONS,
  async run(given, directories) {
    const { json = false } = given as { json?: boolean };
    const asked = directories.length > 0 ? directories : [DEFAULT_FOLDER];
    try {
      const runs = await listRuns(asked);
      const base = asked.length === 1 ? asked[0] : ".";
      console.log(json ? JSON.stringify(runs) : await formatRuns(runs, base, terminalColumns()));
      return 0;
    } catch (error) {
      if (!(error instanceof LogError)) throw error;
      console.error(`celgc: ${error.message}`);
      return 1;
    }
  },
};
