/**
 * Trains on few samples; one rank takes long for one step. Arguments: that rank, the step, how long in ms, and
 * `--max-wait` in seconds. Prints what the run came to.
 */

import { init } from "../../../../mod.ts";
import { BY_BATCHES, Deal } from "../../../../tasks/data/sampling/deal.ts";
import { resolveOptions } from "../../../../tasks/options/resolve.ts";
import { LeftError } from "../../../../tasks/training/membership/members.ts";
import { train } from "../../../../tasks/training/train.ts";
import { mlp, mlpTask } from "../../_mlp.ts";

const [slow, at, ms, maxWait] = Deno.args.map(Number);
await using comm = await init();
const BATCH = 3, sizes = { batchSize: BATCH, ranks: comm.size, maxSteps: 60, interval: 2 };
const options = resolveOptions({
  ...{ device: "cpu", lr: 0.8, clip: 0.3, seed: 5, epochs: 1000, evalEvery: 1000, maxWait },
  ...sizes,
});
try {
  const { summary: { membership, weightsHash } } = await train(comm, options, {
    model: mlp,
    task(place, worlds) {
      const { ranks } = worlds.at(-1)!, deal = Deal.of(worlds, BATCH, BY_BATCHES, ranks);
      const samples = (t: number) =>
        Array.from({ length: BATCH }, (_, i) => deal.place(t - 1, i, place));
      return mlpTask(place, ranks, BATCH, samples);
    },
    callbacks: [{
      name: "slow",
      beforeStep: ({ step }) =>
        new Promise((wake) => setTimeout(wake, comm.rank === slow && step === at ? ms : 10)),
    }],
  });
  console.log(`summary ${JSON.stringify({ membership, weightsHash })}`);
} catch (error) {
  if (!(error instanceof LeftError)) throw error;
  console.log("left");
}
