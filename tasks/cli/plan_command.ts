import { integer, type OptionSpec, toggle } from "../options/kinds.ts";
import { RunFailedError } from "../launch/launch.ts";
import { HOSTS, OPTIONS, type Options } from "../options/table.ts";
import { plan } from "../plan/plan.ts";
import { formatPlan } from "../plan/table.ts";
import { viewKind } from "../launch/view.ts";
import type { CommandSpec } from "./command_line.ts";

const EPILOGUE =
  `It measures a few steps of the actual graph, with all ranks sharing this machine, and the network
between them, and predicts wall clock and communication share of naive-parallel and of --algorithm
at I = 1, 2, 4, …, 32. With --link the prediction is for ranks behind such links, with --hosts for
that many hosts behind them, of which it measures one.
Examples:
  deno task plan --ranks 8
  deno task plan --ranks 8 --preset cifar10-resnet56 --data DIR --link 100mbit,20ms
  deno task plan --hosts 64 --ranks 512`;

/** Options of a run that a plan has no use for. */
const WITHOUT: readonly string[] = [
  ...["resume", "checkpointEvery", "maxRestarts", "out", "sendData", "checkpointLocal"],
  ...Object.keys(HOSTS),
];

const PLAN_OPTIONS: Record<string, OptionSpec<unknown>> = {
  ...Object.fromEntries(Object.entries(OPTIONS).filter(([name]) => !WITHOUT.includes(name))),
  shaped: toggle({
    flag: "--shaped",
    group: OPTIONS.link.group,
    help: "measure with the ranks behind --link, instead of calculating what it costs",
  }),
  hosts: integer({
    flag: "--hosts",
    group: OPTIONS.link.group,
    help:
      "hosts that --ranks are to be on, as many on each; --link is then a host's, 10gbit,50us " +
      "if nothing is said",
    unit: "hosts",
    from: 1,
    default: null,
    defaultText: "none",
  }),
  json: { ...OPTIONS.json, help: "print the plan as JSON on standard output, no table" },
};

/** `plan`: predicts what runs will take. */
export const planCommand: CommandSpec = {
  name: "plan",
  summary: "predict what a run takes at each interval, here or on a slower network",
  epilogue: EPILOGUE,
  options: PLAN_OPTIONS,
  async run(given) {
    const { quiet = false, json = false } = given as Partial<Options>;
    try {
      const planned = await plan({ ...given, view: viewKind(quiet) });
      if (json) console.log(JSON.stringify(planned));
      else console.log(await formatPlan(planned));
      return 0;
    } catch (error) {
      if (!(error instanceof RunFailedError)) throw error;
      console.error(`celgc: ${error.message}`);
      return error.code;
    }
  },
};
