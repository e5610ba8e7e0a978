/**
 * Overlapped averaging: the ranks do not wait for a round's average, they take the next I steps meanwhile
 * and catch up with it when the next round is due.
 *
 *     round k ends at            x_k^i                       each rank's own weights
 *     while steps go on from it  x̄_k = (1/N) Σ_j x_k^j       travels
 *     round k + 1 ends at        x_{k+1}^i = x̄_k + (x^i − x_k^i)
 *
 * x^i is where the steps from x_k^i have led. Another algorithm than the one it is made of: ranks never
 * stand at one point, and each is a round behind what the others have learnt. Their mean is the same as
 * if each round had waited, x̄_{k+1} = x̄_k + mean of the local progress, for gradients taken where each
 * rank stands.
 *
 * Shen, Xu, Liu, Chen and Cheng, Faster Distributed Deep Net Training: Computation and Communication
 * Decoupled Stochastic Gradient Descent (CoCoD-SGD), IJCAI 2019, Algorithm 1.
 *
 * @module
 */

import type { Algorithm } from "./algorithm.ts";

/**
 * The same algorithm with overlapped averaging.
 *
 * The bound on the drift of CELGC carries over to the rounds: x_k^i and x̄_k differ by what the ranks have
 * done in the I steps since the round before, each at most γI, so ‖x̄_k − x_k^i‖ ≤ 2γI still. Between two
 * rounds a rank may be twice as far away.
 *
 * @throws RangeError for an algorithm whose rounds begin at one point for all ranks, or whose weights are
 * not averaged every few steps: SlowMo, DiLoCo, EPISODE, naive parallel SGD, one rank alone
 */
export function overlapped(algorithm: Algorithm): Algorithm {
  const { name, interval, outer, undrawn, update, exchange } = algorithm;
  const together = outer || update.correct || update.transform || undrawn === "waits";
  if (together || exchange(1).gradients === "replace" || interval === null) {
    throw new RangeError(
      `the averages of ${name} cannot be overlapped with its steps: it has no rounds, or the next ` +
        "begins where all ranks have met; celgc and local-sgd can",
    );
  }
  return { ...algorithm, overlap: true };
}

/**
 * What a rank has to add when the average of a round arrives late: average ← average − start, in place.
 *
 * @param average x̄_k
 * @param start x_k^i, the rank's own weights when the round ended
 */
export function correction(average: Float32Array, start: Float32Array): void {
  for (let i = 0; i < average.length; i++) average[i] -= start[i];
}
