/**
 * An algorithm whose interval changes: each round is one of the same algorithm with I = its length.
 *
 * @module
 */

import type { Algorithm, RoundSchedule } from "../algorithm.ts";

/**
 * The algorithm with rounds of a schedule.
 *
 * @param make the algorithm with a constant interval; what it exchanges must depend on nothing but the
 * place of a step in its round
 */
export function scheduled(
  make: (interval: number) => Algorithm,
  rounds: RoundSchedule,
): Algorithm {
  const made = new Map<number, Algorithm>();
  const ofLength = (steps: number) => {
    let algorithm = made.get(steps);
    if (!algorithm) made.set(steps, algorithm = make(steps));
    return algorithm;
  };
  /** The algorithm of step t's round, and the step's number in that round. */
  const at = (t: number) => {
    const { begin, end } = rounds.roundOf(t);
    return [ofLength(end - begin), t - begin] as const;
  };
  const first = at(1)[0], { transform } = first.update;
  const feeds = (t: number) => {
    const [algorithm, step] = at(t);
    return algorithm.update.transform!.feeds(step);
  };
  return {
    ...first,
    rounds,
    update: transform ? { ...first.update, transform: { ...transform, feeds } } : first.update,
    exchange(t) {
      const [algorithm, step] = at(t);
      return algorithm.exchange(step);
    },
    driftBound: (clip, weights, steps = first.interval ?? 1) =>
      steps === 0 ? 0 : ofLength(steps).driftBound(clip, weights),
  };
}
