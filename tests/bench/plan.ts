/**
 * `deno task bench plan`: what the planner predicts for runs behind a slow link, and what they then take.
 *
 * Plans, calculated from ranks without the link, and runs behind it take turns. Beside what a plan says stands what it
 * says with the run's own steps in the place of those that it had measured, on a machine that others use as well.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { plan } from "../../tasks/plan/plan.ts";
import { launch } from "../../tasks/launch/launch.ts";

const HELP = `deno task bench plan [options]

  --ranks N        ranks on this machine (default 2)
  --link L         as for launch (default 20mbit,40ms)
  --steps N        steps of each run (default 64)
  --interval LIST  as for launch (default 1,4,16)
  --compress LIST  as for launch (default none,int8)
  --turns N        plans, and runs of each kind (default 3)
  --shaped         plans measure behind the link
`;

const { values } = parseArgs({
  options: {
    ranks: { type: "string", default: "2" },
    link: { type: "string", default: "20mbit,40ms" },
    steps: { type: "string", default: "64" },
    interval: { type: "string", default: "1,4,16" },
    compress: { type: "string", default: "none,int8" },
    turns: { type: "string", default: "3" },
    shaped: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(HELP.trimEnd());
  Deno.exit();
}

/** One run beside its plan, in seconds. */
interface Turn {
  readonly planned: number;
  /** With the run's own steps. */
  readonly corrected: number;
  readonly taken: number;
}

const { link, shaped } = values, ranks = Number(values.ranks), maxSteps = Number(values.steps);
const intervals = values.interval.split(",").map(Number), codecs = values.compress.split(",");
const small = { batchSize: 4, trainSize: 4000, testSize: 20, trainEval: 0 };
const common = {
  ...small,
  ranks,
  maxSteps,
  device: "cpu",
  model: "resnet8",
  epochs: 1000,
  evalEvery: 1000,
} as const;
const cells = intervals.flatMap((interval) => codecs.map((compress) => ({ interval, compress })));
const turns = new Map<typeof cells[number], Turn[]>(cells.map((cell) => [cell, []]));
const loads: number[] = [], folder = await Deno.makeTempDir();
for (let turn = 0; turn < Number(values.turns); turn++) {
  for (const cell of cells) {
    const given = { ...common, ...cell, link };
    const planned = await plan({ ...given, intervals: [cell.interval], shaped });
    const { seconds } = planned.settings.find(({ fragments }) => fragments === 1)!;
    const out = `${folder}/run`;
    const { summary } = await launch({ ...given, out });
    const own = await stepsOf(`${out}/metrics.jsonl`, cell.interval);
    const corrected = seconds - maxSteps * planned.measured.step.none!.slowest + own;
    turns.get(cell)!.push({ planned: seconds, corrected, taken: summary.trainSeconds });
    loads.push(Deno.loadavg()[0]);
    await Deno.remove(out, { recursive: true });
  }
}
await Deno.remove(folder, { recursive: true });

const load = loads.toSorted((a, b) => a - b);
console.log(
  `${ranks} ranks behind ${link}, ${maxSteps} steps, ${values.turns} turns, medians; load ` +
    `${load[0].toFixed(0)} to ${load.at(-1)!.toFixed(0)}`,
);
console.log("| I | compress | predicted | taken | predicted / taken | with the run's steps |");
console.log("|---|---|---|---|---|---|");
for (const [{ interval, compress }, each] of turns) {
  const planned = median(each.map(({ planned }) => planned));
  const taken = median(each.map(({ taken }) => taken));
  const cells = [
    ...[interval, compress, `${planned.toFixed(2)} s`, `${taken.toFixed(2)} s`],
    spread(planned / taken, each.map(({ planned, taken }) => planned / taken)),
    spread(
      median(each.map(({ corrected, taken }) => corrected / taken)),
      each.map(({ corrected, taken }) => corrected / taken),
    ),
  ];
  console.log(`| ${cells.join(" | ")} |`);
}

/** What the steps of a run took, exchanges left out, on the slowest rank from round to round. */
async function stepsOf(path: string, interval: number): Promise<number> {
  const records = (await Deno.readTextFile(path)).trim().split("\n")
    .map((line) => JSON.parse(line))
    .filter(({ type }) => type === "step");
  const rounds = new Map<number, number[]>();
  for (const { step, rank, stepMs, syncMs } of records) {
    const round = Math.floor((step - 1) / interval);
    const ofRanks = rounds.get(round) ?? new Array<number>(ranks).fill(0);
    ofRanks[rank] += (stepMs - syncMs) / 1000;
    rounds.set(round, ofRanks);
  }
  return [...rounds.values()].reduce((sum, each) => sum + Math.max(...each), 0);
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

function spread(middle: number, all: number[]): string {
  return `${middle.toFixed(2)} (${Math.min(...all).toFixed(2)} to ${Math.max(...all).toFixed(2)})`;
}
