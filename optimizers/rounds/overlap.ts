/**
 * Overlapped averaging: the ranks do not wait for a round's average, they go on meanwhile and take it over
 * later, τ steps after the round, or when the next is due (τ = I).
 *
 *     round k ends at            x_k^i                       each rank's own weights
 *     while steps go on from it  x̄_k = (1/N) Σ_j x_k^j       travels
 *     τ steps later, at x^i,     x^i ← x̄_k + (x^i − x_k^i)   keeps what was learnt meanwhile
 *                            or  x^i ← x̄_k + α (x^i − x̄_k)   mixes
 *
 * An outer optimizer takes its step from x̄_k as soon as it has arrived, and what it makes of it stands in
 * the place of x̄_k on the right. Another algorithm than the one it is made of: ranks never stand at one point,
 * and each is behind what the others have learnt. Without a mix, and without an outer step, their mean is the
 * same as if each round had waited, for gradients taken where each rank stands.
 *
 * Without a mix and at τ = I: Shen, Xu, Liu, Chen and Cheng, Faster Distributed Deep Net Training: Computation
 * and Communication Decoupled Stochastic Gradient Descent (CoCoD-SGD), IJCAI 2019, Algorithm 1. With a mix:
 * Douillard et al., Streaming DiLoCo with overlapping communication, 2025 (arXiv 2501.18512), Algorithm 2,
 * whose weights are also averaged by parts, see `fragments.ts`.
 *
 * @module
 */

import type { Algorithm, Overlap } from "../algorithm.ts";

/**
 * The same algorithm with overlapped averaging.
 *
 * The bound on the drift of CELGC carries over to the rounds. Without a mix x_k^i and x̄_k differ by what
 * the ranks have done in the I steps since the round before, each at most γI, so ‖x̄_k − x_k^i‖ ≤ 2γI still.
 * With one, let no rank be farther than r_k from x̄_k at round k. The τ steps that follow carry each at most
 * γτ away, so that before it mixes a rank is within r_k + 2γτ of the ranks' mean, and within α times that
 * afterwards; the I − τ steps up to the next round add 2γ(I − τ):
 *
 *     r_{k+1} ≤ α (r_k + 2γτ) + 2γ (I − τ),     r_1 ≤ 2γI
 *
 * see {@linkcode lateBound}. Between two rounds a rank may be farther away.
 *
 * @param overlap when an average is taken over, and how; CoCoD-SGD's way by default
 * @throws RangeError for an algorithm whose weights are not averaged every few steps, or whose steps in a
 * round need one point to begin at: EPISODE, FedProx, naive parallel SGD, one rank alone; for a delay that is
 * no number of steps from 1 to the interval, or a mix that is not from 0 and below 1
 */
export function overlapped(
  algorithm: Algorithm,
  overlap: Overlap = { delay: null, mix: null },
): Algorithm {
  const { name, interval, update, undrawn, sends, exchange, rounds } = algorithm;
  const { delay, mix } = overlap;
  const together = update.correct || update.transform || undrawn === "waits" || sends;
  if (together || exchange(1).gradients === "replace" || interval === null) {
    throw new RangeError(
      `the averages of ${name} cannot be overlapped with its steps: it has no rounds, or the next ` +
        "begins where all ranks have met; celgc, local-sgd, slowmo and diloco can",
    );
  }
  const longest = rounds ? Infinity : interval;
  if (delay !== null && !(Number.isSafeInteger(delay) && delay >= 1 && delay <= longest)) {
    throw new RangeError(
      `a round's average is taken over 1 to ${longest} steps later, before the next round ends, not ${delay}`,
    );
  }
  if (delay !== null && exchange(1).weights === "before") {
    throw new RangeError(
      `the averages of ${name} are taken over a number of steps later only if they are formed after a step`,
    );
  }
  if (mix !== null && !(mix >= 0 && mix < 1)) {
    throw new RangeError(
      `the share of a rank's own weights in a mix is from 0 and below 1, not ${mix}`,
    );
  }
  return { ...algorithm, overlap };
}

/**
 * The parts whose averages are taken over after step `t`: those that have had a round so many steps ago, and none
 * since. Where there is but one part, it is 0. Averages that wait for the next round are not among them.
 */
export function takenOver({ overlap, exchange, fragments }: Algorithm, t: number): number[] {
  const delay = overlap?.delay ?? null;
  if (delay === null || t <= delay) return [];
  const due = (step: number) =>
    exchange(step).weights === "none" ? [] : fragments?.due(step) ?? [0];
  const parts = new Set(due(t - delay));
  for (let step = t - delay + 1; step <= t && parts.size > 0; step++) {
    for (const part of due(step)) parts.delete(part);
  }
  return [...parts];
}

/**
 * The bound on the drift of the next round, see {@linkcode overlapped}.
 *
 * @param before that of the round before; null for the first, and where nothing is proven
 * @param bound what is proven of ranks that began the round's steps at one point
 * @param steps since the round before
 */
export function lateBound(
  { delay, mix }: Overlap,
  before: number | null,
  bound: number | null,
  steps: number,
): number | null {
  if (bound === null || before === null || mix === null) return bound;
  const late = bound * Math.min(delay ?? steps, steps) / steps;
  return mix * (before + late) + bound - late;
}

/**
 * Takes an average over, in place.
 *
 * @param values where the rank is
 * @param global the average, or what an outer step has made of it
 * @param start the rank's own weights when the round ended
 */
export function takeOver(
  { mix }: Overlap,
  values: Float32Array,
  global: Float32Array,
  start: Float32Array,
): void {
  for (let i = 0; i < values.length; i++) {
    values[i] = mix === null
      ? values[i] + Math.fround(global[i] - start[i])
      : global[i] + mix * (values[i] - global[i]);
  }
}
