/**
 * `deno task bench checkpoint`: what a checkpoint costs that is written while training goes on.
 *
 * One run writes a checkpoint every few steps. The time from one step's end to the next is compared between the
 * steps during which one is written and those without, so that a busy machine is busy for both.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { launch } from "../../../tasks/launch/launch.ts";
import { readMetrics } from "../../../tasks/logs/log_tail.ts";

const HELP = `deno task bench checkpoint [options]

  --model M        the network (default resnet56)
  --batch N        samples a step (default 16)
  --ranks N        processes (default 2)
  --every N        steps from one checkpoint to the next in the measurement (default 8)
  --count N        checkpoints (default 20)
  --momentum M     its buffers are in a checkpoint as well (default 0.9)

"after 1" begins with the copying of a checkpoint, "after 2" is the step that follows. The cost is what these two
take longer than the others, added up, beside the time of 100 steps.
`;

const { values: options } = parseArgs({
  options: {
    model: { type: "string", default: "resnet56" },
    batch: { type: "string", default: "16" },
    ranks: { type: "string", default: "2" },
    every: { type: "string", default: "8" },
    count: { type: "string", default: "20" },
    momentum: { type: "string", default: "0.9" },
    help: { type: "boolean", default: false },
  },
});
if (options.help) {
  console.log(HELP.trimEnd());
  Deno.exit();
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

const every = Number(options.every), out = await Deno.makeTempDir({ prefix: "celgc-bench-" });
try {
  const batchSize = Number(options.batch);
  await launch({
    ranks: Number(options.ranks),
    model: options.model as "resnet56",
    batchSize,
    trainSize: 16 * batchSize,
    testSize: 10,
    momentum: Number(options.momentum),
    // A round after each step: those after a checkpoint do not differ in it.
    interval: 1,
    maxSteps: every * (Number(options.count) + 1),
    epochs: 1e6,
    evalEvery: 1e6,
    checkpointEvery: every,
    device: "cpu",
    out,
  });
  const ends = readMetrics(`${out}/metrics.jsonl`)
    .filter((record) => record.type === "step" && record.rank === 0)
    .map(({ step, seconds }) => ({ step, seconds }));
  const after: number[][] = Array.from({ length: every }, () => []);
  for (const [i, { step, seconds }] of ends.entries()) {
    // The first checkpoint makes a communicator, and the first steps warm up.
    if (step > 2 * every) after[(step - 1) % every].push(1000 * (seconds - ends[i - 1].seconds));
  }
  const medians = after.map(median), quiet = median(after.slice(2).flat());
  const cost = medians[0] + medians[1] - 2 * quiet;
  console.log(
    `${options.model}, batches of ${batchSize}, ${options.ranks} ranks: ` +
      `${after[0].length} checkpoints\n` +
      medians.slice(0, 2).map((each, i) => `after ${i + 1}  ${each.toFixed(1)} ms`).join("\n") +
      `\nothers   ${quiet.toFixed(1)} ms\n` +
      `cost     ${cost.toFixed(1)} ms a checkpoint, ${
        (cost / quiet).toFixed(2)
      } % of the time of 100 steps`,
  );
} finally {
  await Deno.remove(out, { recursive: true });
}
