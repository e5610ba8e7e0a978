/**
 * Rounds by the clock: every rank takes as many steps as it can for T seconds, then the ranks average.
 * Fast ranks take more steps than slow ones and nobody waits long, where rounds by steps would have all
 * wait for the slowest.
 *
 *     rank i takes n_i steps from the end of a round until T seconds have passed on its own clock
 *     then   x^i ← (1/N) Σ_j x^j,      the plain mean, whatever n_i was
 *
 * A round needs all ranks, and all leave it together: its end is the one moment that their clocks have in
 * common, and no clock has to agree with another. Every rank takes at least one step in each round and
 * comes to each round, so nobody waits for ever. How many steps a rank takes is a matter of its machine:
 * a rerun does not give the same bits.
 *
 * The mean is the paper's: Liu, Zhuang, Lei and Liao, NeurIPS 2022, Algorithm 1. Local steps that differ in
 * number are those of Wang, Liu, Liang, Joshi and Poor, Tackling the Objective Inconsistency Problem in
 * Heterogeneous Federated Optimization, NeurIPS 2020, section 3, whose weighting is not applied: with data
 * that differs from rank to rank, faster ranks count for more.
 *
 * @module
 */

import { type Algorithm, SILENT } from "./algorithm.ts";

/**
 * The same algorithm with rounds by the clock.
 *
 * Lemma 1 of the paper holds with the largest n_i in the place of I: a rank moves at most γ a step, so it
 * is within γn_i of where the round began, and the mean within the mean of these.
 *
 * @param algorithm one that averages after each step, such as `celgc({ interval: 1 })`
 * @param seconds T
 * @throws RangeError for another one, or a time that is not above 0
 */
export function timedRounds(algorithm: Algorithm, seconds: number): Algorithm {
  const { name, outer, overlap, update } = algorithm;
  const { gradients, weights } = algorithm.exchange(1);
  const { correct, transform } = update, plain = !(outer || overlap || correct || transform);
  if (gradients !== "none" || weights !== "after" || !plain) {
    throw new RangeError(
      `the rounds of ${name} cannot go by the clock, because they are not plain averages of the ` +
        "weights after a step; those of celgc and local-sgd are, clipped by the local norm",
    );
  }
  if (!(seconds > 0)) {
    throw new RangeError(`the time between rounds is above 0 seconds, not ${seconds}`);
  }
  return {
    ...algorithm,
    interval: null,
    exchange: () => SILENT,
    timed: {
      seconds,
      isDue: (elapsed, steps, remaining) => elapsed >= seconds || steps >= remaining,
      driftBound(clip, steps, weights) {
        const each = algorithm.driftBound(clip, weights);
        return each === null ? null : each * steps;
      },
    },
  };
}
