import { join } from "node:path";
import { OptionError, type OptionSpec, toggle } from "../options/kinds.ts";
import { OPTIONS, type Options } from "../options/table.ts";
import type { LauncherPlace } from "../../runtime/launcher/across_hosts.ts";
import { HostsError } from "../launch/run_hosts.ts";
import { placeOf, takePlace } from "./launch_command.ts";
import { goElsewhere } from "./elsewhere.ts";
import { terminalColumns } from "../terminal/plain_table.ts";
import { viewKind } from "../launch/view.ts";
import { axisOptions, type Swept } from "../sweep/axes.ts";
import { CellFolders } from "../sweep/cell_folder.ts";
import { planCells } from "../sweep/cells.ts";
import { type CellResult, summaryDocument } from "../sweep/results.ts";
import { exitCodeOf, sweep, SWEEP_FILES } from "../sweep/sweep.ts";
import { formatTable } from "../sweep/table.ts";
import type { CommandSpec } from "./command_line.ts";

const SWEEP = "The sweep";

const EPILOGUE =
  `Every option of launch can be given, and those that decide a run's numbers can have several
values, separated by commas. Where an option's own values can hold commas (--partition, --decay-at),
and wherever a semicolon stands, semicolons separate. There is one run for each combination; runs
that a sweep into the same folder has finished are not run again.
Examples:
  deno task sweep --interval 1,2,4,8,16,32 --baseline --out runs/intervals
  deno task sweep --interval 4,16 --lr 0.1,0.3 --seed 1,2,3 --ranks 4 --out runs/grid
  deno task sweep --partition "iid;proportional:40,30,20,10" --ranks 4 --out runs/parts`;

const OWN = {
  baseline: toggle({
    flag: "--baseline",
    group: SWEEP,
    help: "add the paper's baseline, naive-parallel, for each setting that it takes",
  }),
  dryRun: toggle({
    flag: "--dry-run",
    group: SWEEP,
    help: "list the runs, and which are finished; run nothing",
  }),
} as const;

/** The options of launch, those of a sweep's own, and what these change in the help. */
function options(): Record<string, OptionSpec<unknown>> {
  return {
    ...OWN,
    ...axisOptions(),
    out: {
      ...OPTIONS.out,
      group: SWEEP,
      help: "folder of the sweep, with a folder for each run",
      defaultText: "runs/<time>-sweep",
    } as OptionSpec<unknown>,
    resume: {
      ...OPTIONS.resume,
      help: "not for a sweep, which goes on with the command that began it and the same --out",
    } as OptionSpec<unknown>,
    json: { ...OPTIONS.json, help: "print the summary as JSON on standard output, no table" },
  };
}

/** `sweep`: one run for each combination of values, and a table that compares them. */
export const sweepCommand: CommandSpec = {
  name: "sweep",
  summary: "train once for each combination of values, and compare",
  epilogue: EPILOGUE,
  options: options(),
  async run(given) {
    const { baseline = false, dryRun = false, ...swept } = given as Given & {
      baseline?: boolean;
      dryRun?: boolean;
    };
    if (dryRun) return await list(swept, baseline);
    const place = await placeOf();
    if (place !== null && place.index > 0) return await takePlace(place, swept as Partial<Options>);
    const { world, hosts, hostfile } = swept;
    const there = await goElsewhere("sweep", { ...given, world, hosts, hostfile });
    if (there !== null) return there;
    try {
      return await runAll(swept, baseline, place);
    } catch (error) {
      if (!(error instanceof HostsError)) throw error;
      console.error(`celgc: ${error.message}`);
      return error.code;
    }
  },
};

/** What is to be swept, and how the command shows it. */
type Given = Swept & Partial<Pick<Options, "json" | "quiet">>;

async function list(swept: Given, baseline: boolean): Promise<number> {
  if (swept.json) throw new OptionError("--json does not go with --dry-run");
  const { out, ...options } = swept;
  const { cells } = planCells(options, baseline);
  const folders = out ? await CellFolders.open(out) : null;
  for (const cell of cells) {
    const finished = (await folders?.find(cell))?.finished;
    console.log(finished ? `${cell.name}  finished` : cell.name);
  }
  return 0;
}

async function runAll(
  swept: Given,
  baseline: boolean,
  place: LauncherPlace | null,
): Promise<number> {
  const { quiet = false, json = false } = swept;
  const view = viewKind(quiet);
  const run = await sweep({ ...swept, baseline, place, view });
  const { dir, axes, cells, problems, interrupted } = run;
  if (json) console.log(summaryDocument(dir, axes, cells, problems).trimEnd());
  else if (!quiet) {
    console.log(await formatTable(axes, cells, terminalColumns()));
    console.log(`\nfiles: ${dir} (${SWEEP_FILES.json}, ${SWEEP_FILES.csv})`);
  }
  for (const problem of problems) console.error(`celgc: ${problem}`);
  const failed = cells.filter(({ status }) => status === "failed");
  if (failed.length > 0) sayFailed(failed, cells.length, view === "silent");
  if (interrupted) {
    const left = cells.filter(({ status }) => status === "pending").length;
    console.error(
      `celgc: the sweep was ended by ${interrupted} with ${left} of ${cells.length} cells to go; ` +
        `the same command with --out ${dir} goes on`,
    );
  }
  return exitCodeOf(run);
}

/** @param unseen whether the messages have not been shown yet */
function sayFailed(failed: readonly CellResult[], count: number, unseen: boolean): void {
  if (unseen) { for (const { name, message } of failed) console.error(`${name}: ${message}`); }
  const where = failed.map(({ name, dir }) => `${name} (${join(dir, "rank-<r>.log")})`).join(", ");
  console.error(`celgc: ${failed.length} of ${count} cells failed: ${where}`);
}
