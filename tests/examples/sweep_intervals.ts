/** Scripting sweeps over I: `deno run -A tests/examples/sweep_intervals.ts [folder] [steps]`. */

import { sweep } from "../../mod.ts";

const [out = "runs/intervals", steps = "100"] = Deno.args;
const interval = [1, 2, 4, 8];
const { cells } = await sweep({ ranks: 2, interval, maxSteps: Number(steps), baseline: true, out });
for (const { name, status, summary, speedup } of cells) {
  if (!summary) console.log(`${name}: ${status}`);
  else console.log(`${name}: loss ${summary.trainLoss}, ${summary.rounds} rounds, ${speedup}×`);
}
