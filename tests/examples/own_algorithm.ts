/**
 * An algorithm of one's own, BMUF: clipped local steps, and a momentum from round to round.
 * `deno task launch --ranks 4 --allow ffi tests/examples/own_algorithm.ts`
 *
 *     every I steps     Δ ← β Δ + (x̄ − x_start),     x ← x_start + Δ
 *
 * Chen and Huo, Scalable Training of Deep Learning Machines by Incremental Block Training …, ICASSP 2016.
 */

import { type Algorithm, init, PLAIN_STEP, resolveOptions, train } from "../../mod.ts";

function bmuf({ interval = 4, momentum = 0.5 } = {}): Algorithm {
  return {
    name: "bmuf",
    update: { ...PLAIN_STEP, clips: true },
    interval,
    exchange: (t) => ({ gradients: "none", weights: t % interval === 0 ? "after" : "none" }),
    outer: {
      move(average, start, delta) {
        for (let i = 0; i < average.length; i++) {
          delta[i] = momentum * delta[i] + average[i] - start[i];
          average[i] = start[i] + delta[i];
        }
      },
    },
    driftBound: (clip) => 2 * clip * interval, // Lemma 1: until they meet, ranks step as CELGC's do
  };
}

await using comm = await init();
const options = resolveOptions({ ranks: comm.size, device: "cpu", epochs: 2 });
const { summary } = await train(comm, options, { algorithm: bmuf() });
if (comm.rank === 0) console.log(`accuracy ${summary.testAccuracy}, ${summary.rounds} rounds`);
