/** Trains the tests' small network on every rank; rank 0 prints the averaged weights and the summary. */

import { init } from "../../../runtime/bootstrap/init.ts";
import { resolveOptions } from "../../../tasks/options/resolve.ts";
import { newConfig } from "../../../tasks/run/folder.ts";
import { train } from "../../../tasks/training/train.ts";
import { mlp, mlpTask } from "../_mlp.ts";

await using comm = await init();
const [text, directory] = Deno.args;
const options = resolveOptions(JSON.parse(text));
const trained = await train(comm, options, {
  model: mlp,
  task: mlpTask(comm.rank, comm.size, options.batchSize),
  output: { directory, config: newConfig(options) },
});
if (comm.rank === 0) {
  const { summary, weights } = trained;
  console.log(JSON.stringify({ summary, weights: [...weights] }));
}
