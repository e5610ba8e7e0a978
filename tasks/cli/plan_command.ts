import { type OptionSpec, real, text, toggle } from "../options/kinds.ts";
import { HostsError } from "../launch/run_hosts.ts";
import { goElsewhere } from "./elsewhere.ts";
import { placeOf, takePlace } from "./launch_command.ts";
import { RunFailedError } from "../launch/launch.ts";
import { HOSTS, OPTIONS, type Options } from "../options/table.ts";
import { plan } from "../plan/plan.ts";
import { TOLERANCE } from "../plan/plan_options.ts";
import { formatPlan } from "../plan/table.ts";
import { viewKind } from "../launch/view.ts";
import type { CommandSpec } from "./command_line.ts";

const EPILOGUE =
  `It measures a few steps of the actual graph, with all ranks sharing this machine, and the network
between them, and predicts wall clock and communication share of naive-parallel and of --algorithm
at I = 1, 2, 4, …, 32. With --link the prediction is for ranks behind such links (without their
window), with a number of --hosts for that many hosts behind them, of which it measures one. Hosts
that are named, or on which srun, mpirun or the like has started it, are measured all together.

Below the table it advises the cheapest setting: of all whose wall clock is within --tolerance of the
fastest, the smallest I (of a schedule, in the mean), then the least compression, then the fewest
fragments. It compares the intervals of the table, --compress none, bf16, int8 and int4 unless one is
given, and 1, 2 and 4 --fragments unless a number is given. --overlap and --algorithm change what is
learnt, so they are as they are given. --json has every setting.

Examples:
  deno task plan --ranks 8
  deno task plan --ranks 8 --preset cifar10-resnet56 --data DIR --link 100mbit,20ms
  deno task plan --ranks 8 --link 20mbit,40ms --tolerance 2%
  deno task plan --hosts 64 --ranks 512
  deno task plan --hosts a:4,b:4`;

/** Options of a run that a plan has no use for. */
const WITHOUT: readonly string[] = [
  ...[
    "resume",
    "checkpointEvery",
    "onFailure",
    "maxRestarts",
    "replay",
    "maxWait",
    "elastic",
    "out",
    "sendData",
    "checkpointLocal",
    "keep",
    "grace",
    "preemptedCode",
    "log",
    "trace",
    "traceKernels",
  ],
  ...Object.keys(HOSTS).filter((name) => !["hostfile", "port"].includes(name)),
];

/** In percent, with or without the sign. */
const TOLERANCE_OPTION = real({
  flag: "--tolerance",
  group: OPTIONS.link.group,
  help: "how much slower than the fastest setting the advised one may be",
  default: 100 * TOLERANCE,
  from: 0,
});

const PLAN_OPTIONS: Record<string, OptionSpec<unknown>> = {
  ...Object.fromEntries(Object.entries(OPTIONS).filter(([name]) => !WITHOUT.includes(name))),
  shaped: toggle({
    flag: "--shaped",
    group: OPTIONS.link.group,
    help: "measure with the ranks behind --link, instead of calculating what it costs",
  }),
  hosts: text({
    flag: "--hosts",
    group: OPTIONS.link.group,
    help:
      "a number: hosts that --ranks are to be on, as many on each; --link is then a host's, 10gbit,50us " +
      "if nothing is said. Names: hosts to reach by ssh, each with its ranks, that are measured",
    default: null,
    defaultText: "none",
    placeholder: "n|a:4,b:4",
    commas: true,
  }),
  tolerance: {
    ...TOLERANCE_OPTION,
    placeholder: "percent",
    default: TOLERANCE,
    defaultText: `${100 * TOLERANCE}%`,
    parse: (value) => Number(TOLERANCE_OPTION.parse(value.trim().replace(/\s*%$/, ""))) / 100,
  },
  json: { ...OPTIONS.json, help: "print the plan as JSON on standard output, no table" },
};

/** `plan`: predicts what runs will take. */
export const planCommand: CommandSpec = {
  name: "plan",
  summary: "predict what a run takes at each interval, here or on a slower network",
  epilogue: EPILOGUE,
  options: PLAN_OPTIONS,
  async run(given) {
    const { quiet = false, json = false, hosts: said, tolerance, ...options } = given as
      & Partial<Options>
      & { tolerance?: number };
    const place = await placeOf();
    if (place !== null && place.index > 0) return await takePlace(place, options);
    const isNumber = said != null && /^\d+$/.test(said);
    const hosts = said == null ? {} : { hosts: isNumber ? Number(said) : said };
    const there = isNumber ? null : await goElsewhere("plan", given as Partial<Options>);
    if (there !== null) return there;
    try {
      const planned = await plan({
        ...options,
        ...hosts,
        ...tolerance === undefined ? {} : { tolerance },
        place,
        view: viewKind(quiet),
      });
      if (json) console.log(JSON.stringify(planned));
      else console.log(await formatPlan(planned));
      return 0;
    } catch (error) {
      if (!(error instanceof RunFailedError || error instanceof HostsError)) throw error;
      console.error(`celgc: ${error.message}`);
      return error.code;
    }
  },
};
