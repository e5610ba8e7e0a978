/**
 * Trains with callbacks. The argument is JSON: on which rank, at which hook and step to stop or to throw. Each rank
 * prints what it has seen, rank 0 the summary.
 */

import { init } from "../../../../runtime/bootstrap/init.ts";
import { resolveOptions } from "../../../../tasks/options/resolve.ts";
import type { Callback, CallbackRun } from "../../../../tasks/training/callbacks/callback.ts";
import { train } from "../../../../tasks/training/train.ts";
import { clusterModel, clusters } from "../../../_helpers/clusters.ts";

interface Order {
  readonly options?: Record<string, unknown>;
  readonly quiet?: boolean;
  readonly rank?: number;
  readonly hook?: string;
  readonly step?: number;
  readonly does?: "stop" | "throw";
}

await using comm = await init();
const { options: given, quiet, rank, hook, step, does }: Order = JSON.parse(Deno.args[0]);
const seen: string[] = [];
async function see(name: string, at: number, run: CallbackRun): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1));
  seen.push(`${name} ${at}`);
  if (run.rank !== rank || name !== hook || at !== step) return;
  if (does === "throw") throw new RangeError("no more");
  run.stop(`enough at ${at}`);
}
const watch: Callback = {
  name: "watch",
  beforeStep: ({ step }, run) => see("beforeStep", step, run),
  afterStep: ({ step }, run) => see("afterStep", step, run),
  beforeRound: ({ step }, run) => see("beforeRound", step, run),
  afterRound: ({ step }, run) => see("afterRound", step, run),
  beforeEvaluation: ({ step }, run) => see("beforeEvaluation", step, run),
  afterEvaluation: ([{ step }], run) => see("afterEvaluation", step, run),
};
const options = resolveOptions({
  device: "cpu",
  ranks: comm.size,
  maxSteps: 12,
  interval: 4,
  batchSize: 32,
  evalEvery: 0.29,
  ...given,
});
const { summary } = await train(comm, options, {
  model: clusterModel(12),
  task: clusters(options, comm.rank),
  // One of the ranks may have none.
  ...quiet || rank !== undefined && does === "stop" && rank !== comm.rank && comm.rank > 0
    ? {}
    : { callbacks: [watch] },
});
console.log(`seen ${JSON.stringify(seen)}`);
if (comm.rank === 0) console.log(`summary ${JSON.stringify(summary)}`);
