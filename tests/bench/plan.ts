/**
 * `deno task bench plan`: what the planner predicts for runs behind a slow link, and what they then take.
 *
 * Each run is predicted twice: from the machine's own network, with the link calculated, and from
 * measurements behind the link.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { plan } from "../../tasks/plan/plan.ts";
import { launch } from "../../tasks/launch/launch.ts";

const HELP = `deno task bench plan [options]

  --ranks N     ranks on this machine (default 4)
  --link L      as for launch (default 20mbit,10ms)
  --steps N     steps of each run (default 16)
`;

const { values } = parseArgs({
  options: {
    ranks: { type: "string", default: "4" },
    link: { type: "string", default: "20mbit,10ms" },
    steps: { type: "string", default: "16" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(HELP.trimEnd());
  Deno.exit();
}
const { link } = values, ranks = Number(values.ranks), maxSteps = Number(values.steps);
const common = { ranks, link, maxSteps, device: "cpu", model: "resnet8", trainSize: 1000 } as const;
const intervals = [1, 4];
const calculated = await plan({ ...common, intervals });
const shaped = await plan({ ...common, intervals, shaped: true });
console.log(`${ranks} ranks behind ${link}, ${maxSteps} steps; seconds`);
console.log("algorithm         I  calculated  shaped   taken");
const folder = await Deno.makeTempDir();
for (const [i, { algorithm, interval, seconds }] of calculated.runs.entries()) {
  const out = `${folder}/${i}`;
  const run = { ...common, algorithm, out, ...interval === null ? {} : { interval } };
  const { summary } = await launch(run);
  const times = [seconds, shaped.runs[i].seconds, summary.trainSeconds];
  const cells = times.map((each, column) => each.toPrecision(3).padStart(column === 0 ? 12 : 8));
  console.log(`${algorithm.padEnd(15)}${String(interval ?? "–").padStart(4)}${cells.join("")}`);
}
await Deno.remove(folder, { recursive: true });
