/** Trains the tests' small network; the last rank is slow. Rank 0 prints the summary. */

import { init } from "../../../runtime/bootstrap/init.ts";
import { resolveOptions } from "../../../tasks/options/resolve.ts";
import { newConfig } from "../../../tasks/run/folder.ts";
import { train } from "../../../tasks/training/train.ts";
import { mlp, mlpTask } from "../_mlp.ts";

const SLOW_MS = 60;

await using comm = await init();
const [text, directory] = Deno.args;
const options = resolveOptions(JSON.parse(text));
const task = mlpTask(comm.rank, comm.size, options.batchSize);
const { batch } = task;
task.batch = (t) => {
  if (comm.rank === comm.size - 1) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SLOW_MS);
  }
  return batch(t);
};
const output = { directory, config: newConfig(options) };
const { summary } = await train(comm, options, { model: mlp, task, output });
if (comm.rank === 0) console.log(JSON.stringify(summary));
