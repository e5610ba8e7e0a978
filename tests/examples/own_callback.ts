/**
 * Callbacks of one's own: one prints the mean loss of each round, one stops the run when it is good enough.
 * `deno task launch --ranks 4 --allow ffi tests/examples/own_callback.ts`
 */

import { type Callback, init, resolveOptions, train } from "../../mod.ts";

function printer(every: number): Callback {
  let losses: number[] = [];
  return {
    name: "printer",
    afterStep: ({ loss }) => void losses.push(loss),
    afterRound({ round, drift, driftBound }) {
      if (round % every > 0) return;
      const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
      console.log(
        `round ${round}: loss ${mean.toFixed(3)}, drift ${drift.toFixed(3)} of ${driftBound}`,
      );
      losses = [];
    },
  };
}

const goodEnough = (accuracy: number): Callback => ({
  name: "good enough",
  afterEvaluation([watched], run) {
    if (watched.accuracy! >= accuracy) run.stop(`accuracy ${watched.accuracy}`);
  },
});

await using comm = await init();
const options = resolveOptions({ ranks: comm.size, device: "cpu", epochs: 12 });
const callbacks = [goodEnough(0.4), ...comm.rank === 0 ? [printer(4)] : []];
const { summary } = await train(comm, options, { callbacks });
if (comm.rank === 0) {
  const { stoppedBy, steps } = summary;
  console.log(`${stoppedBy?.callback ?? "nobody"} stopped it after ${steps} steps`);
}
