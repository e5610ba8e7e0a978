/**
 * Rounds by the clock: every rank takes as many steps as it can for T seconds, then the ranks average.
 * Fast ranks take more steps than slow ones and nobody waits long, where rounds by steps would have all
 * wait for the slowest.
 *
 *     rank i takes n_i steps from the end of a round until T seconds have passed on its own clock
 *     then   x^i ← Σ_j p_j x^j
 *
 * A round needs all ranks, and all leave it together: its end is the one moment that their clocks have in
 * common, and no clock has to agree with another. Every rank takes at least one step in each round and
 * comes to each round, so nobody waits for ever. How many steps a rank takes is a matter of its machine:
 * a rerun does not give the same bits.
 *
 * With p_j = 1/N, whatever n_j was, the mean is the paper's: Liu, Zhuang, Lei and Liao, NeurIPS 2022,
 * Algorithm 1. With p_j = s_j / Σ_k s_k, where s_j is the samples that rank j has learnt from in the round,
 * each sample counts for as much as any other, as in FedAvg: McMahan, Moore, Ramage, Hampson and Agüera y
 * Arcas, AISTATS 2017, Algorithm 1, and in Decoupled DiLoCo (2026), whose learners go by their own clocks.
 *
 * In either, a rank that takes more steps moves the mean farther: what is minimised is not quite the mean of
 * the ranks' losses where their data differ. Wang, Liu, Liang, Joshi and Poor, Tackling the Objective
 * Inconsistency Problem in Heterogeneous Federated Optimization, NeurIPS 2020, section 3, whose
 * normalisation is not applied.
 *
 * @module
 */

import { type Algorithm, SILENT } from "../algorithm.ts";

/** What ranks count for in a round: all alike, or each for the samples it has learnt from since the one before. */
export type Weigh = "equal" | "samples";

/** All of them, as in `--weigh`. */
export const WEIGH = ["equal", "samples"] as const satisfies readonly Weigh[];

/**
 * The same algorithm with rounds by the clock.
 *
 * The bound is Lemma 1 of the paper for unequal numbers of steps. Let all ranks begin a round at c. Rank i
 * takes n_i steps, none longer than γ, so that x_i = c + u_i with ‖u_i‖ ≤ γ n_i. The average is
 * x̄ = Σ_j p_j x_j = c + Σ_j p_j u_j, because Σ_j p_j = 1. Hence
 *
 *     ‖x̄ − x_i‖ = ‖Σ_j p_j u_j − u_i‖ ≤ Σ_j p_j ‖u_j‖ + ‖u_i‖ ≤ γ (Σ_j p_j n_j + n_i)
 *               ≤ γ (Σ_j p_j n_j + max_j n_j)
 *
 * for each i. With n_j = I for all it is the lemma's 2γI, whatever p is. For equal p, what is told is the
 * weaker 2γ max_j n_j, the lemma with the largest n_j in the place of I.
 *
 * @param algorithm one that averages after each step, such as `celgc({ interval: 1 })`
 * @param seconds T
 * @param weigh what the ranks count for
 * @throws RangeError for another one, or a time that is not above 0
 */
export function timedRounds(
  algorithm: Algorithm,
  seconds: number,
  weigh: Weigh = "equal",
): Algorithm {
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
      weighs: weigh === "samples",
      driftBound(clip, steps, shares, weights) {
        const each = algorithm.driftBound(clip, weights), most = Math.max(...steps);
        if (each === null || weigh === "equal") return each === null ? null : each * most;
        const mean = steps.reduce((sum, n, rank) => sum + shares[rank] * n, 0);
        return each * (mean + most) / 2; // each is 2γ
      },
    },
  };
}
