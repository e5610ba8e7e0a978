/**
 * Partial participation: at each round some of the ranks, drawn at random, average (Liu et al., NeurIPS
 * 2022, appendix on partial participation). What the others do meanwhile is the algorithm's to say.
 *
 * @module
 */

import { dirichlet } from "../runtime/base/dirichlet.ts";
import { Random } from "../runtime/base/random.ts";
import { counted } from "../runtime/base/words.ts";
import { checkSampling, type Sampling, UNIFORM } from "./sampling.ts";

/**
 * The ranks that take part in a round, in increasing order: drawn without replacement, and a pure function
 * of the arguments, so that every rank draws the same and a rerun replays it.
 *
 * With `dirichlet` they are drawn one after the other, each with its probability among those that are
 * left, as the first of exponential waiting times (Efraimidis and Spirakis, Weighted random sampling with a
 * reservoir, 2006).
 *
 * @param seed the run's seed
 * @param round counted from 1
 * @param ranks number of ranks, N
 * @param count how many take part, from 1 to N
 * @param sampling how they are drawn; uniformly by default
 * @throws RangeError if so many cannot be drawn so
 *
 * @example
 * ```ts
 * import { drawParticipants } from "./participants.ts";
 * const periodic = { kind: "periodic", available: 2, rounds: 5 } as const;
 * console.assert(`${drawParticipants(1, 5, 8, 2, periodic)}` === "0,1");
 * console.assert(`${drawParticipants(1, 6, 8, 2, periodic)}` === "2,3");
 * ```
 */
export function drawParticipants(
  seed: number,
  round: number,
  ranks: number,
  count: number,
  sampling: Sampling = UNIFORM,
): number[] {
  if (!Number.isInteger(count) || count < 1 || count > ranks) {
    throw new RangeError(
      `of ${counted(ranks, "rank")}, 1 to ${ranks} can take part in a round, not ${count}`,
    );
  }
  checkSampling(sampling, ranks, count);
  if (count === ranks) return Array.from({ length: ranks }, (_, rank) => rank);
  const random = new Random(seed, "participants", round);
  switch (sampling.kind) {
    case "uniform":
      return increasing(random.permutation(ranks).subarray(0, count));
    case "periodic": {
      const { available, rounds } = sampling;
      const first = Math.floor((round - 1) / rounds) * available % ranks;
      return increasing(random.permutation(available).subarray(0, count), first);
    }
    case "dirichlet": {
      const weights = participationWeights(seed, ranks, sampling.alpha);
      const waits = weights.map((weight, rank) => {
        const unit = -Math.log(1 - random.uniform());
        return { rank, unit, time: weight > 0 ? unit / weight : Infinity };
      });
      // Weights that are too small to be told from zero come last, in the order of their own draws.
      const before = (a: number, b: number) => a === b ? 0 : a < b ? -1 : 1;
      waits.sort((a, b) => before(a.time, b.time) || before(a.unit, b.unit));
      return increasing(waits.slice(0, count).map(({ rank }) => rank));
    }
  }
}

/** The probabilities of a run with `dirichlet`: of each rank, to be the only one of a round. They sum to 1. */
export function participationWeights(seed: number, ranks: number, alpha: number): number[] {
  return dirichlet(new Random(seed, "participation"), alpha, ranks);
}

function increasing(drawn: Iterable<number>, first = 0): number[] {
  return Array.from(drawn, (each) => first + each).sort((a, b) => a - b);
}
