/**
 * `deno task bench start`: how long after the command the ranks of a launch have taken their first step.
 *
 * A warm-up comes first, so that packages and compiled code are cached. The evaluation of the untrained
 * network is included. The end is when the step stands in `metrics.jsonl`, which is a little later than it
 * was taken.
 *
 * @module
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { median } from "./step/contender.ts";

const HELP = `deno task bench start [options]

  --ranks N     ranks on this machine (default 8)
  --model M     as for launch (default resnet20)
  --device D    as for launch (default cpu)
  --runs N      runs measured (default 5)
`;

/** Between two looks at the metrics, ms. */
const POLL = 5;

const { values: options } = parseArgs({
  options: {
    ranks: { type: "string", default: "8" },
    model: { type: "string", default: "resnet20" },
    device: { type: "string", default: "cpu" },
    runs: { type: "string", default: "5" },
    help: { type: "boolean", default: false },
  },
});
if (options.help) {
  console.log(HELP.trimEnd());
  Deno.exit();
}

/** Seconds from the command to the first step in the metrics. */
async function firstStep(): Promise<number> {
  const folder = await Deno.makeTempDir({ prefix: "celgc-bench-" }), out = join(folder, "run");
  const { ranks, model, device } = options;
  const main = fileURLToPath(new URL("../../tasks/cli/main.ts", import.meta.url));
  const launch = ["launch", "--ranks", ranks, "--model", model, "--device", device];
  const start = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", main, ...launch, "--max-steps", "1", "--out", out, "--quiet"],
    stdout: "null",
  }).spawn();
  let ended = false;
  const status = child.status.then((status) => {
    ended = true;
    return status;
  });
  const stepped = async () =>
    (await Deno.readTextFile(join(out, "metrics.jsonl")).catch(() => "")).includes('"step"');
  while (!ended && !await stepped()) await new Promise((resolve) => setTimeout(resolve, POLL));
  const seconds = (performance.now() - start) / 1000;
  const { success } = await status;
  await Deno.remove(folder, { recursive: true });
  if (!success) throw new Error("cannot measure the start: the launch failed");
  return seconds;
}

await firstStep();
const times: number[] = [];
for (let run = 0; run < Number(options.runs); run++) times.push(await firstStep());
const [least, most] = [Math.min(...times), Math.max(...times)].map((time) => time.toFixed(2));
console.log(
  `${options.ranks} ranks, ${options.model} on ${options.device}, ${navigator.hardwareConcurrency} ` +
    `processors: first step ${median(times).toFixed(2)} s after the command (${least} to ${most})`,
);
