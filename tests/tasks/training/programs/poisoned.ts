/**
 * Trains on data of which one rank's are damaged at one step. The argument is JSON: options, and which rank and step.
 * Each rank prints the SHA-256 of its records, rank 0 the summary.
 */

import { init } from "../../../../runtime/bootstrap/init.ts";
import { resolveOptions } from "../../../../tasks/options/resolve.ts";
import type { Callback } from "../../../../tasks/training/callbacks/callback.ts";
import { train } from "../../../../tasks/training/train.ts";
import { clusterModel, clusters } from "../../../_helpers/clusters.ts";

await using comm = await init();
const { options: given, rank = -1, step = 0 } = JSON.parse(Deno.args[0]);
const options = resolveOptions({
  device: "cpu",
  ranks: comm.size,
  maxSteps: 12,
  interval: 4,
  batchSize: 32,
  ...given,
});
const task = clusters(options, comm.rank);
const batch = (t: number) => {
  const own = task.batch(t);
  if (comm.rank !== rank || t !== step) return own;
  const feeds = Object.entries(own.feeds).map(([name, value]) => {
    const { data } = value;
    return [name, data instanceof Float32Array ? { ...value, data: data.map(() => NaN) } : value];
  });
  return { ...own, feeds: Object.fromEntries(feeds) };
};
const skipped: number[] = [];
const watch: Callback = {
  name: "watch",
  afterStep({ step, skipped: not }) {
    if (not) skipped.push(step);
  },
};
const { summary } = await train(comm, options, {
  model: clusterModel(12),
  task: Object.assign(Object.create(task), { batch }),
  callbacks: [watch],
});
console.log(`skipped ${JSON.stringify(skipped)}`);
if (comm.rank === 0) console.log(`summary ${JSON.stringify(summary)}`);
